"""The circuit breaker: when it opens, probes and closes."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.external.breaker import Breaker


def opened(failures: int = 3) -> Breaker:
    breaker = Breaker(failures, back_off=1.0, longest=8.0)
    for _ in range(failures):
        assert breaker.allow(0.0)
        breaker.failed(0.0)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker(3, 1.0, 8.0)
    for _ in range(2):
        breaker.failed(0.0)
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(0.0)
    assert breaker.allow(0.0)
    breaker.failed(0.0)
    assert not breaker.allow(0.5)
    assert breaker.state(0.5) == "open"


def test_after_the_back_off_one_probe_is_let_through() -> None:
    breaker = opened()
    assert breaker.state(1.0) == "half-open"
    assert breaker.allow(1.0)
    assert not breaker.allow(1.0)
    breaker.succeeded()
    assert breaker.state(1.0) == "closed"
    assert breaker.allow(1.0)


def test_a_failed_probe_doubles_the_back_off_up_to_the_longest() -> None:
    breaker, now, waits = opened(), 0.0, list[float]()
    for _ in range(5):
        start = now
        while not breaker.allow(now):
            now += 0.5
        waits.append(now - start)
        breaker.failed(now)
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0]


def test_an_abandoned_probe_leaves_the_next_call_to_be_it() -> None:
    breaker = opened()
    assert breaker.allow(1.0)
    breaker.abandoned()
    assert breaker.allow(1.0)


def test_a_service_that_asks_for_a_pause_gets_it_at_once() -> None:
    breaker = Breaker(5, 1.0, 8.0)
    breaker.failed(0.0, retry_after=4.0)
    assert not breaker.allow(3.9)
    assert breaker.allow(4.0)


def test_calls_from_before_it_opened_do_not_prolong_it() -> None:
    breaker = opened()
    breaker.failed(0.9)
    assert breaker.allow(1.0)


@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from(["succeeded", "failed", "abandoned"])), max_size=40))
def test_it_never_stays_shut_longer_than_the_longest_back_off(steps: list[tuple[float, str]]) -> None:
    """ "Open for a back-off" of at most `longest`; "after it one call, the probe, is let through"."""
    breaker, now = Breaker(2, 1.0, 8.0), 0.0
    for wait, outcome in steps:
        now += wait
        if breaker.allow(now):
            getattr(breaker, outcome)(*([now] if outcome == "failed" else []))
    assert breaker.allow(now + 8.0)
