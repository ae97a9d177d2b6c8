"""The one decision: does a charge fit all its bounds? And what taking, settling and extending do to their counters.

Pure: no clock, no I/O. `decide` takes nothing; `take`, `settle` and `lapse` change the counters they are given and
nothing else. `admit` is `decide`, `take` and `tell` in one pass, for the road. Whoever calls them
(`gateway.limits.memory`) keeps holds apart by name and sees to it that each is settled once.

What is counted where:

- A charge is entered in the cell (part of a rolling window, calendar period) that runs when it is taken, and is settled
  there: a correction of what was taken in an earlier month does not touch this one.
- A hold that was extended has several charges. What it took in the end fills them in their order; what was reserved too
  much is given back from the latest, and what was not reserved is entered in the latest.
- What is under way is given back whole by settling; a rate (`Smooth`) never gives back.
- A bound that must not refuse (`warn`, lenient) is counted all the same, beyond its amount if need be.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from gateway.limits.counters import NEVER, Cell, Counter, Gauge, PacedCounter, Total
from gateway.limits.words import standings, template
from gateway.quota import MEASURES, Admitted, Bound, Charge, Decision, Refused, Smooth, Standing

Amounts: TypeAlias = tuple[int, int, int, int, int, int, int, int]
"""What a charge takes of each of MEASURES, in their order, and 0."""

_KEPT = len(MEASURES)
"""Index of the 0: what a settlement corrects of a rate, which keeps what it took."""
_TOKENS = ("input_tokens", "output_tokens", "tokens")


def asked(charge: Charge) -> Amounts:
    """What is taken when a charge is admitted."""
    read = charge.input_tokens
    written = charge.output_tokens
    return (charge.requests, read, written, read + written, charge.nanos, 1, 1 if charge.stream else 0, 0)


def owed(actual: Charge) -> Amounts:
    """What stays taken when a charge is settled: nothing of what was under way."""
    read = actual.input_tokens
    written = actual.output_tokens
    return (actual.requests, read, written, read + written, actual.nanos, 0, 0, 0)


class Line:
    """A bound and its counter, ready to be counted on."""

    __slots__ = ("back", "bound", "counter", "limit", "pick", "soft", "strict", "watch")

    def __init__(self, bound: Bound, counter: Counter) -> None:
        rule = bound.rule
        self.bound = bound
        self.counter = counter
        self.pick = MEASURES.index(rule.measure)
        """Where its measure stands in `Amounts`."""
        self.back = _KEPT if isinstance(counter, PacedCounter) else self.pick
        """Where what is to be settled stands."""
        self.limit = min(rule.amount, 1) * rule.window.burst if isinstance(rule.window, Smooth) else rule.amount
        self.soft = NEVER if rule.soft is None else rule.soft
        self.strict = not bound.lenient and rule.when_exhausted != "warn"
        self.watch = min(self.soft, self.limit + 1)
        """A charge that makes it less than this is admitted by this bound, and there is nothing to tell."""


Step: TypeAlias = tuple[Total, int, int]
"""A line's total, `pick` and `watch`."""


class Plan:
    """The lines of one request, and which of them are shown to the client.

    For the road it keeps what `admit` needs of each line side by side, as long as no counter has to be rolled: that
    is right where time does not go back and whoever gives a counter another period makes new plans of it."""

    __slots__ = ("backs", "cells", "extended", "lines", "requests", "shown", "steps", "tokens", "until")

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = tuple(lines)
        self.until = -1
        """When `refresh` is due (ns)."""
        self.cells: tuple[Cell, ...] = ()
        """Where a charge belongs until then, by line."""
        self.steps: tuple[Step, ...] = tuple((line.counter.total, line.pick, line.watch) for line in lines)
        self.backs = tuple(line.back for line in lines)
        """Each line's `back`."""
        self.shown: Shown | None = None
        """How `words` are made until then where that is one step: of one line of requests and one of tokens, with
        windows that end together. Else None."""
        self.requests = tuple(line for line in lines if line.bound.rule.measure == "requests")
        self.tokens = tuple(line for line in lines if line.bound.rule.measure in _TOKENS)
        self.extended = tuple(line for line in lines if not isinstance(line.counter, Gauge | PacedCounter))
        """Those that an extension of a hold counts on."""

    def refresh(self, now: int) -> None:
        """Bring the counters up to date, and what is kept of them."""
        until = NEVER
        for line in self.lines:
            counter = line.counter
            if now >= counter.until:
                counter.roll(now)
            until = min(until, counter.until)
        self.cells = tuple([line.counter.cell for line in self.lines])
        self.shown = self._shown()
        self.until = until

    def _shown(self) -> "Shown | None":
        if len(self.requests) != 1 or len(self.tokens) != 1:
            return None
        requests, tokens = self.requests[0], self.tokens[0]
        whole_at = requests.counter.whole_at
        if whole_at is None or whole_at != tokens.counter.whole_at:
            return None
        words, used, size = template(requests.limit, tokens.limit), requests.counter.total, tokens.counter.total
        return words, used, requests.limit, size, tokens.limit, tokens.pick, whole_at

    def words(self, now: int) -> bytes:
        """What a client is told of an admission that was just entered and left room in every line: header fields."""
        requests, tokens = self.requests, self.tokens
        return standings(_standing(requests, now) if requests else None, _standing(tokens, now) if tokens else None)


