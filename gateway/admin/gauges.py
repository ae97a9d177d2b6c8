"""Joins the World to its metrics: figures that others own and that are asked for when somebody scrapes."""

from collections.abc import Callable, Iterator

from gateway import __version__
from gateway.admin.limit_gauges import join_limits
from gateway.admin.state import url_of
from gateway.admin.world import AdminWorld
from gateway.ledger.journal import Journal
from gateway.ledger.status import read_status
from gateway.limits.turnstile import WAIT_BOUNDS, Turnstiles
from gateway.routing.breaker import STATES
from gateway.routing.circuits import key_of
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.page import Family, Labels, Waits
from gateway.telemetry.process import pull_process
from gateway.telemetry.traces import Traces

Samples = Iterator[tuple[Labels, float]]

IN_FLIGHT = Family("tollway_in_flight", "Exchanges under way.", "gauge")
CREDENTIAL = Family(
    "tollway_credential_down",
    "1 while a provider's credential is held back because the provider refused it.",
    "gauge",
    ("provider",),
    "max",
)
PAUSED = Family(
    "tollway_provider_paused",
    "Models of a provider that are held back because it answered 429 or 503; the worker with most counts.",
    "gauge",
    ("provider",),
    "max",
)
FAILURES = Family(
    "tollway_upstream_failures",
    "Failures of providers below HTTP, before an answer began and in its middle, by kind.",
    "counter",
    ("provider", "error"),
)
CONVERSATIONS = Family(
    "tollway_guardrail_conversations",
    "Requests in a conversation whose pseudonyms are kept, by what became of them: begun, resumed, away (the store), "
    "not_kept; unreadable counts values.",
    "counter",
    ("outcome",),
)
DEMOTED = Family(
    "tollway_guardrail_demoted",
    "Workers in which a guardrail rule only watches, because it was beyond its bounds.",
    "gauge",
    ("rule",),
)
DEMOTIONS = Family(
    "tollway_guardrail_demotions",
    "Times a guardrail rule was beyond its bounds and taken to shadow, in all workers, since it was changed.",
    "counter",
    ("rule", "reason"),
)
BREAKER = Family(
    "tollway_breaker_state",
    "Circuit breaker of a provider's model: 0 closed, 1 half-open, 2 open; the worker it is worst in counts.",
    "gauge",
    ("provider", "model"),
    "max",
)
BREAKER_OPENED = Family(
    "tollway_breaker_opened",
    "Times a circuit breaker opened, probes that failed among them, in all workers.",
    "counter",
    ("provider", "model"),
)
CONFIG = Family(
    "tollway_config_info",
    "Configurations in force; two at one time mean that workers differ.",
    "gauge",
    ("hash",),
    "max",
)
RELOADS = Family(
    "tollway_config_reload", "Reloads of the configuration that were tried, in all workers.", "counter", ("result",)
)
CONFIG_TIME = Family(
    "tollway_config_loaded_timestamp_seconds", "When the configuration in force was loaded.", "gauge", (), "min"
)
DRAINING = Family("tollway_draining", "Workers that are shutting down.", "gauge")
BUILD = Family("tollway_build_info", "Version of Tollway.", "gauge", ("version",), "max")
WORKERS = Family("tollway_workers", "Worker processes that are running.", "gauge")
POOL = Family(
    "tollway_pool_connections",
    "Connections to providers (in_use, idle) and requests that wait for one (waiting).",
    "gauge",
    ("origin", "state"),
)
CAPACITY = Family(
    "tollway_capacity_requests",
    "Places at providers of limited capacity: there are (limit), are taken (in_use), are waited for (waiting).",
    "gauge",
    ("provider", "state"),
)
CAPACITY_GRANTED = Family(
    "tollway_capacity_granted", "Places at providers of limited capacity that were given.", "counter", ("provider",)
)
CAPACITY_REFUSED = Family(
    "tollway_capacity_refused",
    "Requests that got no place: the line was full, or their wait was over (late).",
    "counter",
    ("provider", "reason"),
)
CAPACITY_WAITS = Waits(
    "tollway_capacity_wait_seconds",
    "How long requests waited for a place; those that found one free are not among them.",
    "provider",
    WAIT_BOUNDS,
    {},
)
ADMISSION_WAITING = Family("tollway_admission_waiting", "Requests that wait for a limit to let them in.", "gauge")
ADMISSION_WAITED = Family(
    "tollway_admission_waited",
    "Requests that might wait for a limit: admitted after a wait, or refused (full: no room; late: wait over).",
    "counter",
    ("outcome",),
)
JOURNAL_BYTES = Family("tollway_journal_bytes", "Bytes written to the journal.", "counter")
JOURNAL_RECORDS = Family("tollway_journal_records", "Lines written to the journal.", "counter")
JOURNAL_FAILURES = Family(
    "tollway_journal_failures", "Writes, syncs and rotations of the journal that failed.", "counter"
)
JOURNAL_DROPPED = Family(
    "tollway_journal_dropped", "Exchanges that are in no journal and are lost to the books.", "counter"
)
JOURNAL_QUEUED = Family("tollway_journal_queued", "Lines that wait for the journal to be writable.", "gauge")
JOURNAL_HEALTHY = Family("tollway_journal_healthy", "1 while every worker can write its journal.", "gauge", (), "min")
LAG_SECONDS = Family(
    "tollway_ledger_lag_seconds",
    "Since the database last held all the journal does; 0 when it does.",
    "gauge",
    (),
    "max",
)
LAG_BYTES = Family("tollway_ledger_lag_bytes", "Journal bytes that are not in the database.", "gauge", (), "max")
LOADER_UP = Family(
    "tollway_ledger_loader_up", "1 while the loader reports and reaches the database.", "gauge", (), "min"
)
REJECTED = Family(
    "tollway_ledger_rejected_lines",
    "Journal lines that could not be loaded, since the loader began.",
    "gauge",
    (),
    "max",
)
WEBHOOKS = Family(
    "tollway_webhook_deliveries",
    "Deliveries of webhooks: taken (delivered), attempts that failed (failed), and given up (dead).",
    "counter",
    ("result",),
)
WEBHOOKS_PENDING = Family("tollway_webhook_pending", "Webhooks that wait to be delivered.", "gauge")
DEAD_LETTERS = Family(
    "tollway_webhook_dead_letters", "Webhooks that were given up, and are kept for a person.", "gauge"
)

