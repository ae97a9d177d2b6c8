"""The shell of the incident detector: looks every few seconds, writes what it finds, and tells.

One worker of a gateway does: whoever holds the lock of the runtime directory. What it knows of the past (`History`)
begins anew with it; incidents that are open are read from the ledger. A ledger that is away stops nothing but the
writing: incidents open, are told, and are written when it is back.
"""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Engine

from gateway.errors import LedgerError
from gateway.incidents.book import SHARED, Book, Step
from gateway.incidents.detect import Finding, burn_rates, findings
from gateway.incidents.notify import LASTS_NS, events, repeat
from gateway.incidents.sample import History, Sample, sample_of
from gateway.incidents.spend import HOUR, baseline_hours, judge
from gateway.ledger.incidents import Incident, IncidentStore, Note
from gateway.ledger.store import ensure_schema, open_engine
from gateway.seams import Clock
from gateway.settings.incident_options import IncidentOptions
from gateway.sole import sole
from gateway.telemetry.logs import alert, info
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.page import Family, Page
from gateway.webhooks.spool import Spool

SPEND_EVERY = 60.0
BEAT_EVERY = 60.0
STALE_NS = 900 * 10**9
"""An incident nobody has said to be open for so long is nobody's any more."""
RETRY = 2.0
BURN_RATE = Family(
    "tollway_error_burn_rate",
    "How many times as fast as incidents.objective allows requests fail, by window, as the incident detector sees it.",
    "gauge",
    ("window",),
    "max",
)
MOST_NOTES = 1000
"""Kept while the ledger is away."""


