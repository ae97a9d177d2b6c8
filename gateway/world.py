"""The World: what outlives a reload. Pools, journal, health, metrics, and the exchanges under way.

A request takes one `Snapshot` from `configuration` at accept; everything else it needs of the process is here.
"""

import asyncio
import random
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from gateway import beside
from gateway.books import Books
from gateway.budget_events import BudgetEvents
from gateway.clock import Ids
from gateway.conversation import Conversations
from gateway.detectors import Detectors
from gateway.endings import Endings
from gateway.errors import Overloaded, TransportError
from gateway.facts import Exchange
from gateway.forecasts import watch_forecasts
from gateway.inspection import Rewriters
from gateway.ledger.bills import Bills
from gateway.ledger.findings import take
from gateway.ledger.journal import Journal
from gateway.limits.learned import LearnedOutput
from gateway.limits.memory import MemoryStore
from gateway.limits.tally import Tally, What
from gateway.limits.turnstile import Turnstiles
from gateway.limits.waiting import WaitingRoom
from gateway.operations import JUDGEMENT
from gateway.outbox import Outbox
from gateway.pseudonyms.store import MemoryConversations
from gateway.quota import Admitted, Bound, Charge
from gateway.ride import Live, StopReason
from gateway.routing.circuits import Circuits, Flip
from gateway.routing.health import Health
from gateway.routing.table import Provider
from gateway.routing.troubles import Trouble, Troubles
from gateway.seams import Clock, LimitStore, Transport
from gateway.settings.guardrail_programs import NOTHING_OUTSIDE, GuardrailPrograms
from gateway.settings.reload import Configuration, ReloadResult
from gateway.settings.snapshot import Snapshot
from gateway.settings.state import StateFile
from gateway.settings.watch import watch_files
from gateway.slices import Slices
from gateway.tasks import TaskGroup
from gateway.telemetry.access import AccessLog
from gateway.telemetry.exporter import FLUSH
from gateway.telemetry.logs import alert, info
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.spans import reload_span
from gateway.telemetry.traces import Traces
from gateway.tickets import Tickets
from gateway.tracing import follow, open_push
from gateway.transport.pool import OriginStats, Pool
from gateway.webhooks.deliver import Deliverer
from gateway.webhooks.signing import Endpoint
from gateway.webhooks.spool import Spool
from guardrails.governor import Governor
from pricing.tokens import TokenCounter

MOST_UNCOUNTED = 256
"""Exchanges that may wait for a vocabulary to be loaded."""


