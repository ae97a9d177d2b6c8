"""The compiled configuration: one immutable value that a request takes at accept and keeps to its end."""

from typing import Literal

import msgspec

from gateway.auth.keys import KeyIndex
from gateway.ledger.findings import FindingsOptions
from gateway.limits.program import LimitProgram
from gateway.quota import StoreFailure
from gateway.routing.switches import Switches
from gateway.routing.table import RouteTable
from gateway.settings.guardrail_programs import GuardrailPrograms
from gateway.settings.incident_options import IncidentOptions
from gateway.webhooks.signing import Endpoint
from pricing.book import PriceBook

Role = Literal["admin", "finops", "oncall", "viewer"]


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway listens. Sizes in bytes, times in seconds. Host, port, workers and TLS are read at start only."""

    host: str = "0.0.0.0"  # noqa: S104 - a gateway listens on every interface unless told otherwise
    port: int = 8080
    workers: int = 1
    max_body: int = 20 * 1024 * 1024
    """Largest JSON body, which is read whole."""
    max_values: int = 1_000_000
    """Values such a body may have."""
    max_upload: int = 512 * 1024 * 1024
    """Largest body that is passed through as a stream."""
    max_headers: int = 64 * 1024
    notice: float = 0.0
    """From SIGTERM until no new requests are taken; `/readyz` says at once that it comes."""
    drain: float = 30.0
    header_timeout: float = 10.0
    """From a connection's (or next request's) first byte to the end of its head."""
    body_timeout: float = 30.0
    """Between two pieces of a request body."""
    body_rate: int = 512
    """Bytes a second, on the average of the time a body was waited for beyond `body_timeout`. Streamed speech at the
    lowest rate of Opus (RFC 6716: 6 kbit/s) is 750."""
    body_total: float = 3600.0
    """Seconds a whole body may be waited for; 0: as long as it keeps to its rate."""
    keep_alive: float = 75.0
    ping: float = 15.0
    """A committed stream that is quiet for so long gets an SSE comment."""
    max_event: int = 1024 * 1024
    """Largest server-sent event."""
    runtime_dir: str = "var/run"
    """Where running workers leave their state files (pid, configuration hash)."""


class LedgerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The books."""

    url: str = "sqlite:///var/tollway.db"
    journal: str = "var/journal"
    fsync_seconds: float = 1.0
    segment_bytes: int = 64 * 1024 * 1024
    retention_days: float = 90.0
    """Raw events older than this are deleted; roll-ups stay."""
    on_full: Literal["refuse", "serve"] = "refuse"
    """When the journal cannot be written: refuse new requests with 503, or serve them unrecorded."""
    findings: FindingsOptions | None = None
    """The findings log of guardrails; None: off."""


class ContentOptions(msgspec.Struct, frozen=True):
    """Whose words are in traces."""

    teams: frozenset[str]
    most: int
    """Characters of a request, and of an answer."""


class TelemetryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is emitted."""

    metrics: bool = True
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    access_log: float = 0.0
    """Share of exchanges that leave a log line, 0 to 1."""
    otlp: str = ""
    """Collector's endpoint; empty: nothing is traced. Read at the start only, as are `headers` and `semconv`."""
    headers: tuple[tuple[str, str], ...] = ()
    """Fields of every export, names in lower case."""
    sample: float = 0.05
    """Share of ordinary exchanges that are traced, 0 to 1."""
    keep: frozenset[Literal["error", "blocked", "slow", "refused"]] = frozenset(("error", "blocked", "slow"))
    """What is traced always."""
    slow: float = 30.0
    """Seconds from which on an exchange is slow."""
    semconv: Literal["v1_41", "latest", "both"] = "v1_41"
    trace_url: str = ""
    """Where a trace can be seen, with `{trace_id}` in it; empty: nowhere that is known."""
    otlp_metrics: float = 0.0
    """Seconds between two exports of metrics to the collector; 0: none. Read at the start only."""
    content: ContentOptions | None = None
    """None: no text of a request or an answer is in any span."""


class LimitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where limits are counted, and what holds for all of them. Read at the start, but for `reserve` and `queue`."""

    store: str = "memory://"
    """memory:// or a Redis URL, which may hold a password."""
    on_store_failure: StoreFailure = "local"
    patience: float = 0.05
    """Seconds a request waits for a shared store."""
    lease: float = 0.0
    """The share of a limit that a worker may take from a shared store in advance, 0 to 1; 0: none."""
    reserve: Literal["upper", "p95", "p99"] = "upper"
    queue: int = 1000
    """Requests that may wait to be admitted at one time, per worker."""

    def __repr__(self) -> str:
        return f"LimitOptions({self.store.partition(':')[0]}, on_store_failure={self.on_store_failure!r})"


class AdminKey(msgspec.Struct, frozen=True):
    """One admin key."""

    id: str
    role: Role
    scheme: Literal["sha256", "hmac"]
    digest: bytes


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a request may ask of the configuration. Replaced as a whole by a reload."""

    hash: str
    """SHA-256 over the resolved configuration, first 16 hex digits; secrets enter it only as digests."""
    source: str
    loaded_ns: int
    server: ServerOptions
    keys: KeyIndex
    routes: RouteTable
    prices: PriceBook | None
    """None: `prices: off`."""
    ledger: LedgerOptions | None
    """None: `ledger: off`."""
    telemetry: TelemetryOptions
    admin_keys: tuple[AdminKey, ...] = ()
    guardrails: GuardrailPrograms | None = None
    """None: no policy is written."""
    limits: LimitProgram | None = None
    """None: no limit and no budget is written."""
    limit_options: LimitOptions = LimitOptions()
    webhooks: tuple[Endpoint, ...] = ()
    """Who is told when a budget comes to its end."""
    incidents: IncidentOptions | None = None
    """None: `incidents: off`."""
    switches: Switches | None = None
    """None: no kill switch is on."""
    server_secret: bytes | None = None
    """Key of HMAC key hashes (`secrets.key_hash`)."""
    warnings: tuple[str, ...] = ()
    """What `tollway check` also says, such as options this version accepts but does not enforce."""