Shown: TypeAlias = tuple[bytes, Total, int, Total, int, int, int]
"""Words (`gateway.limits.words.template`); total and limit of requests; total, limit and `pick` of tokens; when all is
there again of both, if something is taken now (ns)."""


class Taken(msgspec.Struct, gc=False):
    """One charge as it was entered: amounts, and each line's `back` and cell."""

    backs: tuple[int, ...]
    amounts: Amounts
    cells: Sequence[Cell]


def decide(plan: Plan, amounts: Amounts, now: int) -> Decision:
    """Whether these amounts fit every bound of the plan at `now` (ns). Takes nothing.

    The standings of an admission are those after the charge, of a refusal those before it. Of several bounds that
    refuse, the one that takes longest to let it through is named. An amount of 0 is never refused.
    """
    for line in plan.lines:
        counter = line.counter
        if now >= counter.until:
            counter.roll(now)
        if counter.used + amounts[line.pick] >= line.watch:
            return _weigh(plan, amounts, now)
    return Admitted(
        _tightest(plan.requests, amounts, now) if plan.requests else None,
        _tightest(plan.tokens, amounts, now) if plan.tokens else None,
    )


def admit(plan: Plan, amounts: Amounts, now: int) -> Decision:
    """`decide`; when it admits, `take` into `plan.cells`, and `tell`. In one pass, until a line is met that has
    something to tell or no room: what was entered is taken out again then, and it is done step by step. `now` is never
    before one that a counter of the plan has seen."""
    if now >= plan.until:
        plan.refresh(now)
    for step in plan.steps:
        total, pick, watch = step
        after = total.used + amounts[pick]
        if after >= watch:
            return _admit_with_care(plan, step, amounts, now)
        total.used = after
    requests, tokens = plan.requests, plan.tokens
    return Admitted(
        _standing(requests, now) if requests else None,
        _standing(tokens, now) if tokens else None,
    )


def untake(plan: Plan, met: Step, amounts: Amounts) -> None:
    """Take out again what was entered before `met`, one of the plan's steps."""
    for step in plan.steps:
        if step is met:
            return
        total, pick, _ = step
        total.used -= amounts[pick]


def _admit_with_care(plan: Plan, met: Step, amounts: Amounts, now: int) -> Decision:
    untake(plan, met, amounts)
    decision = decide(plan, amounts, now)
    if isinstance(decision, Admitted):
        take(plan.lines, amounts)
        if decision.soft:
            tell(plan.lines, now)
    return decision


def _weigh(plan: Plan, amounts: Amounts, now: int) -> Decision:
    """The decision when a bound is past its soft threshold, or has no room."""
    short: list[Line] = []
    soft: list[Line] = []
    over: list[Line] = []
    for line in plan.lines:
        counter = line.counter
        if now >= counter.until:
            counter.roll(now)
        amount = amounts[line.pick]
        after = counter.used + amount
        if amount and after > line.limit:
            (short if line.strict else over).append(line)
        if after >= line.soft:
            soft.append(line)
    if short:
        return _refuse(plan, short, amounts, now)
    return Admitted(
        _tightest(plan.requests, amounts, now) if plan.requests else None,
        _tightest(plan.tokens, amounts, now) if plan.tokens else None,
        tuple(line.bound for line in soft),
        tuple(line.bound for line in soft if now >= line.counter.told),
        tuple(line.bound for line in over),
    )


