"""The four kinds of state a limit counts on: rolling window, calendar period, rate (GCRA), and what is under way.

All four look alike to whoever decides (`gateway.limits.decide`):

- `used`: what is taken now, reservations included; right as long as `now < until`, after which `roll(now)` brings it up
  to date. That changes no meaning: it only lets go what time has taken out of the window.
- `cell`: where a charge of this moment belongs; it is entered in `used` alone. A hold keeps the cell of each of its
  charges, and settles there (`Cell.correct`); one that has left the window is corrected without effect on what runs.
- `told`: until when its soft threshold needs no telling; `quiet_until(now)`: until when not, if it is told now.
- `whole_at`: when nothing will be taken, if something is taken now (until `until`); None: that depends on the charge.
- `resets_in(amount, now)`: seconds until nothing is taken, if `amount` is taken now and nothing more.
- `wait(amount, limit, now)`: seconds until `amount` fits (at most `limit`, and no room for it now), if nothing else
  happens.

A counter with nothing `used`, after `roll`, is no different from one made anew. Amounts are in the rule's measure,
times in nanoseconds.

Time in a counter does not go back by itself: a `now` before one it has seen counts as in the part it is in. `restart`
has it go on at any other time (the clock was wrong): whatever is used then counts as used now, in a new open cell.
"""

from collections import deque
from typing import ClassVar, TypeAlias

from gateway.limits.windows import SECOND, bucket, bucket_end, period
from gateway.quota import BUCKETS, Calendar, Rolling, Rule, Smooth

NEVER = 1 << 63
"""A time, in nanoseconds, that does not come: the year 2262."""
GUESS = 1.0
"""Seconds to wait for a place among those under way; nobody can know."""
GAUGE_QUIET = 60 * SECOND
"""How long what is under way must have stayed below its soft threshold before that is told again."""


class Total:
    """What is taken of a counter now. An object of its own, the same for all kinds of counters: whoever goes through
    counters of several kinds a thousand times a second meets one class only, which the interpreter is quick with."""

    __slots__ = ("closed", "used")

    def __init__(self) -> None:
        self.used = 0
        self.closed = 0
        """Of `used`, what does not belong to the open cell."""


