"""The state machine of one circuit breaker, against a plain model and by its rules."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.breaker import Breaker, BreakerOptions

OPTIONS = BreakerOptions(failures=3, errors=0.5, least=10, window=30.0, back_off=2.0, longest=7.0)


def opened(at: float = 0.0, options: BreakerOptions = OPTIONS) -> Breaker:
    breaker = Breaker(options)
    for _ in range(options.failures):
        breaker.failed(breaker.enter(at), at)
    assert breaker.state(at) == "open"
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_does_not() -> None:
    breaker = Breaker(OPTIONS)
    for _ in range(4):
        assert [breaker.failed(0, 0), breaker.failed(0, 0), breaker.succeeded(0, 0)] == [False] * 3
        breaker = Breaker(OPTIONS)
    assert [breaker.failed(0, 0), breaker.failed(0, 0), breaker.failed(0, 0)] == [False, False, True]


def test_a_share_of_the_window_opens_it() -> None:
    """`errors` of at least `least` attempts in `window` seconds."""
    breaker = Breaker(OPTIONS)
    steps = [breaker.failed(0, 1.0) if at % 2 else breaker.succeeded(0, 1.0) for at in range(10)]
    assert steps == [False] * 9 + [True]
    slow = Breaker(OPTIONS)
    for at in range(40):
        assert not (slow.failed(0, at * 4.0) if at % 2 else slow.succeeded(0, at * 4.0)), "too few in any window"


def test_back_off_doubles_up_to_its_longest_and_begins_anew() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(4):
        waits.append(breaker.remaining(now))
        now += waits[-1]
        assert breaker.state(now) == "half-open"
        ticket = breaker.enter(now)
        assert ticket < 0
        assert breaker.failed(ticket, now)
    assert waits == [2.0, 4.0, 7.0, 7.0]
    now += 7.0
    assert breaker.succeeded(breaker.enter(now), now)
    assert (breaker.state(now), breaker.remaining(now)) == ("closed", 0.0)
    for _ in range(3):
        breaker.failed(breaker.enter(now), now)
    assert breaker.remaining(now) == 2.0


def test_one_probe_at_a_time_and_one_that_left_makes_room() -> None:
    breaker = opened()
    probe = breaker.enter(2.0)
    assert probe < 0
    assert not breaker.takes(2.0)
    assert breaker.enter(2.0) > 0
    breaker.left(probe)
    assert breaker.takes(2.0)
    assert breaker.enter(2.0) < 0


def test_who_has_no_other_target_may_close_an_open_circuit_but_not_prolong_it() -> None:
    breaker = opened()
    assert not breaker.failed(breaker.enter(1.0), 1.0)
    assert breaker.remaining(1.0) == 1.0
    assert breaker.succeeded(breaker.enter(1.0), 1.0)
    assert breaker.state(1.0) == "closed"


def test_attempts_begun_before_it_opened_say_nothing() -> None:
    breaker = Breaker(OPTIONS)
    old = breaker.enter(0.0)
    for _ in range(3):
        breaker.failed(breaker.enter(0.0), 0.0)
    assert not breaker.succeeded(old, 1.0)
    assert not breaker.failed(old, 3.0)
    assert breaker.state(3.0) == "half-open"
    breaker.left(old)
    assert breaker.takes(3.0)


class Attempts:
    """A target that is used by rules: each attempt is entered once and ended once."""

    def __init__(self) -> None:
        self.breaker = Breaker(OPTIONS)
        self.now = 0.0
        self.under_way: list[tuple[int, int]] = []
        """Ticket, and openings when it was begun."""


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "ok", "fail", "leave"]), st.floats(0.0, 20.0, allow_nan=False), st.integers(0, 9)
    ),
    max_size=120,
)


@given(STEPS)
def test_rules_of_the_state_machine(steps: list[tuple[str, float, int]]) -> None:
    """ "half-open: the back-off is over: one attempt, the probe, closes the circuit, or opens it for twice as long";
    an attempt "that was begun before the circuit last opened says nothing": whatever comes in whatever order, there is
    never more than one probe, no back-off is beyond the longest, an open circuit only closes by a success had after it
    opened, a half-open one always gets its probe once nobody is, and openings only grow."""
    state = Attempts()
    breaker = state.breaker
    for what, passed, which in steps:
        state.now += passed
        now, before, openings = state.now, breaker.state(state.now), breaker.openings
        probes = [ticket for ticket, began in state.under_way if ticket < 0 and began == openings]
        assert len(probes) <= 1
        if before == "half-open":
            assert breaker.takes(now) == (not probes)
        if what == "enter":
            welcome = breaker.takes(now)
            ticket = breaker.enter(now)
            assert (ticket < 0) == (before == "half-open" and welcome)
            state.under_way.append((ticket, openings))
            continue
        if not state.under_way:
            continue
        ticket, began = state.under_way.pop(which % len(state.under_way))
        if what == "leave":
            breaker.left(ticket)
            assert breaker.state(now) == before
        elif what == "ok":
            closed = breaker.succeeded(ticket, now)
            assert closed == (before != "closed" and began == openings)
            assert breaker.state(now) == ("closed" if closed else before)
        else:
            opened_now = breaker.failed(ticket, now)
            assert breaker.openings == openings + opened_now
            if opened_now:
                assert began == openings
                assert before == "closed" or ticket < 0
                assert 0 < breaker.remaining(now) <= OPTIONS.longest
            else:
                assert breaker.state(now) == before


@given(st.integers(1, 50), st.integers(1, 50))
def test_alone_failures_open_it_exactly_when_they_are_enough(failures: int, made: int) -> None:
    """ "failures: attempts that fail in a row open the circuit"."""
    breaker = Breaker(BreakerOptions(failures=failures, least=1000))
    told = [breaker.failed(breaker.enter(0.0), 0.0) for _ in range(made)]
    assert told.index(True) == failures - 1 if made >= failures else True not in told


def test_as_good_as_new() -> None:
    breaker = Breaker(OPTIONS)
    assert breaker.idle
    breaker.failed(0, 0.0)
    assert not breaker.idle
    breaker.succeeded(0, 1.0)
    assert not breaker.idle
    breaker.succeeded(0, 31.0)
    assert breaker.idle
    assert not opened().idle
