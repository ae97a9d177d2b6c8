"""Budget events: told once per rule, window and limit, from the road into the webhook spool.

The road only knows that a threshold was passed. What the counter holds is asked of the store, which may be elsewhere:
the event is on the disk before that, and is told when the answer has come, or within a second without it.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import msgspec

from gateway.budgets import amount_of, forecast, iso_in, running, unit_of, window_of
from gateway.quota import Bound, Calendar, Level, Rolling
from gateway.seams import Clock
from gateway.tasks import TaskGroup
from gateway.webhooks.deliver import Deliverer
from gateway.webhooks.signing import Endpoint
from gateway.webhooks.spool import Event, Spool
from gateway.webhooks.trouble import Report, SpoolTrouble

Kind = Literal["budget.soft", "budget.exhausted", "budget.forecast_exhausted"]
KINDS: tuple[Kind, ...] = ("budget.soft", "budget.exhausted", "budget.forecast_exhausted")
_DAY = 86400
MOST_KNOWN = 10_000
"""Events remembered in memory; what is forgotten is still known by the spool."""
LOOKED_UP = 1_000_000_000
"""Nanoseconds an event waits for what its counter holds, at most; if the process ends meanwhile, it is told without."""
MOST_UNWRITTEN = 1_000
"""Events kept while the disk does not take them; beyond, the oldest is lost, and said to be."""


class Figures(msgspec.Struct, frozen=True):
    """What is known of the counter at the moment; in the measure's unit."""

    used: int | None = None
    reserved: int | None = None
    forecast: int | None = None


NO_FIGURES = Figures()
Levels = Callable[[Sequence[Bound]], Awaitable[list[Level]]]
"""What counters hold now: `LimitStore.levels` of the store in use."""


class BudgetEvents:
    """What the road tells of budgets. `emit` is synchronous, never blocks on a network, and never raises."""

    def __init__(
        self,
        spool: Spool,
        endpoints: Callable[[], Sequence[Endpoint]],
        clock: Clock,
        report: Report,
        deliverer: Deliverer | None = None,
        levels: Levels | None = None,
        tasks: TaskGroup | None = None,
    ) -> None:
        """`levels` and `tasks`: how an event that is told without figures comes by them."""
        self._spool = spool
        self._endpoints = endpoints
        self._clock = clock
        self._report = report
        self._trouble = SpoolTrouble(report, clock)
        self._deliverer = deliverer
        self._levels = levels
        self._tasks = tasks
        self._known: dict[tuple[str, str, int], int] = {}
        """When each event may be told again."""
        self._unwritten: deque[Event] = deque()

    def wants(self, kind: Kind) -> bool:
        """Whether anybody is told of such events."""
        return any(kind in endpoint.events for endpoint in self._endpoints())

    def emit(self, kind: Kind, bound: Bound, figures: Figures = NO_FIGURES) -> None:
        """Tell that a budget (`is_budget`) came to this. Told once in its window (calendar: the running one; rolling:
        as much time as the window is long), and again when its limit was changed. Nothing when nobody wants to know.

        Costs a microsecond when it was told already, else the writing of a small file (0.1 ms), without fsync.
        """
        now_ns = self._clock.now_ns()
        what = (kind, bound.key, bound.rule.amount)
        if self._known.get(what, 0) > now_ns:
            return
        if not is_budget(bound):
            return
        wanting = tuple(endpoint.id for endpoint in self._endpoints() if kind in endpoint.events)
        window = _window(bound, now_ns)
        if not wanting or window is None:
            return
        name, until_ns = window
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[what] = until_ns
        digest = hashlib.sha256("\0".join([kind, bound.key, str(bound.rule.amount), name]).encode()).hexdigest()
        event = Event(
            id=f"evt_{digest[:32]}",
            kind=kind,
            at_ns=now_ns,
            forget_ns=until_ns,
            endpoints=wanting,
            stream=bound.key,  # soft before exhausted, though soft may be waiting for its next attempt
            body=_body(kind, bound, figures, now_ns),
        )
        if figures is not NO_FIGURES or self._levels is None or self._tasks is None:
            self._unwritten.append(event)
            return self.write()
        event = msgspec.structs.replace(event, draft_until_ns=now_ns + LOOKED_UP)
        self._unwritten.append(event)
        if event.id in self._put() or event in self._unwritten:
            self._tasks.start(self._look_up(event, kind, bound, self._levels), "figures of a budget event")
        return None

    async def _look_up(self, event: Event, kind: Kind, bound: Bound, levels: Levels) -> None:
        """Amend an event with what its counter holds. An event that cannot be amended is told as it is."""
        told = msgspec.structs.replace(event, draft_until_ns=0)
        try:
            (level,) = await levels((bound,))
            if level.used or level.reserved:
                window = running(bound, event.at_ns)
                ahead = None if window is None else forecast(level.used, window, event.at_ns)
                body = _body(kind, bound, Figures(level.used, level.reserved, ahead), event.at_ns)
                told = msgspec.structs.replace(told, body=body)
        finally:
            self._amend(told)
            self._wake()

    def _amend(self, event: Event) -> None:
        for at, waiting in enumerate(self._unwritten):
            if waiting.id == event.id:
                self._unwritten[at] = event
                return
        try:
            self._spool.amend(event)
        except OSError as error:
            self._trouble.failed(error)

    async def run(self, interval: float = 1.0) -> None:
        """Spool what a disk did not take before, every `interval` seconds, until cancelled."""
        while True:
            await asyncio.sleep(interval)
            self.write()

    def write(self) -> None:
        """Spool what was emitted, and have it delivered. Never raises; what the disk does not take now is kept."""
        if self._put():
            self._wake()

    def _wake(self) -> None:
        if self._deliverer is not None:
            self._deliverer.wake()

    def _put(self) -> set[str]:
        """Ids of what was spooled now, and is told by nobody else."""
        fresh: set[str] = set()
        while self._unwritten:
            event = self._unwritten[0]
            try:
                if self._spool.put(event):
                    fresh.add(event.id)
                self._trouble.well()
            except OSError as error:
                self._trouble.failed(error)
                if len(self._unwritten) > MOST_UNWRITTEN:
                    self._unwritten.popleft()
                    self._report("webhook_event_lost", reason=error.strerror or "")
                break
            self._unwritten.popleft()
        return fresh


