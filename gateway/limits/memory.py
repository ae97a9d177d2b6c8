"""The limit store of one worker: counters and holds in this process's memory."""

from collections.abc import Iterator, Sequence

from gateway.limits.counters import (
    CalendarCounter,
    Cell,
    Counter,
    Gauge,
    PacedCounter,
    RollingCounter,
    counter_for,
    serves,
)
from gateway.limits.decide import (
    Line,
    Plan,
    Taken,
    admit,
    asked,
    lapse,
    owed,
    room,
    settle_all,
    take,
    untake,
)
from gateway.limits.steady import SteadyClock
from gateway.quota import Admitted, Bound, Charge, Decision, Level, Measure, Refused
from gateway.seams import Clock

SECOND = 1_000_000_000
PLANS = 8192
"""Bounds, and combinations of them, that are kept ready to be counted on; with one more, all are made anew."""
MARKS = 1024
"""The last so many settlements at least, and at most twice as many, are remembered against a second one, and against
an `admit` that comes after its settlement; but not those of holds that were admitted quietly, which nobody admits again
and whose second settlement finds nothing."""
LAPSED = 10_000
"""The last so many expired holds can still be settled."""
SWEEP = 1024
"""Counters are looked through for idle ones when there are twice as many as were in use the last time, and so many
more."""
EXPIRY_PAUSE = 10_000_000
"""Nanoseconds from one search for expired holds to the next, at least."""


class Hold(Taken):
    """A request under way: its first charge, what it was answered, and when it is given back (ns)."""

    answer: Admitted | None
    """None: it was admitted quietly."""
    plan: Plan
    expires: int
    more: list[Taken] | None = None
    """Later charges, of extensions."""

    def takes(self) -> list[Taken]:
        return [self, *(self.more or ())]