TRACE_SPANS = Family(
    "tollway_trace_spans",
    "Spans a collector has taken (exported), or that were given up (failed).",
    "counter",
    ("end",),
)
TRACE_DROPPED = Family(
    "tollway_trace_exchanges_dropped", "Exchanges that were to be traced and found the queue full.", "counter"
)
TRACE_CONTENT_DROPPED = Family(
    "tollway_trace_content_dropped",
    "Exchanges whose trace is without what was said, because too much of it waits.",
    "counter",
)
TRACE_DEFECTS = Family("tollway_trace_defects", "Exchanges no spans could be made of: a defect.", "counter")
TRACE_QUEUED = Family("tollway_trace_exchanges_queued", "Traces that wait to be sent.", "gauge")

LOADER_STALE = 30.0
"""Seconds of silence after which the loader counts as down."""


def join_metrics(world: AdminWorld, metrics: Metrics) -> None:
    """Register everything the World knows with `metrics`."""
    pull_process(metrics)
    metrics.pull_one(WORKERS, lambda: 1)
    metrics.pull(BUILD, lambda: [((__version__,), 1)])
    metrics.pull_one(IN_FLIGHT, lambda: len(world.live))
    metrics.pull_one(DRAINING, lambda: world.draining)
    metrics.pull(CONFIG, lambda: [((world.configuration.snapshot.hash,), 1)])
    metrics.pull(RELOADS, lambda: [((result,), count) for result, count in world.configuration.reloads.items()])
    metrics.pull_one(CONFIG_TIME, lambda: world.configuration.snapshot.loaded_ns / 1e9)
    metrics.pull(CONVERSATIONS, lambda: [((said,), count) for said, count in world.conversations.counts.items()])
    metrics.pull(FAILURES, lambda: list(world.troubles.counts.items()))
    metrics.pull(CREDENTIAL, lambda: _credentials(world))
    metrics.pull(PAUSED, lambda: _paused(world))
    metrics.pull(BREAKER, lambda: _circuits(world))
    metrics.pull(DEMOTED, lambda: _demoted(world))
    metrics.pull(DEMOTIONS, lambda: _demotions(world))
    metrics.pull(BREAKER_OPENED, lambda: _circuits_opened(world))
    metrics.pull(POOL, lambda: _pool(world))
    _join_sharing(world, metrics)
    join_limits(world, metrics)
    metrics.pull(WEBHOOKS, lambda: _webhooks(world))
    metrics.pull_one(WEBHOOKS_PENDING, lambda: 0 if world.deliverer is None else world.deliverer.pending)
    metrics.pull_one(DEAD_LETTERS, lambda: 0 if world.deliverer is None else world.deliverer.dead_letters)
    if world.journal is not None:
        _join_journal(world, metrics, world.journal)
    if world.traces is not None:
        _join_traces(metrics, world.traces)


def _join_traces(metrics: Metrics, traces: Traces) -> None:
    exporter = traces.exporter
    metrics.pull(TRACE_SPANS, lambda: [(("exported",), exporter.exported), (("failed",), exporter.failed)])
    metrics.pull_one(TRACE_CONTENT_DROPPED, lambda: traces.content_dropped)
    metrics.pull_one(TRACE_DEFECTS, lambda: traces.defects)
    metrics.pull_one(TRACE_DROPPED, lambda: traces.dropped)
    metrics.pull_one(TRACE_QUEUED, lambda: traces.queued)


