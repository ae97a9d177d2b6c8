"""Which exchanges are traced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import Ids
from gateway.errors import Outcome
from gateway.facts import Exchange, TraceParent
from gateway.telemetry.sampling import Keep, sampling, threshold_of

KINDS: tuple[Keep, ...] = ("error", "blocked", "slow", "refused")
shares = st.floats(0, 1)
keeps = st.sets(st.sampled_from(KINDS))
traces = st.text("0123456789abcdef", min_size=32, max_size=32)


def exchange(outcome: Outcome = "ok", seconds: float = 0.1, status: int = 200, parent: TraceParent | None = None):
    id_ = Ids().uuid7(0)
    return Exchange(
        id_, id_, 0, 100.0, outcome=outcome, status=status, finished_at=100.0 + seconds, parent=parent
    )  # fmt: skip


@given(shares, shares, traces)
def test_a_greater_share_holds_all_of_a_smaller_one(one: float, other: float, trace: str) -> None:
    """Consistent probability sampling: "if a sampler with lower probability keeps, one with higher does too"."""
    small, great = sorted((one, other))
    if trace[-14:] >= threshold_of(small):
        assert trace[-14:] >= threshold_of(great)


@given(shares, keeps)
def test_the_same_exchange_is_always_decided_alike(share: float, keep: set[Keep]) -> None:
    """Deterministic by trace id: two processes that see the same trace decide the same."""
    x = exchange()
    assert sampling(share, keep, 30.0).keeps(x) == sampling(share, keep, 30.0).keeps(x)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.5, 0.99, 1.0])
def test_the_share_is_what_it_says(share: float) -> None:
    """Exactly none, exactly all, and between them within what chance allows (5 standard deviations of 20,000)."""
    decide = sampling(share, (), 30.0)
    ids = Ids()
    kept = sum(decide.samples(Exchange(id_, id_, 0, 0.0)) for id_ in (ids.uuid7(n * 1000) for n in range(20_000)))
    assert abs(kept - 20_000 * share) <= 5 * (20_000 * share * (1 - share)) ** 0.5


@given(keeps)
def test_what_is_to_be_kept_is_kept(keep: set[Keep]) -> None:
    """`keep`: "requests that are always traced"; a share of nothing leaves nothing else."""
    decide = sampling(0.0, keep, 30.0)
    for outcome in ("error", "upstream_error", "upstream_timeout", "upstream_status", "shutdown"):
        assert decide.keeps(exchange(outcome, status=502)) == ("error" in keep)
    assert decide.keeps(exchange("blocked", status=400)) == ("blocked" in keep)
    assert decide.keeps(exchange("cut", status=200)) == ("blocked" in keep)
    assert decide.keeps(exchange("refused", status=401)) == ("refused" in keep)
    assert decide.keeps(exchange("refused", status=402)) == (not keep.isdisjoint(("refused", "blocked")))
    assert decide.keeps(exchange(seconds=30.0)) == ("slow" in keep)
    assert not decide.keeps(exchange(seconds=29.99))
    assert not decide.keeps(exchange("client_left", status=499))


@given(shares, st.integers(0, 3))
def test_the_caller_decides_for_its_own_trace(share: float, flags: int) -> None:
    """Rule: "sampled: the caller may have recorded trace data": its trace is whole, or is left alone but for what is
    always kept."""
    parent = TraceParent("ab" * 16, "cd" * 8, flags)
    decide = sampling(share, ("error",), 30.0)
    assert decide.keeps(exchange(parent=parent)) == parent.sampled
    assert decide.keeps(exchange("error", status=500, parent=parent))