class IncidentWatch:
    """One gateway's detector."""

    def __init__(
        self,
        options: Callable[[], IncidentOptions | None],
        metrics: Metrics,
        ledger: str | None,
        spool: Spool,
        wake: Callable[[], None],
        clock: Clock,
        directory: Path | str,
    ) -> None:
        """`ledger`: its URL, None: incidents are told but not kept. `directory`: of the lock."""
        self._options = options
        self._metrics = metrics
        self._url = ledger
        self._spool = spool
        self._wake = wake
        self._clock = clock
        self._lock = Path(directory) / "incidents.lock"
        self._gateway = socket.gethostname()
        self._history = History()
        self._book: Book | None = None
        self._store: IncidentStore | None = None
        self._engine: Engine | None = None
        self._unsaved: dict[str, Incident] = {}
        self._notes: list[Note] = []
        self._spend: list[Finding] = []
        self._spend_at = self._beat_at = float("-inf")
        self._repeat_ns = 0
        self._rates: dict[float, float] = {}
        metrics.pull(BURN_RATE, lambda: [((worded(window),), rate) for window, rate in self._rates.items()])

    async def run(self) -> None:
        """Look until cancelled; waits for its turn while another worker does."""
        while True:
            with contextlib.suppress(OSError), sole(self._lock) as held:
                if held:
                    try:
                        await self._look_on()
                    finally:
                        self._rates = {}
            await asyncio.sleep(RETRY)

    async def _look_on(self) -> None:
        self._history, self._book = History(), None
        while True:
            options = self._options()
            if options is None:
                self._rates = {}
            else:
                page = self._metrics.page()
                try:
                    await asyncio.to_thread(self.look, page, options)
                except OSError as error:
                    alert("incidents_not_watched", reason=error.strerror or "")
            await asyncio.sleep(RETRY if options is None else options.interval)

    def look(self, page: Page, options: IncidentOptions) -> list[Step]:
        """One look: `page` is this worker's. Blocks. Returns what was told."""
        clock = self._clock
        now, now_ns = clock.monotonic(), clock.now_ns()
        before = self._history.newest if self._history else None
        self._history.add(sample_of(self._metrics.gathered(page), now))
        if self._book is None:
            self._book = Book(self._restored(), now_ns, _make_id, self._gateway)
        self._note_changes(before, self._history.newest, now_ns)
        if now - self._spend_at >= SPEND_EVERY:
            self._spend_at = now
            self._spend = self._judge_spend(options, now_ns)
        self._rates = burn_rates(self._history, options)
        found = [*findings(self._history, options), *self._spend]
        steps = self._book.observe(found, now_ns, now, options.resolve_after)
        steps = [step for step in steps if self._ours(step)]
        for step in steps:
            self._tell(step, options, now_ns)
        self._repeat(options, now_ns)
        self._save(now, now_ns)
        return steps

    def _ours(self, step: Step) -> bool:
        """False: another gateway that shares the ledger has told of this already."""
        incident, store = step.incident, self._opened()
        if incident.signal not in SHARED or store is None or self._book is None:
            return True
        try:
            if step.happened == "resolved":
                kept = store.find(incident.id)
                return kept is None or kept.resolved_ns is None
            known = [each for each in store.open(self._gateway) if each.key == incident.key and each.id != incident.id]
        except LedgerError:
            return True
        if known:
            self._book.replace(known[0])
        return not known

    def _tell(self, step: Step, options: IncidentOptions, now_ns: int) -> None:
        incident = step.incident
        self._notes.append(Note(at_ns=now_ns, incident=incident.id, kind=step.happened, text=incident.title))
        self._unsaved[incident.id] = incident
        say = info if step.happened == "resolved" else alert
        say(f"incident_{step.happened}", incident=incident.id, severity=incident.severity, title=incident.title)
        self._put(step, options, now_ns)

    def _put(self, step: Step, options: IncidentOptions, now_ns: int) -> None:
        for event in events(step, options.receivers, now_ns):
            try:
                self._spool.put(event)
            except OSError as error:
                alert("incident_not_told", incident=step.incident.id, reason=error.strerror or "")
        self._wake()

    def _repeat(self, options: IncidentOptions, now_ns: int) -> None:
        """Alertmanager is told of what is still open long before it would forget."""
        if now_ns - self._repeat_ns < LASTS_NS // 2:
            return
        first, self._repeat_ns = not self._repeat_ns, now_ns
        receivers = tuple(each for each in options.receivers if each.shape == "alertmanager")
        if self._book is None or first or not receivers:
            return
        for incident in self._book.open:
            for event in events(repeat(incident), receivers, now_ns, count=1):
                with contextlib.suppress(OSError):
                    self._spool.put(event)

    def _note_changes(self, before: Sample | None, now: Sample, now_ns: int) -> None:
        """What timelines show of the whole gateway."""
        if before is None:
            return
        for config in sorted(now.configs - before.configs):
            self._notes.append(Note(at_ns=now_ns, kind="config", text=f"configuration {config} in force"))
        for name in sorted(now.down - before.down):
            self._notes.append(Note(at_ns=now_ns, kind="credential", text=f"credential of provider {name} refused"))
        for name in sorted(before.down - now.down):
            self._notes.append(Note(at_ns=now_ns, kind="credential", text=f"credential of provider {name} tried again"))
        for what, targets in (
            ("opened", now.open_circuits - before.open_circuits),
            ("closed", before.open_circuits - now.open_circuits),
        ):
            for provider, model in sorted(targets):
                self._notes.append(Note(at_ns=now_ns, kind="breaker", text=f"circuit of {provider}/{model} {what}"))
        for what, was, is_ in (
            ("limit store", before.limit_store_up, now.limit_store_up),
            ("journal", before.journal_healthy, now.journal_healthy),
            ("ledger loader", before.loader_up, now.loader_up),
        ):
            if was is not None and is_ is not None and was != is_:
                self._notes.append(Note(at_ns=now_ns, kind="store", text=f"{what} {'is back' if is_ else 'is away'}"))

    def _judge_spend(self, options: IncidentOptions, now_ns: int) -> list[Finding]:
        store = self._opened()
        if store is None:
            return []
        hour = now_ns // 10**9 // HOUR * HOUR
        hours = [hour, hour - HOUR]
        wanted = sorted({*hours, *(each for one in hours for past in baseline_hours(one) for each in past)})
        try:
            spent = store.spend(wanted)
        except LedgerError:
            return self._spend
        judged = (judge(team, by_hour, hours, options) for team, by_hour in sorted(spent.items()))
        return [finding for finding in judged if finding is not None]

    def _opened(self) -> IncidentStore | None:
        """The store, as soon as it can be had."""
        if self._store is None and self._url is not None:
            try:
                ensure_schema(self._url)
                self._engine = open_engine(self._url)
                self._store = IncidentStore(self._engine)
            except LedgerError:
                return None
        return self._store

    def _restored(self) -> Sequence[Incident]:
        store = self._opened()
        try:
            return () if store is None else store.open(self._gateway)
        except LedgerError:
            return ()

    def _save(self, now: float, now_ns: int) -> None:
        """Write what is new; what cannot be written now is kept for the next time."""
        del self._notes[:-MOST_NOTES]
        store = self._opened()
        if store is None or self._book is None:
            return
        try:
            if self._unsaved or self._notes:
                store.save(self._unsaved.values(), self._notes)
                self._unsaved, self._notes = {}, []
            if now - self._beat_at >= BEAT_EVERY:
                open_ = self._book.open
                store.save(open_, ())
                store.beat([each.id for each in open_], now_ns, now_ns - STALE_NS)
                self._beat_at = now
        except LedgerError:
            return


def worded(seconds: float) -> str:
    """A window as `tollway_error_burn_rate` names it: 5m, 6h."""
    return f"{seconds / 3600:g}h" if seconds >= 3600 else f"{seconds / 60:g}m"


def _make_id() -> str:
    return f"inc-{secrets.token_hex(5)}"