def _join_sharing(world: AdminWorld, metrics: Metrics) -> None:
    turnstiles, room = world.turnstiles, world.waiting_room
    metrics.pull(CAPACITY, lambda: _places(turnstiles))
    metrics.pull(CAPACITY_GRANTED, lambda: [((each.provider,), each.granted) for each in turnstiles])
    metrics.pull(
        CAPACITY_REFUSED,
        lambda: [((each.provider, why), count) for each in turnstiles for why, count in each.refused.items()],
    )
    metrics.pull_waits(CAPACITY_WAITS, lambda: [(each.provider, each.waits, each.waited) for each in turnstiles])
    metrics.pull_one(ADMISSION_WAITING, lambda: room.waiting)
    metrics.pull(
        ADMISSION_WAITED,
        lambda: [(("admitted",), room.admitted), *(((why,), count) for why, count in room.refused.items())],
    )


def _places(turnstiles: Turnstiles) -> Samples:
    for each in turnstiles:
        yield (each.provider, "in_use"), each.in_use
        yield (each.provider, "waiting"), each.waiting
        if each.limited:
            yield (each.provider, "limit"), each.concurrent


def _join_journal(world: AdminWorld, metrics: Metrics, journal: Journal) -> None:
    figures: tuple[tuple[Family, Callable[[], float]], ...] = (
        (JOURNAL_BYTES, lambda: journal.bytes),
        (JOURNAL_RECORDS, lambda: journal.records),
        (JOURNAL_FAILURES, lambda: journal.failures),
        (JOURNAL_DROPPED, lambda: journal.dropped),
        (JOURNAL_QUEUED, lambda: journal.stats().queued),
        (JOURNAL_HEALTHY, lambda: journal.healthy),
    )
    for family, read in figures:
        metrics.pull_one(family, read)
    metrics.pull(LAG_SECONDS, lambda: _loader(world, journal, LAG_SECONDS))
    metrics.pull(LAG_BYTES, lambda: _loader(world, journal, LAG_BYTES))
    metrics.pull(REJECTED, lambda: _loader(world, journal, REJECTED))
    metrics.pull(LOADER_UP, lambda: _loader(world, journal, LOADER_UP))


def _webhooks(world: AdminWorld) -> Samples:
    deliverer = world.deliverer
    if deliverer is not None:
        yield ("delivered",), deliverer.delivered
        yield ("failed",), deliverer.failed
        yield ("dead",), deliverer.dead


def _credentials(world: AdminWorld) -> Samples:
    """0 is said too, so that an alert resolves instead of vanishing."""
    down = set(world.health.down(world.clock.monotonic()))
    for provider in world.configuration.snapshot.routes.providers():
        yield (provider.name,), provider.name in down


def _paused(world: AdminWorld) -> Samples:
    paused = world.health.paused(world.clock.monotonic())
    for provider in world.configuration.snapshot.routes.providers():
        yield (provider.name,), paused.get(provider.name, 0)


def _demoted(world: AdminWorld) -> Samples:
    """0 is said of every rule that has bounds, so that an alert resolves instead of vanishing."""
    governor = world.governor
    if governor is not None:
        demoted = governor.demoted(world.clock.monotonic())
        for rule in governor.rules:
            yield (rule,), rule in demoted


def _demotions(world: AdminWorld) -> Samples:
    governor = world.governor
    if governor is not None:
        yield from governor.counts.items()


def _circuits(world: AdminWorld) -> Samples:
    """0 is said of every target that is written, so that an alert resolves instead of vanishing."""
    found = dict.fromkeys(_targets(world), 0)
    for key, state in world.circuits.states(world.clock.monotonic()):
        found[key] = STATES.index(state)
    yield from found.items()


def _circuits_opened(world: AdminWorld) -> Samples:
    yield from {**dict.fromkeys(_targets(world), 0), **world.circuits.opened}.items()


def _targets(world: AdminWorld) -> Iterator[tuple[str, str]]:
    """Provider and model of each target, but for wildcards, and for providers without a breaker."""
    routes = world.configuration.snapshot.routes
    for route in (*routes.exact.values(), *routes.wildcards):
        for target in route.targets:
            if "*" not in target.model and target.provider.breaker is not None:
                yield key_of(target)


def _pool(world: AdminWorld) -> Samples:
    # Two pools may share a URL and differ in TLS options: they are one line here.
    sums: dict[Labels, float] = {}
    for stats in world.pool_stats():
        url = url_of(stats.origin)
        for state, count in (("idle", stats.idle), ("in_use", stats.in_use), ("waiting", stats.waiting)):
            sums[url, state] = sums.get((url, state), 0) + count
    yield from sums.items()


def _loader(world: AdminWorld, journal: Journal, family: Family) -> Samples:
    status = read_status(journal.directory)
    if status is None:
        return
    age = (world.clock.now_ns() - status.updated_ns) / 1e9
    if family is LOADER_UP:
        yield (), age < LOADER_STALE and status.database == "ok"
    elif family is LAG_SECONDS:
        # What the loader last said, plus the time it has not spoken since: a dead loader is a growing lag.
        yield (), status.lag_seconds + (age if age >= LOADER_STALE else 0.0)
    elif family is LAG_BYTES:
        yield (), status.lag_bytes
    else:
        yield (), status.rejected
