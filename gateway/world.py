"""The World: what outlives a reload. Pools, journal, health, metrics, and the exchanges under way.

A request takes one `Snapshot` from `configuration` at accept; everything else it needs of the process is here.
"""

import asyncio
import contextlib
import os
import random
import socket
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.budget_events import BudgetEvents
from gateway.budgets import restore
from gateway.clock import Ids
from gateway.errors import Overloaded, TransportError
from gateway.facts import Exchange
from gateway.forecasts import watch_forecasts
from gateway.incidents.watch import IncidentWatch
from gateway.inspection import Rewriters
from gateway.ledger.journal import Journal
from gateway.ledger.keystore import KeyStore
from gateway.ledger.store import open_engine
from gateway.limits.learned import LearnedOutput
from gateway.limits.memory import MemoryStore
from gateway.limits.stores import is_up, open_store
from gateway.limits.tally import Tally, What
from gateway.limits.turnstile import Turnstiles
from gateway.limits.waiting import WaitingRoom
from gateway.outbox import Outbox
from gateway.quota import Admitted, Bound, Charge
from gateway.ride import Live, StopReason
from gateway.routing.health import Health
from gateway.routing.table import Provider
from gateway.seams import Clock, LimitStore, Transport
from gateway.settings.adjustments_watch import AdjustmentWatch, LedgerAdjustments
from gateway.settings.keys_watch import KeyWatch
from gateway.settings.reload import Configuration, ReloadResult
from gateway.settings.snapshot import LedgerOptions, Snapshot
from gateway.settings.state import StateFile
from gateway.settings.switches_watch import LedgerSwitches, SwitchWatch
from gateway.settings.watch import watch_files
from gateway.tasks import TaskGroup
from gateway.telemetry.logs import alert, info
from gateway.telemetry.metrics import Metrics
from gateway.transport.pool import OriginStats, Pool
from gateway.webhooks.deliver import Deliverer
from gateway.webhooks.signing import Endpoint
from gateway.webhooks.spool import Spool
from guardrails.governor import Governor
from pricing.tokens import TokenCounter

MOST_UNCOUNTED = 256
"""Exchanges that may wait for a vocabulary to be loaded."""
STORE_LOOK, STORE_LOOKS = 0.02, 25
"""How often, and how many times, the start looks whether a shared limit store is there."""
FIRST_LOOK = 3.0
"""Seconds the start waits for the database's keys; a database that is away must not keep the gateway from serving."""