class World:
    """One worker process's lasting state."""

    def __init__(
        self,
        configuration: Configuration,
        clock: Clock,
        journal: Journal | None,
        metrics: Metrics | None,
        traces: Traces | None = None,
    ) -> None:
        self.configuration = configuration
        self.clock = clock
        self.journal = journal
        self.metrics = metrics
        self.traces = traces
        """None: `telemetry.otlp` is empty, and nothing is traced; decided at the start."""
        self.access_log = AccessLog(configuration.snapshot.telemetry.access_log)
        self.counts = journal is not None or metrics is not None
        """Somebody keeps count of tokens; else only a price has use for them."""
        self.ids = Ids()
        self.chance = random.Random()  # noqa: S311 - spreads load, guards nothing
        self.health = Health()
        self.circuits = Circuits(_flipped)
        self.troubles = Troubles(_troubled)
        self.tokens = TokenCounter()
        self.pool = Pool()
        self.limits: LimitStore = MemoryStore(clock)
        self.conversations = Conversations(MemoryConversations(clock))
        self.tally = Tally()
        self.learned = LearnedOutput()
        self.turnstiles = Turnstiles(clock.monotonic)
        self.waiting_room = WaitingRoom(clock.monotonic)
        self.tickets = Tickets()
        self.rewriters = Rewriters()
        self.slices = Slices(clock.monotonic)
        self.tasks = TaskGroup(_failed)
        self.detectors = Detectors(clock, self.tasks)
        self.live: set[Live] = set()
        self.endings = Endings(clock.monotonic, lambda: len(self.live))
        self.leaving = False
        """The process was told to stop; `/readyz` says so."""
        self.draining = False
        """And takes no new requests any more."""
        self.state_file: StateFile | None = None
        spool = Spool(_spool_directory(self.snapshot))
        self.deliverer = Deliverer(spool, self._webhooks, clock, alert)
        self.events = BudgetEvents(
            spool, self._webhooks, clock, alert, self.deliverer, lambda bounds: self.limits.levels(bounds), self.tasks
        )
        self._other: Transport | None = None
        self._outbox: Outbox | None = None
        self._governed: GuardrailPrograms | None = None
        self._governor: Governor | None = None
        self._uncounted: list[Callable[[], None]] = []
        self._loading = False
        self.workers = self.snapshot.server.workers
        self._learns = False
        """Some admissions reserve what answers have come to."""
        self._set_capacities()
        sinks = [sink for sink in (metrics, self.access_log, traces) if sink is not None]
        self.bills = Bills(None if self.snapshot.ledger is None else Path(self.snapshot.ledger.journal) / "bills")
        self.books = Books(journal, sinks, self._settle_limits, self.defect)

    @property
    def snapshot(self) -> Snapshot:
        return self.configuration.snapshot

    @property
    def governor(self) -> Governor | None:
        """Who demotes guardrail rules that are too slow or act too often; None: none in force has bounds. It is the
        one of the configuration in force for requests that began before a reload, too."""
        programs = self.snapshot.guardrails
        if self._governed is not programs:
            self._govern(self._governed, programs)
        return self._governor

    def _govern(self, old: GuardrailPrograms | None, new: GuardrailPrograms | None) -> None:
        """Follow a reload. A rule that it did not change stays where it is; a changed one begins anew, enforced."""
        earlier, now = self._governor, self.clock.monotonic()
        over = set[str]() if earlier is None else set(earlier.ended(now))
        self._governed, self._governor = new, Governor(new.bounds) if new is not None and new.bounds else None
        if self._governor is not None and earlier is not None and old is not None and new is not None:
            same = {rule for rule, written in new.governed.items() if old.governed.get(rule) == written}
            self._governor.take_over(earlier, same)
        if earlier is not None:
            over |= earlier.demoted(now) - (frozenset() if self._governor is None else self._governor.demoted(now))
        for rule in sorted(over & (set() if new is None else new.enforced())):
            info("guardrail_restored", rule=rule)

    def outbox_of(self, loop: asyncio.AbstractEventLoop) -> Outbox:
        """The outbox of the loop this process serves on."""
        if self._outbox is None:
            self._outbox = self.pool.outbox = Outbox(loop)
        return self._outbox

    def transport(self, provider: Provider) -> Transport:
        """The transport a provider is reached by. httpx is only imported when a provider needs it."""
        if provider.transport == "pool":
            return self.pool
        if self._other is None:
            from gateway.transport.httpx_transport import HttpxTransport

            self._other = HttpxTransport()
        return self._other

    def when_countable(self, model: str, settle: Callable[[], None]) -> None:
        """Call `settle` now if the vocabulary of `model` is loaded; else load it on a thread (half a second, once in a
        process) and settle then. What waits is bounded, and nothing is lost: at the end of the process, and beyond the
        bound, it is settled by an estimate."""
        if self.tokens.ready(model) or self.draining or len(self._uncounted) >= MOST_UNCOUNTED:
            return settle()
        self._uncounted.append(settle)
        if not self._loading:
            self._loading = True
            self.tasks.start(self._load_vocabulary(model), "load vocabulary")

    async def _load_vocabulary(self, model: str) -> None:
        try:
            await asyncio.to_thread(self.tokens.load, model)
        finally:
            self._loading = False
            self.settle_uncounted()

    def settle_uncounted(self) -> None:
        """Settle everything that waits for a vocabulary."""
        waiting, self._uncounted = self._uncounted, []
        for settle in waiting:
            settle()

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
        """Close the books on one exchange, before this turn of the event loop is over."""
        ledger = self.configuration.snapshot.ledger
        if ledger is not None and ledger.findings is not None:
            take(x, ledger.findings)
        if x.job:
            self.bills.claim(x.provider, x.job, x.received_ns / 1e9)
        self.books.record(x)

    def _settle_limits(self, x: Exchange) -> None:
        """What an exchange truly took of the limits. One that was refused took nothing but its turn."""
        usage, nanos = x.usage, x.cost.nanos or 0
        used = Charge(nanos=nanos) if usage is None else Charge(usage.input_tokens, usage.output_tokens, nanos)
        holds = x.holds
        if len(holds) == 1 and not x.judged_nanos:
            self.limits.settle(holds[0], used)
        else:
            judged = msgspec.structs.replace(used, nanos=nanos + x.judged_nanos)
            for hold in holds:
                self.limits.settle(hold, judged if hold == x.id else used)
        if self.waiting_room.lines:
            self.waiting_room.settled(x.bounds)
        if self._learns and not _judges(x):
            self._learn(x, used)

    def _learn(self, x: Exchange, used: Charge) -> None:
        """How long such answers are, for admissions that reserve what is likely."""
        if used.output_tokens and not x.usage_estimated and x.caller is not None and x.reading is not None:
            self.learned.observe(x.caller.team, x.reading.model, used.output_tokens)

    def limit_refused(self, bound: Bound, what: What) -> None:
        """A limit or budget refused a request, or sent it to a cheaper model."""
        self.tally.add(bound, what)
        self.events.emit("budget.exhausted", bound)

    def limit_crossed(self, decision: Admitted) -> None:
        """A request was let through that took a bound past its soft threshold, or past the whole of one that only
        warns."""
        self.tally.admitted(decision)
        for bound in decision.crossed:
            self.events.emit("budget.soft", bound)
            info("limit_soft", rule=bound.rule.id, counter=bound.key, amount=bound.rule.amount)
        for bound in decision.over:
            self.events.emit("budget.exhausted", bound)

    def defect(self, x: Exchange, error: Exception) -> None:
        """Report an error of ours by class and place: its text might quote the request."""
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
        traced = {} if self.traces is None else {"trace_id": self.traces.trace_id(x)}
        alert("defect", error=type(error).__name__, place=place, exchange=x.id, **traced)

    async def start(self, port: int) -> None:
        """Begin what runs beside the requests: limit store, state file, key watch, file watch, and a tick a second."""
        await beside.open_limits(self)
        self.state_file = StateFile(self.configuration, port)
        self.configuration.subscribe(self._reloaded)
        self._write_state()
        await self._prepare_detectors(patient=True)
        if self.snapshot.ledger is not None:
            await beside.watch_ledger(self, self.snapshot.ledger)
        if isinstance(self.limits, MemoryStore):
            self.tasks.start(beside.watch_clock(self, self.limits, self.snapshot.ledger), "watch the clock")
        if self.traces is not None:
            self.traces.start(asyncio.get_running_loop())
        self.tasks.start(watch_files(self.configuration, self.reload), "watch files")
        self.tasks.start(self._tick(), "tick")
        self.tasks.start(self.deliverer.run(), "deliver webhooks")
        self.tasks.start(self.events.run(), "spool events")
        self.tasks.start(watch_forecasts(self), "watch forecasts")
        if self.metrics is not None:
            self.tasks.start(self.metrics.keep_publishing(), "publish metrics")
            if (push := open_push(self.snapshot, self.metrics, self.clock)) is not None:
                self.tasks.start(push.run(), "push metrics")
            beside.watch_incidents(self, self.metrics)

    def _webhooks(self) -> tuple[Endpoint, ...]:
        """Everybody who is told of something."""
        snapshot = self.snapshot
        return snapshot.webhooks if snapshot.incidents is None else snapshot.webhooks + snapshot.incidents.endpoints

    async def reload(self, reason: str) -> ReloadResult:
        """Read the configuration again, off the event loop."""
        result = await asyncio.to_thread(self.configuration.reload, reason)
        self._set_capacities()
        await beside.follow_limits(self)
        await self._prepare_detectors(patient=False)
        return result

    def _set_capacities(self) -> None:
        """Each worker keeps its part of a provider's capacity, of how many workers is only known at the start; and what
        else admission and settlement ask of the configuration each time."""
        self.waiting_room.queue = self.snapshot.limit_options.queue
        self._learns = self.snapshot.limit_options.reserve != "upper"
        self.turnstiles.resize(
            {
                provider.name: provider.capacity and provider.capacity.part(self.workers)
                for provider in self.snapshot.routes.providers()
            }
        )

    async def _prepare_detectors(self, *, patient: bool) -> None:
        """Have the detectors outside of the engine that the configuration names, and end those it does not name."""
        programs = self.snapshot.guardrails
        outside = NOTHING_OUTSIDE if programs is None else programs.outside
        if outside.sources or self.detectors.current:
            await self.detectors.prepare(outside, patient=patient)

    def pool_stats(self) -> Sequence[OriginStats]:
        return self.pool.stats()

    async def _tick(self) -> None:
        """Once a second: retry a journal that could not be written, and say when that changes; tell of guardrail rules
        that were in shadow long enough."""
        journal, known = self.journal, True
        while True:
            await asyncio.sleep(1.0)
            governor = self.governor
            for rule in () if governor is None else governor.ended(self.clock.monotonic()):
                info("guardrail_restored", rule=rule)
            if journal is None:
                continue
            if journal.healthy != known:
                known = journal.healthy
                alert("journal_healthy" if known else "journal_unhealthy", reason=journal.reason)
            journal.tick()

    def _reloaded(self, result: ReloadResult) -> None:
        """Called on the thread that reloaded."""
        self._write_state()
        self.access_log.follow(self.snapshot.telemetry.access_log)
        if self.traces is not None:
            follow(self.traces, self.snapshot)
            now_ns, changed = self.clock.now_ns(), len(result.difference)
            id_ = Ids().uuid7(now_ns)
            self.traces.note(reload_span(id_, now_ns, result.ok, result.reason, result.new_hash, changed))
        if result.ok:
            info("config_reloaded", reason=result.reason, hash=result.new_hash, changed=len(result.difference))
        else:
            alert("config_reload_failed", reason=result.reason, problems=(result.error or "").splitlines())

    def _write_state(self) -> None:
        if self.state_file is not None:
            try:
                self.state_file.write()
            except OSError as error:
                alert("state_file_not_written", reason=error.strerror or "")

    def stop_all(self, reason: StopReason) -> None:
        """Interrupt every exchange under way."""
        for live in list(self.live):
            live.stop(reason)

    async def aclose(self) -> None:
        """End everything. Called when no exchange is under way any more."""
        self.slices.close()
        await self.detectors.aclose()
        await self.tasks.close()
        self.settle_uncounted()
        self.books.close()
        await self.limits.aclose()
        await self.pool.aclose()
        if self._other is not None:
            await self._other.aclose()
        if self.journal is not None:
            self.journal.close()
        if self.traces is not None:
            await self.traces.aclose(min(FLUSH, max(1.0, self.snapshot.server.drain)))
        if self.metrics is not None:
            self.metrics.close()
        if self.state_file is not None:
            self.state_file.remove()


