"""One worker's share of a limit."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.shared.share import bound_of_share, share_of
from gateway.quota import Bound, Calendar, Measure, Rolling, Rule, Smooth

MONEY: tuple[Measure, ...] = ("usd", "tokens", "input_tokens", "output_tokens")
THINGS: tuple[Measure, ...] = ("requests", "concurrent", "streams")


def rule(measure: Measure, amount: int) -> Rule:
    return Rule(id="r", measure=measure, amount=amount, window=Calendar("day"), soft=amount // 2)


@given(st.sampled_from(MONEY), st.integers(0, 10**18), st.integers(1, 1000))
def test_all_shares_together_are_never_more_than_the_whole(measure: Measure, amount: int, workers: int) -> None:
    """Of `n` live workers each may let through an n-th of every amount."""
    share = share_of(rule(measure, amount), workers)
    assert share.amount * workers <= amount < (share.amount + 1) * workers


@given(st.sampled_from(THINGS), st.integers(0, 1000), st.integers(1, 2000))
def test_no_worker_stands_still(measure: Measure, amount: int, workers: int) -> None:
    """What counts requests or what is under way is at least 1; overrun by the number of workers at most. A rule of 0
    stays 0."""
    share = share_of(rule(measure, amount), workers)
    assert share.amount == (max(1, amount // workers) if amount else 0)
    assert share.amount * workers <= max(amount, workers)


@given(st.integers(1, 1000), st.integers(1, 100), st.integers(1, 64))
def test_a_rate_is_shared_in_rate_and_burst(amount: int, burst: int, workers: int) -> None:
    share = share_of(Rule(id="r", measure="requests", amount=amount, window=Smooth(60, burst)), workers)
    assert share.window == Smooth(60, max(1, burst // workers))
    assert share.amount == max(1, amount // workers)


def test_everything_else_stays() -> None:
    bound = Bound(Rule(id="r", measure="usd", amount=90, window=Rolling(60)), "k", "t:a", lenient=True)
    share = bound_of_share(bound, 3)
    assert (share.key, share.group, share.lenient, share.rule.window) == ("k", "t:a", True, Rolling(60))
    assert share.rule.amount == 30
    assert bound_of_share(bound, 1) == bound
