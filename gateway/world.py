"""The World: what outlives a reload. Pools, journal, health, metrics, and the exchanges under way.

A request takes one `Snapshot` from `configuration` at accept; everything else it needs of the process is here.
"""

import asyncio
import random
import traceback
from typing import Literal

from gateway.clock import Ids
from gateway.errors import Overloaded, TransportError
from gateway.facts import Exchange
from gateway.ledger.journal import Journal
from gateway.routing.health import Health
from gateway.routing.table import Provider
from gateway.seams import Clock, Transport
from gateway.settings.reload import Configuration
from gateway.settings.snapshot import Snapshot
from gateway.tasks import TaskGroup
from gateway.telemetry.logs import alert
from gateway.telemetry.metrics import Metrics
from gateway.transport.pool import Pool
from pricing.tokens import TokenCounter

StopReason = Literal["client_left", "shutdown", "body_timeout"]


class Live:
    """One exchange under way, as those who may stop it see it."""

    __slots__ = ("reason", "task")

    def __init__(self, task: "asyncio.Task[None]") -> None:
        self.task = task
        self.reason: StopReason | None = None

    def stop(self, reason: StopReason) -> None:
        """Interrupt it at its next suspension point. Only the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self.task.cancel()


class World:
    """One worker process's lasting state."""

    def __init__(
        self, configuration: Configuration, clock: Clock, journal: Journal | None, metrics: Metrics | None
    ) -> None:
        self.configuration = configuration
        self.clock = clock
        self.journal = journal
        self.metrics = metrics
        self.ids = Ids()
        self.chance = random.Random()  # noqa: S311 - spreads load, guards nothing
        self.health = Health()
        self.tokens = TokenCounter()
        self.pool = Pool()
        self.tasks = TaskGroup(_failed)
        self.live: set[Live] = set()
        self.draining = False
        self._other: Transport | None = None
        self._warming: set[str] = set()

    @property
    def snapshot(self) -> Snapshot:
        return self.configuration.snapshot

    def transport(self, provider: Provider) -> Transport:
        """The transport a provider is reached by. httpx is only imported when a provider needs it."""
        if provider.transport == "pool":
            return self.pool
        if self._other is None:
            from gateway.transport.httpx_transport import HttpxTransport

            self._other = HttpxTransport()
        return self._other

    def warm_tokens(self, model: str) -> None:
        """Load the vocabulary of `model` on a thread, because an answer without `usage` may have to be counted."""
        if model in self._warming:
            return
        if len(self._warming) > 10_000:
            self._warming.clear()
        self._warming.add(model)
        if not self.tokens.ready(model):
            self.tasks.start(asyncio.to_thread(self.tokens.load, model), "load vocabulary")

    def begin(self, x: Exchange) -> None:
        """Write the start record. Raises `Overloaded` when the books are closed and the configuration says that nobody
        drives unrecorded."""
        if self.journal is None:
            return
        x.started = self.journal.start(x)
        ledger = self.snapshot.ledger
        if not x.started and (ledger is None or ledger.on_full == "refuse"):
            raise Overloaded(
                "This gateway cannot write its ledger now, and takes no new requests until it can.",
                code="ledger_unavailable",
                headers=((b"retry-after", b"5"),),
            )

    def record(self, x: Exchange) -> None:
        """Close the books on one exchange. Whoever is not known has no page in them, but is counted."""
        if self.journal is not None and x.caller is not None:
            self.journal.finish(x)
        if self.metrics is not None:
            self.metrics.record(x)

    def defect(self, x: Exchange, error: Exception) -> None:
        """Report an error of ours by class and place: its text might quote the request."""
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
        alert("defect", error=type(error).__name__, place=place, exchange=x.id)

    def stop_all(self, reason: StopReason) -> None:
        """Interrupt every exchange under way."""
        for live in list(self.live):
            live.stop(reason)

    async def aclose(self) -> None:
        await self.tasks.close()
        await self.pool.aclose()
        if self._other is not None:
            await self._other.aclose()


def _failed(name: str, error: BaseException) -> None:
    alert("background_task_failed", task=name, error=type(error).__name__, detail=_detail(error))


def _detail(error: BaseException) -> str:
    """Only our own errors' texts are known to be free of secrets."""
    return str(error) if isinstance(error, TransportError) else ""