class MemoryStore:
    """Counts in memory, exactly. Implements `gateway.seams.LimitStore`, and always decides at once. For one event loop:
    no method may be called from another thread.

    Counters belong to the bound's key and outlive a reload: another amount counts at once, on what was used so far. So
    does another zone of a calendar, or another rate; a window of another length, unit or kind starts anew.

    Memory: holds under way (about 600 bytes each); the counters in use, and at most as many idle ones and SWEEP more
    (about 400 bytes each, a busy rolling one up to 25 KB); MARKS, LAPSED and PLANS.

    Where the clock is set back by more than `steady.MOST_BACK`, all that counts goes on as if it had been taken then.

    A hold that expired is given back by a later call, at most EXPIRY_PAUSE late. When it is settled after all, what it
    truly took is counted: money that was spent is never forgotten.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = SteadyClock(clock, self._begin_anew)
        self._now = self._clock.now_ns
        self._holds: dict[str, Hold] = {}
        self._due = 0
        """No hold expires before."""
        self._seconds = -1.0
        self._life = 0
        """`_seconds` in nanoseconds."""
        self._reset = -1
        self._resets = b""
        """`_reset`, milliseconds, as clients are told it: under load many are told the same."""
        self._settled: dict[str, None] = {}
        self._settled_before: dict[str, None] = {}
        self._lapsed: dict[str, Hold] = {}
        self._ready: dict[int, tuple[Sequence[Bound], Plan]] = {}
        """Plans by the identity of their bounds, which are kept here, so that no other object can have it. (By value it
        costs a comparison of every bound as soon as a reload has made equal ones.)"""
        self._plans: dict[tuple[Bound, ...], Plan] = {}
        self._lines: dict[Bound, Line] = {}
        self._counters: dict[tuple[str, Measure], list[Counter]] = {}
        self._many = 0
        self._sweep_at = SWEEP
        self.expired = 0
        """Holds that were never settled in time, since the start."""

    @property
    def under_way(self) -> int:
        """Holds that are not settled."""
        return len(self._holds)

    @property
    def counters(self) -> int:
        """Counters in memory."""
        return self._many

    def follow_clock(self) -> bool:
        """Take up what the wall clock says now, though nobody asks; False: it was set back a little, and is waited
        for."""
        self._now()
        return self._clock.last <= self._clock.wall()

    def admit_now(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float) -> Decision:
        """Take `charge` against all bounds, whose keys differ, or none. See `LimitStore.admit`."""
        now = self._now()
        if now >= self._due:
            self._expire(now)
        if (known := self._holds.get(hold)) is not None:
            return known.answer or Admitted()
        if hold in self._settled or hold in self._settled_before:
            return Admitted()
        ready = self._ready.get(id(bounds))
        plan = ready[1] if ready is not None else self._plan(bounds, now)
        read, written, nanos = charge.input_tokens, charge.output_tokens, charge.nanos
        # As `asked` has it, without the call: this is the middle of every request.
        amounts = (charge.requests, read, written, read + written, nanos, 1, 1 if charge.stream else 0, 0)
        decision = admit(plan, amounts, now)
        if isinstance(decision, Refused):
            return decision
        expires = now + (self._life if seconds == self._seconds else self._reckon(seconds))
        self._holds[hold] = Hold(plan.backs, amounts, plan.cells, decision, plan, expires)
        if expires < self._due:
            self._due = expires
        return decision

    def admit_quietly(
        self, hold: str, bounds: Sequence[Bound], read: int, written: int, nanos: int, stream: bool, seconds: float
    ) -> bytes | None:
        """What `admit_now` does for nearly every request, in one frame and without an object between: this is the
        middle of a request, where every function that is called and every object that is touched has to be fetched."""
        clock = self._clock
        now = clock.wall()
        if now >= clock.last:
            clock.last = now
        else:
            now = clock.now_ns()
        ready = self._ready.get(id(bounds))
        if ready is None or now >= self._due:
            return None
        plan = ready[1]
        if now >= plan.until:
            plan.refresh(now)
        amounts = (1, read, written, read + written, nanos, 1, 1 if stream else 0, 0)
        for step in plan.steps:
            total, pick, watch = step
            after = total.used + amounts[pick]
            if after >= watch:
                untake(plan, step, amounts)
                return None
            total.used = after
        expires = now + (self._life if seconds == self._seconds else self._reckon(seconds))
        self._holds[hold] = Hold(plan.backs, amounts, plan.cells, None, plan, expires)
        if expires < self._due:
            self._due = expires
        shown = plan.shown
        if shown is None:
            return plan.words(now)
        words, requests, most, tokens, size, pick, resets = shown
        if not amounts[pick]:
            return plan.words(now)
        reset = (resets - now) // 1_000_000
        if reset != self._reset:
            self._reset = reset
            self._resets = b"%d.%03d" % divmod(reset, 1000)
        return words % (most - requests.used, self._resets, size - tokens.used, self._resets)

    def _reckon(self, seconds: float) -> int:
        """Nanoseconds; nearly every hold lives as long as the one before it may."""
        self._seconds = seconds
        self._life = int(seconds * SECOND)
        return self._life

    async def admit(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float) -> Decision:
        return self.admit_now(hold, bounds, charge, seconds)

    def settle(self, hold: str, actual: Charge) -> None:
        found = self._holds.pop(hold, None)
        if found is None:
            self._settle_late(hold, actual)
        elif found.more is None:
            # As `owed` and `decide.settle` have it, without the calls: every request ends here.
            read, written = actual.input_tokens, actual.output_tokens
            owes = (actual.requests, read, written, read + written, actual.nanos, 0, 0, 0)
            held = found.amounts
            for back, cell in zip(found.backs, found.cells):  # noqa: B905 - as long as each other
                change = owes[back] - held[back]
                if change:
                    if cell.open:
                        cell.total.used += change
                    else:
                        cell.correct(change)
            if found.answer is None:
                return  # nobody admits it again: a mark would only keep its name in memory
        else:
            settle_all(found.takes(), owed(actual))
        settled = self._settled
        settled[hold] = None
        if len(settled) >= MARKS:
            self._settled_before = settled
            self._settled = {}

    def _settle_late(self, hold: str, actual: Charge) -> None:
        """A hold that expired, or none at all."""
        if hold in self._settled or hold in self._settled_before:
            return
        if (found := self._lapsed.pop(hold, None)) is not None:
            settle_all(found.takes(), owed(actual), lapsed=True)

    async def extend(self, hold: str, more: Charge, seconds: float) -> bool:
        now = self._now()
        if now >= self._due:
            self._expire(now)
        found = self._holds.get(hold)
        if found is None:
            return False
        found.expires = now + self._reckon(seconds)
        self._due = min(self._due, found.expires)
        lines = found.plan.extended
        amounts = asked(more)
        if not room(lines, amounts, now):
            return False
        if found.more is None:
            found.more = []
        found.more.append(Taken(tuple([line.back for line in lines]), amounts, take(lines, amounts)))
        return True

    async def levels(self, bounds: Sequence[Bound]) -> list[Level]:
        """What the counters hold. Looks through all holds under way: for people and reports, not for every request."""
        now = self._now()
        if now >= self._due:
            self._expire(now)
        self._make_room(now)
        lines = [self._line(bound, now) for bound in bounds]
        for line in lines:
            _refresh(line.counter, now)
        reserved: dict[int, int] = {}
        for cell, amount in self._reserved():
            if cell.live:
                reserved[id(cell.total)] = reserved.get(id(cell.total), 0) + amount
        return [_level(line.counter, reserved.get(id(line.counter.total), 0)) for line in lines]

    async def put(self, bound: Bound, used: int, seen: int | None = None) -> None:
        """Make what is used `used`. In a rolling window it counts from now on. What is under way is not changed."""
        if seen is not None:
            (level,) = await self.levels((bound,))
            used += max(level.used - seen, 0)
        now = self._now()
        self._make_room(now)
        counter = self._line(bound, now).counter
        _refresh(counter, now)
        if isinstance(counter, PacedCounter):
            counter.fill(used)
        elif isinstance(counter, RollingCounter | CalendarCounter):
            kept: dict[Cell, int] = {}
            for cell, amount in self._reserved():
                kept[cell] = kept.get(cell, 0) + amount
            counter.refill(kept, used)

    async def aclose(self) -> None:
        """Nothing is open."""

    def _reserved(self) -> Iterator[tuple[Cell, int]]:
        """Every cell that a hold under way has a charge in, with what is reserved there."""
        for hold in self._holds.values():
            for taken in hold.takes():
                for back, cell in zip(taken.backs, taken.cells, strict=True):
                    yield cell, taken.amounts[back]

    def _begin_anew(self, now: int, by: int) -> None:
        """The clock was set back by so much: what windows hold, and what is under way, counts as taken now. Who has a
        ledger sets them right by it (`gateway.budgets.rebuild`)."""
        counters = {id(counter.total): counter for known in self._counters.values() for counter in known}
        for counter in counters.values():
            counter.restart(now)
        self._forget_plans()
        self._due = 0
        for hold in self._holds.values():
            hold.expires -= by
            for taken in hold.takes():
                for back, cell in zip(taken.backs, taken.cells, strict=True):
                    if not cell.live:
                        counters[id(cell.total)].used += taken.amounts[back]
        for hold in (*self._holds.values(), *self._lapsed.values()):
            for taken in hold.takes():
                taken.cells = tuple([counters[id(cell.total)].cell for cell in taken.cells])

    def _expire(self, now: int) -> None:
        """Give back what was not settled in time, and find out when to look again."""
        late = [name for name, hold in self._holds.items() if hold.expires <= now]
        for name in late:
            hold = self._lapsed[name] = self._holds.pop(name)
            lapse(hold.takes())
        self.expired += len(late)
        while len(self._lapsed) > LAPSED:
            del self._lapsed[next(iter(self._lapsed))]
        first = min((hold.expires for hold in self._holds.values()), default=now + 3600 * SECOND)
        self._due = max(first, now + EXPIRY_PAUSE)

    def _plan(self, bounds: Sequence[Bound], now: int) -> Plan:
        self._make_room(now)
        named = tuple(bounds)
        plan = self._plans.get(named)
        if plan is None:
            lines = [self._line(bound, now) for bound in named]
            plan = self._plans[named] = Plan(lines)
        if named is bounds:
            self._ready[id(bounds)] = bounds, plan
        return plan

    def _make_room(self, now: int) -> None:
        """Before a counter or a line is made; none is forgotten between making it and taking from it."""
        if self._many >= self._sweep_at:
            self._sweep(now)
        if max(len(self._plans), len(self._ready), len(self._lines)) >= PLANS:
            self._forget_plans()

    def _forget_plans(self) -> None:
        self._ready.clear()
        self._plans.clear()
        self._lines.clear()

    def _line(self, bound: Bound, now: int) -> Line:
        """The bound and the counter of its key, measure and kind of window; made when there is none."""
        if (line := self._lines.get(bound)) is not None:
            return line
        rule = bound.rule
        known = self._counters.setdefault((bound.key, rule.measure), [])
        for counter in known:
            same, adapted = serves(counter, rule, now)
            if adapted:
                self._forget_plans()
            if same:
                break
        else:
            counter = counter_for(rule, now)
            known.append(counter)
            self._many += 1
        line = self._lines[bound] = Line(bound, counter)
        return line

    def _sweep(self, now: int) -> None:
        """Forget the counters that would be no different if they were made anew, and that no hold settles in."""
        held = {id(cell.total) for cell, _ in self._reserved()}
        held.update(id(cell.total) for hold in self._lapsed.values() for taken in hold.takes() for cell in taken.cells)
        kept: dict[tuple[str, Measure], list[Counter]] = {}
        for name, counters in self._counters.items():
            for counter in counters:
                _refresh(counter, now)
            if busy := [counter for counter in counters if counter.used or id(counter.total) in held]:
                kept[name] = busy
        self._counters = kept
        self._many = sum(map(len, kept.values()))
        self._sweep_at = 2 * self._many + SWEEP
        self._forget_plans()


def _refresh(counter: Counter, now: int) -> None:
    if now >= counter.until:
        counter.roll(now)


def _level(counter: Counter, reserved: int) -> Level:
    if isinstance(counter, Gauge):
        return Level(0, counter.used, None)
    ends = counter.until if isinstance(counter, CalendarCounter) else None
    return Level(max(0, counter.used - reserved), reserved, ends)
