"""How a shared store's answer is read: as `decide` would have said it of counters that hold the same."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.counters import Gauge
from gateway.limits.decide import Line, asked, decide
from gateway.limits.decide import Plan as LocalPlan
from gateway.limits.shared.plans import Plan, joined
from gateway.quota import Admitted, Bound, Charge, Measure, Refused, Rule, Standing

MEASURES: tuple[Measure, ...] = ("requests", "tokens", "usd", "output_tokens")


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Bound], list[int], Charge]:
    bounds: list[Bound] = []
    used: list[int] = []
    for number in range(draw(st.integers(1, 5))):
        rule = Rule(
            id=f"r{number}",
            measure=draw(st.sampled_from(MEASURES)),
            amount=draw(st.integers(0, 20)),
            window=None,
            soft=draw(st.none() | st.integers(0, 20)),
            when_exhausted=draw(st.sampled_from(["block", "warn"])),
        )
        bounds.append(Bound(rule, f"k{number}", draw(st.sampled_from(["g", "t:a"]))))
        used.append(draw(st.integers(0, 25)))
    charge = Charge(draw(st.integers(0, 9)), draw(st.integers(0, 9)), draw(st.integers(0, 9)))
    return bounds, used, charge


@given(cases())
def test_reads_what_decide_would_say(case: tuple[list[Bound], list[int], Charge]) -> None:
    """The standings of an admission are those after the charge, of a refusal those before it; soft, crossed and over
    are told of the same bounds, and the same bound refuses."""
    bounds, used, charge = case
    amounts = asked(charge)
    lines: list[Line] = []
    for bound, amount in zip(bounds, used, strict=True):
        counter = Gauge()
        counter.used = amount
        lines.append(Line(bound, counter))
    expected = decide(LocalPlan(lines), amounts, 1)
    plan = Plan(tuple(bounds))
    numbers = list(range(1, len(bounds) + 1))
    resets = [1_000_000] * len(bounds)
    if isinstance(expected, Admitted):
        after = [amount + amounts[one.pick] for amount, one in zip(used, plan.asked, strict=True)]
        crossed = sum(1 << at for at, bound in enumerate(bounds) if bound in expected.crossed)
        over = sum(1 << at for at, bound in enumerate(bounds) if bound in expected.over)
        found = plan.decision(amounts, [1, crossed, over, *after], resets, numbers)
        assert isinstance(found, Admitted)
        assert (found.soft, found.crossed, found.over) == (expected.soft, expected.crossed, expected.over)
    else:
        position = bounds.index(expected.bound)
        wait = -1 if expected.retry_after is None else round(expected.retry_after * 1e6)
        found = plan.decision(amounts, [0, position, wait, *used], resets, numbers)
        assert isinstance(found, Refused)
        assert (found.bound, found.retry_after) == (expected.bound, expected.retry_after)
        assert (found.needed, found.available) == (expected.needed, expected.available)
    for ours, theirs in ((found.requests, expected.requests), (found.tokens, expected.tokens)):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            assert (ours.bound, ours.limit, ours.remaining) == (theirs.bound, theirs.limit, theirs.remaining)


def test_places_are_asked_in_one_order_whatever_the_order_of_bounds() -> None:
    made = [Bound(Rule(id=g, measure="usd", amount=1, window=None), g, g) for g in ("t:b", "g", "t:a", "g")]
    assert [part.groups for part in Plan(tuple(made)).parts] == [("g",), ("t:a",), ("t:b",)]
    assert [part.groups for part in Plan(tuple(reversed(made))).parts] == [("g",), ("t:a",), ("t:b",)]
    assert Plan(()).groups == ("g",)


def test_what_several_places_said_is_one_answer() -> None:
    one, other = (Bound(Rule(id=r, measure="requests", amount=10, window=None), r) for r in "ab")
    wide, narrow = Standing(one, 10, 9, 1.0), Standing(other, 100, 10, 2.0)
    both = joined([Admitted(requests=wide, soft=(one,)), Admitted(requests=narrow, over=(other,))])
    assert both == Admitted(requests=narrow, soft=(one,), over=(other,))
    assert joined([Admitted(), Admitted(tokens=wide)]).tokens == wide