class Counted:
    """What all four kinds are: something that has a total."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = Total()

    @property
    def used(self) -> int:
        return self.total.used

    @used.setter
    def used(self, amount: int) -> None:
        self.total.used = amount


class Cell:
    """One entry of a counter: a part of a rolling window, a calendar period. A counter has one that is open, whose
    amount is what the total has beyond the others: a charge is entered in one place."""

    __slots__ = ("_kept", "index", "live", "open", "total")

    def __init__(self, total: Total, index: int) -> None:
        self.total = total
        self.index = index
        self.open = True
        self.live = True
        """It counts: it has not left the window."""
        self._kept = 0

    @property
    def amount(self) -> int:
        total = self.total
        return total.used - total.closed if self.open else self._kept

    def close(self) -> None:
        """Nothing is entered in it any more. All cells of its counter are closed then."""
        total = self.total
        self._kept = total.used - total.closed
        self.open = False
        total.closed = total.used

    def leave(self) -> None:
        """A closed cell leaves the window."""
        self.live = False
        self.total.used -= self._kept
        self.total.closed -= self._kept

    def correct(self, change: int) -> None:
        """What was entered in it turns out to be so much more, or less."""
        if self.live:
            self.total.used += change
        if not self.open:
            self._kept += change
            if self.live:
                self.total.closed += change


class RollingCounter(Counted):
    """The last `seconds` seconds, in BUCKETS parts and the one that is only partly outside: at most 241 cells, of
    which an idle counter has one.

    Never more than what a charge was admitted against in any stretch of `seconds`: a charge counts from its part on
    until that part is wholly outside, at most one part (`seconds / BUCKETS`) longer than it must.
    """

    __slots__ = ("_cells", "_span", "cell", "seconds", "told", "until", "whole_at")

    def __init__(self, window: Rolling, now: int) -> None:
        super().__init__()
        self.seconds = window.seconds
        self._span = window.seconds * SECOND
        self._cells: deque[Cell] = deque()
        self.told = 0
        self._open(now)

    def _open(self, now: int) -> None:
        index = bucket(self.seconds, now)
        self.until = bucket_end(self.seconds, index)
        self.whole_at = self.until + self._span
        self.cell = Cell(self.total, index)
        self._cells.append(self.cell)

    def roll(self, now: int) -> None:
        self.cell.close()
        cells = self._cells
        oldest = bucket(self.seconds, now) - BUCKETS
        while cells and cells[0].index < oldest:
            cells.popleft().leave()
        self._open(now)

    def resets_in(self, amount: int, now: int) -> float:
        if amount or self.cell.amount:
            return (self.whole_at - now) / SECOND
        for cell in reversed(self._cells):
            if cell.amount:
                return (bucket_end(self.seconds, cell.index) + self._span - now) / SECOND
        return 0.0

    def wait(self, amount: int, limit: int, now: int) -> float:
        over = self.used + amount - limit
        for cell in self._cells:
            over -= cell.amount
            if over <= 0:
                return (bucket_end(self.seconds, cell.index) + self._span - now) / SECOND
        return (self.whole_at - now) / SECOND

    def quiet_until(self, now: int) -> int:
        return now + self._span

    def restart(self, now: int) -> None:
        self._cells.clear()
        self.total.closed = self.told = 0
        self._open(now)

    def refill(self, kept: dict[Cell, int], used: int) -> None:
        """Let every part hold what is reserved in it (`kept`), and the running one `used` beside."""
        for cell in self._cells:
            cell.correct(kept.get(cell, 0) - cell.amount)
        self.used += used


class CalendarCounter(Counted):
    """The running period of a calendar. What was taken in an earlier one is settled there, and changes nothing here."""

    __slots__ = ("calendar", "cell", "period", "told", "until", "whole_at")

    def __init__(self, calendar: Calendar, now: int) -> None:
        super().__init__()
        self.calendar = calendar
        self.told = 0
        self.period = period(calendar, now)
        self.until = self.whole_at = self.period.end_ns
        self.cell = Cell(self.total, 0)

    def roll(self, now: int) -> None:
        self.cell.close()
        self.cell.leave()
        self.cell = Cell(self.total, self.cell.index + 1)
        self.period = period(self.calendar, now)
        self.until = self.whole_at = self.period.end_ns

    def restart(self, now: int) -> None:
        self.told = 0
        self.cell = Cell(self.total, self.cell.index + 1)
        self.move(self.calendar, now)

    def move(self, calendar: Calendar, now: int) -> None:
        """Count on in another time zone: what is used in the running period stays used."""
        self.calendar = calendar
        self.period = period(calendar, now)
        self.until = self.whole_at = self.period.end_ns

    def resets_in(self, amount: int, now: int) -> float:
        return (self.until - now) / SECOND if amount or self.used else 0.0

    def wait(self, amount: int, limit: int, now: int) -> float:
        return (self.until - now) / SECOND

    def quiet_until(self, now: int) -> int:
        return self.until

    def refill(self, kept: dict[Cell, int], used: int) -> None:
        """Let the running period hold what is reserved in it (`kept`), and `used` beside."""
        self.used = kept.get(self.cell, 0) + used


class PacedCounter(Counted):
    """A rate: the generic cell rate algorithm (ITU-T I.371), in its virtual scheduling form, exact in integers.

    The theoretical arrival time is kept in units of 1/amount ns, so that one request is `seconds` of them. The open
    cell holds what was charged since the last `roll`, which every decision calls (`until` is -1), and which moves the
    arrival time. One that was let through beyond the burst (`warn`) leaves the rate exhausted, not in debt.
    """

    __slots__ = ("_arrival", "_at", "_burst", "_rate", "_span", "cell", "told", "until")
    whole_at: ClassVar[None] = None

    def __init__(self, amount: int, window: Smooth, now: int) -> None:
        super().__init__()
        self._rate = amount
        self._span = window.seconds * SECOND
        self._burst = window.burst
        self._at = now
        self._arrival = now * amount
        self.until = -1
        self.told = 0
        self.cell = Cell(self.total, 0)

    def fits(self, amount: int, window: Smooth) -> bool:
        return (self._rate, self._span, self._burst) == (amount, window.seconds * SECOND, window.burst)

    def repace(self, amount: int, window: Smooth, now: int) -> None:
        """Go on at another rate, with as many requests used as before, up to the new burst."""
        self.roll(now)
        self._rate = amount
        self._span = window.seconds * SECOND
        self._burst = window.burst
        self.fill(self.used)

    def fill(self, used: int) -> None:
        """Let `used` requests be used now, up to the burst. Only after `roll`."""
        self.used = self.total.closed = min(used, self._burst)
        self._arrival = self._at * self._rate + self.used * self._span

    def restart(self, now: int) -> None:
        self.roll(self._at)
        self._at = now
        self.told = 0
        self.fill(self.used)

    def roll(self, now: int) -> None:
        clock = self._at * self._rate
        if taken := self.cell.amount:
            self._arrival = min(max(self._arrival, clock) + taken * self._span, clock + self._burst * self._span)
        if now > self._at:
            self._at = now
            clock = now * self._rate
        debt = self._arrival - clock
        self.used = self.total.closed = -(-debt // self._span) if debt > 0 else 0

    def resets_in(self, amount: int, now: int) -> float:
        if not self._rate:
            return 0.0
        full = max(self._arrival, self._at * self._rate) + (amount + self.cell.amount) * self._span
        return max(0, -(-full // self._rate) - now) / SECOND

    def wait(self, amount: int, limit: int, now: int) -> float:
        ready = self._arrival - (limit - amount) * self._span
        return max(0, -(-ready // self._rate) - now) / SECOND

    def quiet_until(self, now: int) -> int:
        return now + self._span


class Gauge(Counted):
    """What is under way now."""

    __slots__ = ("cell", "told", "until")
    whole_at: ClassVar[None] = None

    def __init__(self) -> None:
        super().__init__()
        self.told = 0
        self.until = NEVER
        self.cell = Cell(self.total, 0)

    def roll(self, now: int) -> None:
        """Time takes nothing from it."""

    def restart(self, now: int) -> None:
        self.told = 0

    def resets_in(self, amount: int, now: int) -> float:
        return GUESS if amount or self.used else 0.0

    def wait(self, amount: int, limit: int, now: int) -> float:
        return GUESS

    def quiet_until(self, now: int) -> int:
        return now + GAUGE_QUIET


Counter: TypeAlias = RollingCounter | CalendarCounter | PacedCounter | Gauge


def counter_for(rule: Rule, now: int) -> Counter:
    """A counter on which nothing is taken."""
    match rule.window:
        case None:
            return Gauge()
        case Rolling():
            return RollingCounter(rule.window, now)
        case Calendar():
            return CalendarCounter(rule.window, now)
        case Smooth():
            return PacedCounter(rule.amount, rule.window, now)


def serves(counter: Counter, rule: Rule, now: int) -> tuple[bool, bool]:
    """Whether this counter counts the kind of window a rule has, and whether it had to be adapted to it.

    A rolling window of another length and a calendar of another unit are other windows; another zone or rate is not.
    """
    window = rule.window
    match counter:
        case Gauge():
            return window is None, False
        case RollingCounter():
            return isinstance(window, Rolling) and window.seconds == counter.seconds, False
        case CalendarCounter():
            if not isinstance(window, Calendar) or window.unit != counter.calendar.unit:
                return False, False
            if window == counter.calendar:
                return True, False
            counter.move(window, now)
            return True, True
        case PacedCounter():
            if not isinstance(window, Smooth):
                return False, False
            if counter.fits(rule.amount, window):
                return True, False
            counter.repace(rule.amount, window, now)
            return True, True