def is_budget(bound: Bound) -> bool:
    """Whether a bound is worth telling of: money, or any amount for a day or longer. A rate of so much a minute is no
    budget; it comes to its end all the time."""
    window = bound.rule.window
    lasting = isinstance(window, Calendar) and window.unit in ("day", "week", "month", "year")
    return bound.rule.budget or lasting or (isinstance(window, Rolling) and window.seconds >= _DAY)


def _window(bound: Bound, now_ns: int) -> tuple[str, int] | None:
    """Name of the window that runs, and its end."""
    window = bound.rule.window
    if isinstance(window, Calendar):
        found = running(bound, now_ns)
        return None if found is None else (found.id, found.end_ns)
    if isinstance(window, Rolling):
        length = window.seconds * 10**9
        return str(now_ns // length), (now_ns // length + 1) * length
    return None


def _body(kind: Kind, bound: Bound, figures: Figures, now_ns: int) -> str:
    rule = bound.rule
    found = running(bound, now_ns)
    data: dict[str, object] = {
        "rule": rule.id,
        "counter": bound.key,
        "team": bound.scope.team[0] if len(bound.scope.team) == 1 else None,
        "measure": rule.measure,
        "unit": unit_of(bound),
        "limit": amount_of(bound, rule.amount),
        "soft": amount_of(bound, rule.soft),
        "used": amount_of(bound, figures.used),
        "reserved": amount_of(bound, figures.reserved),
        "forecast": amount_of(bound, figures.forecast),
        "when_exhausted": rule.when_exhausted,
        "window": window_of(bound),
        "resets_at": None if found is None else iso_in(bound, found.end_ns),
    }
    return msgspec.json.encode({"type": kind, "timestamp": iso_in(None, now_ns), "data": data}).decode()