def _refuse(plan: Plan, short: list[Line], amounts: Amounts, now: int) -> Refused:
    longest = short[0]
    wait: float | None = -1.0
    for line in short:
        amount = amounts[line.pick]
        if amount > line.limit:
            longest, wait = line, None
            break
        found = line.counter.wait(amount, line.limit, now)
        if found > wait:
            longest, wait = line, found
    return Refused(
        longest.bound,
        wait,
        amounts[longest.pick],
        max(0, longest.limit - longest.counter.used),
        _tightest(plan.requests, _NOTHING, now) if plan.requests else None,
        _tightest(plan.tokens, _NOTHING, now) if plan.tokens else None,
    )


def _standing(lines: tuple[Line, ...], now: int) -> Standing:
    """`_tightest` after an admission that left room in every line."""
    line = lines[0]
    if line is not lines[-1]:
        return _tightest(lines, _NOTHING, now)
    counter = line.counter
    limit = line.limit
    return Standing(line.bound, limit, limit - counter.used, counter.resets_in(0, now))


def _tightest(lines: tuple[Line, ...], amounts: Amounts, now: int) -> Standing:
    """Where the line with the smallest share left stands after these amounts; the first of equals."""
    line = lines[0]
    left = line.limit - line.counter.used - amounts[line.pick]
    if len(lines) > 1:
        for other in lines:
            rest = other.limit - other.counter.used - amounts[other.pick]
            if max(rest, 0) * line.limit < max(left, 0) * other.limit:
                line, left = other, rest
    return Standing(line.bound, line.limit, left if left > 0 else 0, line.counter.resets_in(amounts[line.pick], now))


def take(lines: tuple[Line, ...], amounts: Amounts) -> list[Cell]:
    """Enter amounts that were admitted at this same moment; returns the cell of each line."""
    cells: list[Cell] = []
    for line in lines:
        line.counter.used += amounts[line.pick]
        cells.append(line.counter.cell)
    return cells


def tell(lines: tuple[Line, ...], now: int) -> None:
    """Note, after taking, that soft thresholds which are passed now have been told."""
    for line in lines:
        counter = line.counter
        if counter.used >= line.soft:
            counter.told = max(counter.told, counter.quiet_until(now))


def room(lines: tuple[Line, ...], amounts: Amounts, now: int) -> bool:
    """Whether an extension fits: no bound that may refuse has too little room."""
    for line in lines:
        counter = line.counter
        if now >= counter.until:
            counter.roll(now)
        amount = amounts[line.pick]
        if amount and line.strict and counter.used + amount > line.limit:
            return False
    return True


def settle(taken: Taken, actual: Amounts) -> None:
    """Let a charge that was entered once be what it was in truth."""
    held = taken.amounts
    for back, cell in zip(taken.backs, taken.cells):  # noqa: B905 - as long as each other; to say so costs as much again
        change = actual[back] - held[back]
        if change:
            cell.correct(change)


def settle_all(takes: Sequence[Taken], actual: Amounts, lapsed: bool = False) -> None:
    """The same for a hold with several charges, in the order they were taken; `lapsed`: for one given back before."""
    rest = list(actual)
    for taken in takes[:-1]:
        share = [min(left, held) for left, held in zip(rest, taken.amounts, strict=True)]
        rest = [left - part for left, part in zip(rest, share, strict=True)]
        settle(_nothing_of(taken) if lapsed else taken, _amounts(share))
    settle(_nothing_of(takes[-1]) if lapsed else takes[-1], _amounts(rest))


def lapse(takes: Sequence[Taken]) -> None:
    """Give back a hold that was never settled. A settlement after all is entered where it would have been."""
    for taken in takes:
        settle(taken, _NOTHING)


def _nothing_of(taken: Taken) -> Taken:
    return Taken(taken.backs, _NOTHING, taken.cells)


_NOTHING: Amounts = (0, 0, 0, 0, 0, 0, 0, 0)


def _amounts(values: list[int]) -> Amounts:
    a, b, c, d, e, f, g, h = values
    return (a, b, c, d, e, f, g, h)
