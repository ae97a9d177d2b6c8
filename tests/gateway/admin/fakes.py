"""A small World for the admin API: a real configuration, and switches for what goes wrong."""

import hashlib
from pathlib import Path

import httpx

from gateway.admin.app import admin_app
from gateway.books import Books
from gateway.clock import ManualClock
from gateway.conversation import Conversations
from gateway.ledger.journal import Journal
from gateway.limits.memory import MemoryStore
from gateway.limits.tally import Tally
from gateway.limits.turnstile import Turnstiles
from gateway.limits.waiting import WaitingRoom
from gateway.pseudonyms.store import MemoryConversations
from gateway.routing.circuits import Circuits
from gateway.routing.health import Health
from gateway.routing.troubles import Troubles
from gateway.seams import LimitStore, Origin
from gateway.settings.reload import Configuration, ReloadResult
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import Traces
from gateway.transport.pool import OriginStats
from gateway.webhooks.deliver import Deliverer
from guardrails.governor import Governor

SERVER_SECRET = "a server secret of sixteen bytes or more"
ROLES = ("admin", "finops", "oncall", "viewer")


def sha256(key: str) -> str:
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


class FakeWorld:
    """Satisfies `gateway.admin.world.AdminWorld`."""

    def __init__(self, configuration: Configuration, clock: ManualClock, journal: Journal | None) -> None:
        self.configuration = configuration
        self.clock = clock
        self.journal = journal
        self.books = Books(journal, [], lambda x: None, lambda x, error: None)
        self.metrics: Metrics | None = Metrics()
        self.traces: Traces | None = None
        self.health = Health()
        self.circuits = Circuits(lambda flip: None)
        self.troubles = Troubles(lambda trouble: None)
        self.tally = Tally()
        self.limits: LimitStore = MemoryStore(clock)
        self.turnstiles = Turnstiles(clock.monotonic)
        self.waiting_room = WaitingRoom(clock.monotonic)
        self.conversations = Conversations(MemoryConversations(clock))
        self.governor: Governor | None = None
        self.leaving = False
        self.draining = False
        self.live: set[str] = set()
        self.origin: Origin | None = None
        self.deliverer: Deliverer | None = None

    def pool_stats(self) -> list[OriginStats]:
        return [] if self.origin is None else [OriginStats(self.origin, 3, 2, 1, 4)]

    async def reload(self, reason: str) -> ReloadResult:
        return self.configuration.reload(reason)


def written(directory: Path) -> dict:
    return {
        "version": 1,
        "server": {"runtime_dir": str(directory / "run")},
        "secrets": {"key_hash": SERVER_SECRET},
        "providers": {
            "openai": {"dialect": "openai", "base_url": "https://api.openai.example/v1", "api_key": "pk-canary-123456"},
            "local": {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1"},
        },
        "models": {
            "gpt-4o-mini": {"targets": [{"provider": "openai"}]},
            "local/*": {"targets": [{"provider": "local"}]},
        },
        "teams": {"search": {"keys": [{"id": "search-dev", "hash": sha256("sk-search")}]}, "support": {}},
        "prices": "off",
        "ledger": {"url": f"sqlite:///{directory}/ledger.db", "journal": str(directory / "journal")},
        "admin": {"keys": [{"id": f"{role}-key", "role": role, "hash": sha256(f"sk-{role}")} for role in ROLES]},
    }


def client_of(world: FakeWorld, role: str | None = "admin") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(admin_app(world), raise_app_exceptions=False)
    headers = {} if role is None else {"authorization": f"Bearer sk-{role}"}
    return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers)
