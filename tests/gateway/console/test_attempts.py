from hypothesis import given
from hypothesis import strategies as st

from gateway.console.attempts import MOST_ADDRESSES, MOST_FAILURES, MOST_IN_ALL, WINDOW, Attempts


def test_after_so_many_failures_an_address_waits_for_the_rest_of_the_window():
    attempts = Attempts()
    for at in range(MOST_FAILURES):
        assert attempts.wait("a", float(at)) == 0
        attempts.failed("a", float(at))
    assert attempts.wait("a", 20.0) == WINDOW - 20
    assert attempts.wait("b", 20.0) == 0
    assert attempts.wait("a", WINDOW) == 0


def test_a_right_key_forgets_the_wrong_ones():
    attempts = Attempts()
    for _ in range(MOST_FAILURES):
        attempts.failed("a", 1.0)
    attempts.succeeded("a")
    assert attempts.wait("a", 1.0) == 0


@given(st.lists(st.integers(0, 10_000), min_size=MOST_IN_ALL, max_size=MOST_IN_ALL + 50))
def test_many_addresses_together_are_held_back_too(addresses: list[int]):
    """ "per client address, and in all": whoever has many addresses gains nothing by it."""
    attempts = Attempts()
    for address in addresses:
        attempts.failed(str(address), 5.0)
    assert attempts.wait("somebody else", 6.0) == WINDOW - 1
    assert attempts.wait("somebody else", 5.0 + WINDOW) == 0


def test_memory_is_bounded():
    attempts = Attempts()
    for at in range(3 * MOST_ADDRESSES):
        attempts.failed(str(at), at * WINDOW)
    assert len(attempts._failed) <= MOST_ADDRESSES
    assert len(attempts._all) == 1