class World:
    """One worker process's lasting state."""

    def __init__(
        self, configuration: Configuration, clock: Clock, journal: Journal | None, metrics: Metrics | None
    ) -> None:
        self.configuration = configuration
        self.clock = clock
        self.journal = journal
        self.metrics = metrics
        self.counts = journal is not None or metrics is not None
        """Somebody keeps count of tokens; else only a price has use for them."""
        self.ids = Ids()
        self.chance = random.Random()  # noqa: S311 - spreads load, guards nothing
        self.health = Health()
        self.tokens = TokenCounter()
        self.pool = Pool()
        self.limits: LimitStore = MemoryStore(clock)
        self.tally = Tally()
        self.learned = LearnedOutput()
        self.turnstiles = Turnstiles(clock.monotonic)
        self.waiting_room = WaitingRoom(clock.monotonic)
        self.rewriters = Rewriters()
        self.tasks = TaskGroup(_failed)
        self.live: set[Live] = set()
        self.draining = False
        self.state_file: StateFile | None = None
        spool = Spool(_spool_directory(self.snapshot))
        self.deliverer = Deliverer(spool, self._webhooks, clock, alert)
        self.events = BudgetEvents(spool, self._webhooks, clock, alert, self.deliverer)
        self._other: Transport | None = None
        self._outbox: Outbox | None = None
        self._governed: object = None
        self._governor: Governor | None = None
        self._uncounted: list[Callable[[], None]] = []
        self._loading = False
        self._workers = self.snapshot.server.workers
        self._set_capacities()
        self._flushes = False
        """The journal is to be flushed when this turn of the event loop is over."""

    @property
    def snapshot(self) -> Snapshot:
        return self.configuration.snapshot

    def governor_of(self, snapshot: Snapshot) -> Governor | None:
        """Who demotes guardrail rules that are too slow or act too often; None: no rule has bounds. A reload that
        changes guardrails begins anew."""
        programs = snapshot.guardrails
        if programs is None or not programs.bounds:
            return None
        if self._governed is not programs:
            self._governed, self._governor = programs, Governor(programs.bounds)
        return self._governor

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
        """Close the books on one exchange: settle what it holds of the limits, write it down, count it. Whoever is not
        known has no page in the books, but is counted."""
        if x.holds:
            self._settle_limits(x)
        if self.journal is not None and x.caller is not None and self.journal.finish_soon(x) and not self._flushes:
            self._flushes = True
            asyncio.get_running_loop().call_soon(self._flush)
        if self.metrics is not None:
            self.metrics.record(x)

    def _settle_limits(self, x: Exchange) -> None:
        used = used_by(x)
        for hold in x.holds:
            self.limits.settle(hold, used)
        self.waiting_room.settled(x.bounds)
        if self.snapshot.limit_options.reserve == "upper":
            return
        if used.output_tokens and not x.usage_estimated and x.caller is not None and x.reading is not None:
            self.learned.observe(x.caller.team, x.reading.model, used.output_tokens)

    def limit_refused(self, bound: Bound, what: What) -> None:
        """A limit or budget refused a request, or sent it to a cheaper model."""
        self.tally.add(bound, what)

    def limit_crossed(self, decision: Admitted) -> None:
        """A request was let through that took a bound past its soft threshold, or past the whole of one that only
        warns."""
        self.tally.admitted(decision)
        for bound in decision.crossed:
            info("limit_soft", rule=bound.rule.id, counter=bound.key, amount=bound.rule.amount)

    def _flush(self) -> None:
        self._flushes = False
        if self.journal is not None:
            self.journal.flush()

    def defect(self, x: Exchange, error: Exception) -> None:
        """Report an error of ours by class and place: its text might quote the request."""
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
        alert("defect", error=type(error).__name__, place=place, exchange=x.id)

    async def start(self, port: int) -> None:
        """Begin what runs beside the requests: limit store, state file, key watch, file watch, and a tick a second."""
        await self._open_limits()
        self.state_file = StateFile(self.configuration, port)
        self.configuration.subscribe(self._reloaded)
        self._write_state()
        ledger = self.snapshot.ledger
        if ledger is not None:
            keys = KeyWatch(self.configuration, await asyncio.to_thread(_key_store, ledger.url))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(keys.look), FIRST_LOOK)
            self.tasks.start(keys.run(), "watch keys")
            await self._watch_adjustments(ledger)
            await self._watch_switches(ledger)
            await self._restore_limits(ledger)
        self.tasks.start(watch_files(self.configuration, self.reload), "watch files")
        self.tasks.start(self._tick(), "tick")
        self.tasks.start(self.deliverer.run(), "deliver webhooks")
        self.tasks.start(self.events.run(), "spool events")
        self.tasks.start(watch_forecasts(self), "watch forecasts")
        if self.metrics is not None:
            self.tasks.start(self.metrics.keep_publishing(), "publish metrics")
            self._watch_incidents(self.metrics)

    async def _open_limits(self) -> None:
        """Open the shared limit store, if one is configured, and give it a moment to be there; a store that is away
        must not keep the gateway from serving."""
        options = self.snapshot.limit_options
        if options.store.startswith("memory:"):
            return
        store = open_store(
            options.store,
            clock=self.clock,
            worker=f"{socket.gethostname()}:{os.getpid()}",
            workers=self._workers,
            patience=options.patience,
            on_state=self._limit_store_state,
        )
        self.limits = store
        for _ in range(STORE_LOOKS):
            if is_up(store):
                break
            await asyncio.sleep(STORE_LOOK)

    def _limit_store_state(self, up: bool, reason: str) -> None:
        if up:
            info("limit_store_up")
        elif not self.draining:
            alert("limit_store_away", reason=reason)

    async def _watch_adjustments(self, ledger: LedgerOptions) -> None:
        store = LedgerAdjustments(await asyncio.to_thread(open_engine, ledger.url), self.clock)
        watch = AdjustmentWatch(self.configuration, store, self.clock, ledger.journal)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(watch.look), FIRST_LOOK)
        self.tasks.start(watch.run(), "watch adjustments")

    async def _watch_switches(self, ledger: LedgerOptions) -> None:
        store = LedgerSwitches(await asyncio.to_thread(open_engine, ledger.url), self.clock)
        watch = SwitchWatch(self.configuration, store, self.clock, ledger.journal)
        watch.recall()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(watch.look), FIRST_LOOK)
        self.tasks.start(watch.run(), "watch switches")

    def _watch_incidents(self, metrics: Metrics) -> None:
        snapshot = self.snapshot
        watch = IncidentWatch(
            lambda: self.snapshot.incidents,
            metrics,
            None if snapshot.ledger is None else snapshot.ledger.url,
            self.deliverer.spool,
            self.deliverer.wake,
            self.clock,
            snapshot.server.runtime_dir,
        )
        self.tasks.start(watch.run(), "watch incidents")

    async def _restore_limits(self, ledger: LedgerOptions) -> None:
        """A monthly budget must not begin at zero because this process did."""
        if not isinstance(self.limits, MemoryStore):
            return
        flush = None if self.journal is None else self.journal.flush
        restoring = restore(
            self.limits, lambda: self.snapshot.limits, ledger.url, self.clock, Path(ledger.journal), flush, _unrestored
        )
        await asyncio.wait({self.tasks.start(restoring, "restore limits")}, timeout=FIRST_LOOK)

    def _webhooks(self) -> tuple[Endpoint, ...]:
        """Everybody who is told of something."""
        snapshot = self.snapshot
        return snapshot.webhooks if snapshot.incidents is None else snapshot.webhooks + snapshot.incidents.endpoints

    async def reload(self, reason: str) -> ReloadResult:
        """Read the configuration again, off the event loop."""
        result = await asyncio.to_thread(self.configuration.reload, reason)
        self._set_capacities()
        return result

    def _set_capacities(self) -> None:
        """Each worker keeps its part of a provider's capacity; of how many workers is only known at the start."""
        self.waiting_room.queue = self.snapshot.limit_options.queue
        self.turnstiles.resize(
            {
                provider.name: provider.capacity and provider.capacity.part(self._workers)
                for provider in self.snapshot.routes.providers()
            }
        )

    def pool_stats(self) -> Sequence[OriginStats]:
        return self.pool.stats()

    async def _tick(self) -> None:
        """Once a second: retry a journal that could not be written, and say when that changes."""
        journal = self.journal
        if journal is None:
            return
        known = True
        while True:
            await asyncio.sleep(1.0)
            if journal.healthy != known:
                known = journal.healthy
                alert("journal_healthy" if known else "journal_unhealthy", reason=journal.reason)
            journal.tick()

    def _reloaded(self, result: ReloadResult) -> None:
        """Called on the thread that reloaded."""
        self._write_state()
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
        await self.tasks.close()
        self.settle_uncounted()
        await self.limits.aclose()
        await self.pool.aclose()
        if self._other is not None:
            await self._other.aclose()
        if self.journal is not None:
            self.journal.close()
        if self.metrics is not None:
            self.metrics.close()
        if self.state_file is not None:
            self.state_file.remove()


def used_by(x: Exchange) -> Charge:
    """What an exchange truly took of the limits. One that was refused took nothing but its turn."""
    usage = x.usage
    if usage is None:
        return Charge(nanos=x.cost.nanos or 0)
    return Charge(usage.input_tokens, usage.output_tokens, x.cost.nanos or 0)


def _spool_directory(snapshot: Snapshot) -> Path:
    """Beside the journal; without a ledger, where the workers leave their state."""
    return Path(snapshot.server.runtime_dir if snapshot.ledger is None else snapshot.ledger.journal) / "webhooks"


def _key_store(url: str) -> KeyStore:
    return KeyStore(open_engine(url))


def _unrestored(reason: str) -> None:
    alert("budgets_not_restored_yet", reason=reason)


def _failed(name: str, error: BaseException) -> None:
    alert("background_task_failed", task=name, error=type(error).__name__, detail=_detail(error))


def _detail(error: BaseException) -> str:
    """Only our own errors' texts are known to be free of secrets."""
    return str(error) if isinstance(error, TransportError) else ""