def _judges(x: Exchange) -> bool:
    """Whether it is a guardrail's model that was asked, and not the model that the client named."""
    return x.operation is not None and x.operation.name == JUDGEMENT


def _flipped(flip: Flip) -> None:
    """Say once that a circuit opened, and that it closed; not how often it is tried meanwhile."""
    if flip.to == "closed":
        info("breaker_closed", provider=flip.provider, model=flip.model)
    elif not flip.again:
        alert("breaker_opened", provider=flip.provider, model=flip.model, seconds=flip.seconds)


def _troubled(trouble: Trouble) -> None:
    alert(
        "upstream_failed",
        provider=trouble.provider,
        error=trouble.error,
        reason=trouble.reason,
        untold=trouble.untold,
    )


def _spool_directory(snapshot: Snapshot) -> Path:
    """Beside the journal; without a ledger, where the workers leave their state."""
    return Path(snapshot.server.runtime_dir if snapshot.ledger is None else snapshot.ledger.journal) / "webhooks"


def _failed(name: str, error: BaseException) -> None:
    alert("background_task_failed", task=name, error=type(error).__name__, detail=_detail(error))


def _detail(error: BaseException) -> str:
    """Only our own errors' texts are known to be free of secrets."""
    return str(error) if isinstance(error, TransportError) else ""
