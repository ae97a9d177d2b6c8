"""The one decision: what it says, that it takes nothing, and what taking and settling do."""

import copy
from collections.abc import Sequence
from random import Random
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limits.counters import counter_for
from gateway.limits.decide import (
    Line,
    Plan,
    Taken,
    admit,
    asked,
    decide,
    lapse,
    owed,
    room,
    settle,
    settle_all,
    take,
    tell,
)
from gateway.limits.windows import SECOND
from gateway.quota import (
    MEASURES,
    Admitted,
    Bound,
    Calendar,
    Charge,
    Decision,
    Measure,
    Refused,
    Rolling,
    Rule,
    Smooth,
    Window,
)

slow_machine = settings(deadline=None)
NOW = 1_700_000_000 * SECOND


def line(
    measure: Measure, amount: int, window: Window | None = Rolling(60), lenient: bool = False, **rule: object
) -> Line:
    made = Rule(id=f"r.{measure}", measure=measure, amount=amount, window=window, **rule)  # pyright: ignore
    return Line(Bound(made, made.id, lenient=lenient), counter_for(made, NOW))


charges = st.builds(
    Charge,
    input_tokens=st.integers(0, 100),
    output_tokens=st.integers(0, 100),
    nanos=st.integers(0, 100),
    requests=st.integers(0, 3),
    stream=st.booleans(),
)


@slow_machine
@given(charges)
def test_amounts_are_what_a_charge_takes_of_each_measure(charge: Charge) -> None:
    taken, kept = asked(charge), owed(charge)
    for place, measure in enumerate(MEASURES):
        assert taken[place] == charge.of(measure)
        assert kept[place] == (0 if measure in ("concurrent", "streams") else charge.of(measure))
    assert taken[len(MEASURES) :] == kept[len(MEASURES) :] == (0,)
    assert set(MEASURES) == set(get_args(Measure))


def all_kinds(amount: int) -> Plan:
    return Plan(
        [
            line("requests", amount),
            line("tokens", amount, Calendar("day")),
            line("concurrent", amount, None),
            line("requests", amount, Smooth(60, amount)),
            line("usd", amount, when_exhausted="warn"),
        ]
    )


def backs(lines: Sequence[Line]) -> tuple[int, ...]:
    return tuple(line.back for line in lines)


def seen(plan: Plan) -> list[tuple[int, int, int]]:
    return [(made.counter.used, made.counter.cell.amount, made.counter.told) for made in plan.lines]


@slow_machine
@given(st.integers(1, 100), st.lists(charges, max_size=20))
def test_a_decision_takes_nothing(amount: int, tried: list[Charge]) -> None:
    """Deciding any number of times leaves every counter as it was, and says the same again."""
    plan = all_kinds(amount)
    first: list[Decision] = [decide(plan, asked(charge), NOW) for charge in tried]
    assert seen(plan) == [(0, 0, 0)] * 5
    assert [decide(plan, asked(charge), NOW) for charge in tried] == first


@slow_machine
@given(st.integers(1, 100), st.lists(charges, min_size=1, max_size=20))
def test_admits_exactly_what_fits_every_bound_that_may_refuse(amount: int, tried: list[Charge]) -> None:
    """Admitted if and only if, for each measure asked for, used and asked together are at most the amount."""
    plan = all_kinds(amount)
    sums = dict.fromkeys(("requests", "tokens", "concurrent"), 0)
    for charge in tried:
        amounts = asked(charge)
        wanted = {measure: charge.of(measure) for measure in sums}  # pyright: ignore
        decision = decide(plan, amounts, NOW)
        fits = all(not want or sums[measure] + want <= amount for measure, want in wanted.items())
        assert isinstance(decision, Admitted) == fits
        if isinstance(decision, Refused):
            assert decision.available == amount - sums[decision.bound.rule.measure]
            assert decision.needed > decision.available
            continue
        take(plan.lines, amounts)
        for measure, want in wanted.items():
            sums[measure] += want
        assert decision.requests is not None
        assert decision.requests.remaining == amount - sums["requests"]


