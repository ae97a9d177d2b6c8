"""When a server that is away is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.shared.circuit import STEADY, Backoff


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30))
def test_pauses_double_up_to_a_bound_and_no_two_workers_agree(chances: list[float]) -> None:
    """0 for the first try, then about `first`, doubled each time up to `longest`, with jitter from half of it on."""
    left = iter(chances)
    backoff = Backoff(lambda: next(left), 0.05, 1.0)
    assert backoff.pause() == 0
    for number, chance in enumerate(chances):
        full = min(1.0, 0.05 * 2**number)
        assert backoff.pause() == full * (0.5 + chance / 2)


def test_a_connection_that_held_makes_the_next_try_immediate() -> None:
    backoff = Backoff(lambda: 0.5)
    pauses = [backoff.pause() for _ in range(3)]
    assert pauses[2] > pauses[1] > pauses[0] == 0
    backoff.held(STEADY / 2)
    assert backoff.pause() > pauses[2]
    backoff.held(STEADY)
    assert backoff.pause() == 0
