"""The store of one worker against an independent model: a list of all charges and their times, summed anew each time.

The model shares no code with the store but the calendar. It says by definition what counts: in a rolling window the
charges whose part is not wholly outside, in a calendar the charges of the running period, of what is under way the
holds, and for a rate a level that runs off evenly, in fractions.
"""

import asyncio
import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.limits.memory import MemoryStore
from gateway.limits.windows import period
from gateway.quota import BUCKETS, NOTHING, Admitted, Bound, Calendar, Charge, Refused, Rolling, Rule, Smooth

SECOND = 1_000_000_000
STEP = 20_000_000
"""Time goes in steps no finer than the store looks for expired holds."""


class Clock:
    """A wall clock that goes where it is set; the other one stands, so that time set back waits for the wall."""

    def __init__(self, now_ns: int) -> None:
        self.wall = now_ns

    def now_ns(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return 0.0


@dataclass
class Entry:
    """What one charge has of one bound."""

    bound: Bound
    time: int
    amount: int


@dataclass
class Held:
    takes: list[list[Entry]]
    expires: int
    answer: Admitted
    lapsed: bool = False
    reserved: list[list[int]] = field(default_factory=list)


class Model:
    """Sums over everything that ever happened."""

    def __init__(self, now: int, bounds: Sequence[Bound]) -> None:
        self.now = now
        self.bounds = bounds
        self.entries: list[Entry] = []
        self.holds: dict[str, Held] = {}
        self.settled: set[str] = set()
        self.expired = 0
        self.rates = {bound.key: (Fraction(0), now) for bound in bounds if isinstance(bound.rule.window, Smooth)}

    def look(self, wall: int) -> None:
        self.now = max(self.now, wall)
        for held in self.holds.values():
            if not held.lapsed and held.expires <= self.now:
                held.lapsed = True
                self.expired += 1
                for entry in (entry for take in held.takes for entry in take):
                    if not isinstance(entry.bound.rule.window, Smooth):
                        entry.amount = 0

    def counts(self, entry: Entry) -> bool:
        window = entry.bound.rule.window
        if isinstance(window, Rolling):
            span = window.seconds * SECOND
            return self.now * BUCKETS // span - entry.time * BUCKETS // span <= BUCKETS
        return not isinstance(window, Calendar) or period(window, entry.time) == period(window, self.now)

    def used(self, bound: Bound) -> int:
        window = bound.rule.window
        if isinstance(window, Smooth):
            level, since = self.rates[bound.key]
            level = max(Fraction(0), level - Fraction((self.now - since) * bound.rule.amount, window.seconds * SECOND))
            return -(-level.numerator // level.denominator)
        return sum(entry.amount for entry in self.entries if entry.bound == bound and self.counts(entry))

    def short(self, charge: Charge, extends: bool = False) -> list[Bound]:
        """Bounds with no room."""
        found: list[Bound] = []
        for bound in self.bounds:
            amount = 0 if extends and bound.rule.window is None else charge.of(bound.rule.measure)
            most = bound.rule.window.burst if isinstance(bound.rule.window, Smooth) else bound.rule.amount
            if amount and self.used(bound) + amount > most:
                found.append(bound)
        return found

    def take(self, charge: Charge, extends: bool = False) -> list[Entry]:
        made: list[Entry] = []
        for bound in self.bounds:
            window, amount = bound.rule.window, charge.of(bound.rule.measure)
            if isinstance(window, Smooth):
                level, since = self.rates[bound.key]
                passed = Fraction((self.now - since) * bound.rule.amount, window.seconds * SECOND)
                self.rates[bound.key] = max(Fraction(0), level - passed) + amount, self.now
            elif window is not None or not extends:
                made.append(Entry(bound, self.now, amount))
        self.entries += made
        return made

    def settle(self, hold: str, actual: Charge) -> None:
        if hold in self.settled:
            return
        self.settled.add(hold)
        held = self.holds.pop(hold, None)
        if held is None:
            return
        for bound in self.bounds:
            rest = 0 if bound.rule.window is None else actual.of(bound.rule.measure)
            parts = [
                (entry, amount)
                for take, amounts in zip(held.takes, held.reserved, strict=True)
                for entry, amount in zip(take, amounts, strict=True)
                if entry.bound == bound
            ]
            for entry, reserved in parts[:-1]:
                entry.amount = min(rest, reserved)
                rest -= entry.amount
            for entry, _ in parts[-1:]:
                entry.amount = rest


small = st.integers(1, 12)
charges = st.builds(
    Charge,
    input_tokens=st.integers(0, 6),
    output_tokens=st.integers(0, 6),
    nanos=st.integers(0, 8),
    stream=st.booleans(),
)
lives = st.sampled_from([1.0, 3.0, 30.0, 5000.0])


@st.composite
def rules(draw: st.DrawFn) -> list[Bound]:
    def bound(number: int, measure: str, window: object, amount: int, **more: object) -> Bound:
        made = Rule(id=f"{number}", measure=measure, amount=amount, window=window, **more)  # pyright: ignore
        return Bound(made, f"{number}", lenient=draw(st.booleans()) and bool(more))

    rolling = st.builds(Rolling, st.sampled_from([1, 2, 7, 60]))
    calendar = st.builds(Calendar, st.sampled_from(["second", "minute", "hour"]), st.just("Asia/Kolkata"))
    chosen = [
        bound(0, "requests", draw(rolling), draw(small)),
        bound(1, "tokens", draw(rolling), draw(st.integers(1, 60))),
        bound(2, "usd", draw(calendar), draw(st.integers(1, 60))),
        bound(3, "concurrent", None, draw(st.integers(1, 8))),
        bound(4, "streams", None, draw(st.integers(1, 5))),
        bound(5, "requests", Smooth(draw(st.sampled_from([1, 3, 60])), draw(st.integers(1, 8))), draw(small)),
        bound(6, "output_tokens", draw(calendar), draw(small), when_exhausted="warn"),
        bound(7, "usd", draw(rolling), draw(small), when_exhausted="downgrade", downgrade_to="small"),
        bound(8, "input_tokens", draw(rolling), draw(st.integers(1, 60))),
    ]
    return draw(st.lists(st.sampled_from(chosen), min_size=1, max_size=6, unique=True))


class Interleavings(RuleBasedStateMachine):
    """Any interleaving of admissions, extensions, settlements (also twice, late, too early), expiry and time, also
    backwards, gives what the model gives: never beyond a rule, all or nothing, settled once, given back."""

    @initialize(bounds=rules(), start=st.integers(0, 10**12))
    def begin(self, bounds: list[Bound], start: int) -> None:
        self.bounds = bounds
        self.clock = Clock(1_700_000_000 * SECOND + start)
        self.store = MemoryStore(self.clock)
        self.model = Model(self.clock.wall, bounds)
        self.number = 0

    @rule(steps=st.one_of(st.integers(1, 20), st.sampled_from([50, 51, 350, 3000, 3012, 180_000])))
    def pass_time(self, steps: int) -> None:
        self.clock.wall += steps * STEP

    @rule(steps=st.integers(1, 4000))
    def set_the_clock_back(self, steps: int) -> None:
        self.clock.wall -= steps * STEP

    @rule(charge=charges, seconds=lives)
    def admit(self, charge: Charge, seconds: float) -> None:
        self.number += 1
        hold = f"h{self.number}"
        self.model.look(self.clock.wall)
        short = self.model.short(charge)
        refusing = [bound for bound in short if not bound.lenient and bound.rule.when_exhausted != "warn"]
        decision = self.store.admit_now(hold, self.bounds, charge, seconds)
        note(f"{decision}")
        if isinstance(decision, Refused):
            assert decision.bound in refusing
            self.check_wait(hold, decision, charge, refusing)
            return
        assert not refusing
        assert list(decision.over) == short
        entries = self.model.take(charge)
        expires = self.model.now + int(seconds * SECOND)
        reserved = [[entry.amount for entry in entries]]
        self.model.holds[hold] = Held([entries], expires, decision, reserved=reserved)
        for standing in (decision.requests, decision.tokens):
            if standing is not None:
                assert standing.remaining == max(0, standing.limit - self.model.used(standing.bound))

    def check_wait(self, hold: str, decision: Refused, charge: Charge, refusing: list[Bound]) -> None:
        """Refused before `retry_after`, admitted at it, if nothing happens (of what is under way it is a guess)."""
        assert decision.needed == charge.of(decision.bound.rule.measure)
        assert decision.available < decision.needed
        wait = decision.retry_after
        if wait is None:
            most = min(bound.rule.amount for bound in self.bounds if bound == decision.bound)
            window = decision.bound.rule.window
            assert decision.needed > (window.burst if isinstance(window, Smooth) else most)
            return
        assert wait > 0
        if any(bound.rule.window is None for bound in refusing):
            return
        ready = self.model.now + round(wait * SECOND)
        undisturbed = all(held.lapsed or held.expires > ready for held in self.model.holds.values())
        for wall, expected in ((ready - 5, Refused), (ready + 5, Admitted)):
            clock, store = copy.deepcopy((self.clock, self.store))
            clock.wall = wall
            found = store.admit_now(hold, self.bounds, charge, 1.0)
            if expected is Admitted or undisturbed:
                assert isinstance(found, expected), (found, wait)

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data(), more=charges, seconds=lives)
    def extend(self, data: st.DataObject, more: Charge, seconds: float) -> None:
        hold = data.draw(st.sampled_from(sorted(self.model.holds)))
        more = Charge(more.input_tokens, more.output_tokens, more.nanos, 0)
        self.model.look(self.clock.wall)
        held = self.model.holds[hold]
        taken = asyncio.run(self.store.extend(hold, more, seconds))
        if held.lapsed:
            assert not taken
            return
        short = self.model.short(more, extends=True)
        assert taken != any(not bound.lenient and bound.rule.when_exhausted != "warn" for bound in short)
        held.expires = self.model.now + int(seconds * SECOND)
        if taken:
            entries = self.model.take(more, extends=True)
            held.takes.append(entries)
            held.reserved.append([entry.amount for entry in entries])

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data(), actual=st.one_of(st.just(NOTHING), charges))
    def settle(self, data: st.DataObject, actual: Charge) -> None:
        """(The invariant has let the store see who has expired: a settlement does not look at the clock.)"""
        hold = data.draw(st.sampled_from(sorted(self.model.holds)))
        self.model.look(self.clock.wall)
        self.store.settle(hold, actual)
        self.model.settle(hold, actual)

    @precondition(lambda self: self.model.settled)
    @rule(data=st.data(), actual=charges)
    def settle_again(self, data: st.DataObject, actual: Charge) -> None:
        self.store.settle(data.draw(st.sampled_from(sorted(self.model.settled))), actual)

    @precondition(lambda self: self.model.settled)
    @rule(data=st.data(), charge=charges)
    def admit_what_was_settled(self, data: st.DataObject, charge: Charge) -> None:
        hold = data.draw(st.sampled_from(sorted(self.model.settled)))
        assert self.store.admit_now(hold, self.bounds, charge, 10.0) == Admitted()

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data(), charge=charges)
    def admit_again(self, data: st.DataObject, charge: Charge) -> None:
        self.model.look(self.clock.wall)
        if alive := [name for name, held in self.model.holds.items() if not held.lapsed]:
            hold = data.draw(st.sampled_from(alive))
            assert self.store.admit_now(hold, self.bounds, charge, 1.0) == self.model.holds[hold].answer

    @rule(charge=charges)
    def settle_before_it_is_admitted(self, charge: Charge) -> None:
        self.number += 1
        self.store.settle(f"h{self.number}", charge)
        self.model.settle(f"h{self.number}", charge)
        assert self.store.admit_now(f"h{self.number}", self.bounds, charge, 10.0) == Admitted()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "store"):
            return
        self.model.look(self.clock.wall)
        levels = asyncio.run(self.store.levels(self.bounds))
        for bound, level in zip(self.bounds, levels, strict=True):
            assert level.used + level.reserved == self.model.used(bound), bound
            assert level.reserved == (
                sum(
                    amount
                    for held in self.model.holds.values()
                    if not held.lapsed
                    for take, amounts in zip(held.takes, held.reserved, strict=True)
                    for entry, amount in zip(take, amounts, strict=True)
                    if entry.bound == bound and self.model.counts(entry)
                )
            )
        assert self.store.expired == self.model.expired
        assert self.store.under_way == sum(not held.lapsed for held in self.model.holds.values())


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