moments = st.sampled_from([0, 0, 1, SECOND // 3, 20 * SECOND, 61 * SECOND, -5 * SECOND])


@slow_machine
@given(st.integers(1, 60), st.lists(st.tuples(charges, moments), max_size=30), st.randoms())
def test_admitting_in_one_pass_is_deciding_and_then_taking(
    amount: int, tried: list[tuple[Charge, int]], chance: Random
) -> None:
    """`admit` gives the same decisions and leaves the same counters as `decide`, `take` and `tell`, one by one."""
    fast = Plan(
        [
            line("requests", amount, soft=amount // 2),
            line("tokens", 10 * amount, Calendar("minute"), soft=8 * amount),
            line("requests", 3 * amount, Smooth(7, amount)),
            line("concurrent", amount, None, soft=amount),
            line("usd", 5 * amount, Rolling(20), when_exhausted="warn"),
            line("input_tokens", 7 * amount, lenient=chance.random() < 0.5),
        ]
    )
    slow, now = copy.deepcopy(fast), NOW
    for charge, later in tried:
        now += later
        amounts = asked(charge)
        expected = decide(slow, amounts, now)
        assert admit(fast, amounts, now) == expected
        if isinstance(expected, Admitted):
            assert list(fast.cells) == [made.counter.cell for made in fast.lines]
            taken = Taken(fast.backs, amounts, fast.cells)
            same = Taken(slow.backs, amounts, take(slow.lines, amounts))
            if expected.soft:
                tell(slow.lines, now)
            if chance.random() < 0.5:
                settle(taken, owed(Charge(1, 2, 3)))
                settle(same, owed(Charge(1, 2, 3)))
        assert seen(fast) == seen(slow)


@slow_machine
@given(charges, st.lists(charges, max_size=4), charges)
def test_settling_leaves_what_was_truly_taken(first: Charge, later: list[Charge], actual: Charge) -> None:
    """Whatever was reserved, at once or by extensions: in the end the truth is counted, of every measure but a rate;
    and when it was given back in between, the same."""
    for lapsed in (False, True):
        plan = all_kinds(10**6)
        decide(plan, asked(first), NOW)
        takes = [Taken(plan.backs, asked(first), take(plan.lines, asked(first)))]
        for more in later:
            amounts = asked(Charge(more.input_tokens, more.output_tokens, more.nanos, 0))
            assert room(plan.extended, amounts, NOW)
            takes.append(Taken(backs(plan.extended), amounts, take(plan.extended, amounts)))
        if lapsed:
            lapse(takes)
            assert [made.counter.used for made in plan.lines] == [0, 0, 0, first.requests, 0]
        if not later and not lapsed:
            settle(takes[0], owed(actual))
        else:
            settle_all(takes, owed(actual), lapsed)
        tokens = actual.input_tokens + actual.output_tokens
        assert [made.counter.used for made in plan.lines] == [
            actual.requests, tokens, 0, first.requests, actual.nanos,
        ]  # fmt: skip


def test_an_amount_of_0_lets_nothing_through() -> None:
    windows: tuple[Window | None, ...] = (Rolling(60), Calendar("month"), Smooth(60, 5), None)
    for window in windows:
        plan = Plan([line("requests" if window else "concurrent", 0, window)])
        for _ in range(2):
            decision = decide(plan, asked(Charge()), NOW)
            assert isinstance(decision, Refused)
            assert (decision.retry_after, decision.needed, decision.available) == (None, 1, 0)
            assert decision.requests is None or (decision.requests.limit, decision.requests.reset) == (0, 0)


def test_what_was_reserved_too_much_is_given_back_from_the_latest() -> None:
    """Two charges in two windows of a second: what was used fills the first one first."""
    plan = Plan([line("usd", 100, Calendar("second"))])
    first = Taken(plan.backs, asked(Charge(nanos=10)), take(plan.lines, asked(Charge(nanos=10))))
    more = asked(Charge(nanos=20, requests=0))
    assert room(plan.extended, more, NOW + SECOND)
    second = Taken(backs(plan.extended), more, take(plan.extended, more))
    cells = (*first.cells, *second.cells)
    for actual, expected in ((25, [10, 15]), (7, [7, 0]), (50, [10, 40])):
        memo: dict[int, object] = {}
        takes = copy.deepcopy([first, second], memo)
        settle_all(takes, owed(Charge(nanos=actual)))
        assert [taken.cells[0].amount for taken in takes] == expected
        assert takes[1].cells[0].total.used == expected[1]
    assert [cell.amount for cell in cells] == [10, 20]


def test_an_extension_has_room_or_not_as_an_admission_has() -> None:
    hard, soft = line("usd", 10), line("tokens", 10, when_exhausted="warn")
    down = line("output_tokens", 10, when_exhausted="downgrade", downgrade_to="m")
    forgiven = line("output_tokens", 10, lenient=True, when_exhausted="downgrade", downgrade_to="m")
    for made, fits in ((hard, False), (soft, True), (down, False), (forgiven, True)):
        assert room((made,), asked(Charge(nanos=11, output_tokens=11)), NOW) == fits
        assert room((made,), asked(Charge(nanos=10, output_tokens=10)), NOW)
        take((made,), asked(Charge(nanos=50, output_tokens=50)))
        assert room((made,), asked(Charge()), NOW)


def test_a_soft_threshold_that_was_told_is_quiet_for_its_window() -> None:
    plan = Plan([line("usd", 100, Calendar("minute"), soft=50), line("requests", 100, soft=2)])
    for charge, soft, crossed in (
        (Charge(nanos=49), [], []),
        (Charge(nanos=1), [0, 1], [0, 1]),
        (Charge(nanos=1), [0, 1], []),
    ):
        decision = decide(plan, asked(charge), NOW)
        assert isinstance(decision, Admitted)
        assert decision.soft == tuple(plan.lines[place].bound for place in soft)
        assert decision.crossed == tuple(plan.lines[place].bound for place in crossed)
        take(plan.lines, asked(charge))
        tell(plan.lines, NOW)
    later = decide(plan, asked(Charge(nanos=50)), NOW + 45 * SECOND)
    assert isinstance(later, Admitted)
    assert later.crossed == (plan.lines[0].bound,)
    assert later.soft == (plan.lines[0].bound, plan.lines[1].bound)


def test_a_threshold_a_settlement_passed_is_told_by_the_next_charge() -> None:
    plan = Plan([line("usd", 100, Calendar("month"), soft=50)])
    taken = Taken(plan.backs, asked(Charge(nanos=10)), take(plan.lines, asked(Charge(nanos=10))))
    settle(taken, owed(Charge(nanos=60)))
    decision = decide(plan, asked(Charge(nanos=1)), NOW)
    assert isinstance(decision, Admitted)
    assert decision.crossed == (plan.lines[0].bound,)


@slow_machine
@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 120)), min_size=1, max_size=6))
def test_the_standing_is_of_the_rule_with_the_smallest_share_left(rules: list[tuple[int, int]]) -> None:
    lines = [line("requests", amount) for amount, _ in rules]
    for made, (_, used) in zip(lines, rules, strict=True):
        made.counter.used = used
    plan = Plan([*lines, line("usd", 10)])
    decision = decide(plan, asked(Charge(requests=0)), NOW)
    assert isinstance(decision, Admitted)
    shares = [max(0, amount - used) / amount for amount, used in rules]
    assert decision.requests is not None
    assert decision.requests.remaining / decision.requests.limit == min(shares)
    assert decision.requests.bound == lines[shares.index(min(shares))].bound
    assert decision.tokens is None
