"""Wall time that never goes back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limits.steady import MOST_BACK, SET, ClockWatch, SteadyClock

slow_machine = settings(deadline=None)
SECOND = 1_000_000_000


class Stepping:
    """A clock whose wall can be set, as an administrator or a bad time server does."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000 * SECOND
        self.elapsed = 50 * SECOND

    def now_ns(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.elapsed / SECOND

    def advance(self, nanos: int) -> None:
        self.wall += nanos
        self.elapsed += nanos


def test_is_the_wall_clock_as_long_as_that_goes_on() -> None:
    clock = Stepping()
    steady = SteadyClock(clock)
    for nanos in (0, 1, 10**9, 10**15):
        clock.advance(nanos)
        assert steady.now_ns() == clock.wall


def test_believes_a_step_forward() -> None:
    clock = Stepping()
    steady = SteadyClock(clock)
    steady.now_ns()
    clock.wall += 3600 * SECOND
    assert steady.now_ns() == clock.wall


def test_runs_at_half_speed_until_a_wall_that_was_set_back_has_caught_up() -> None:
    clock = Stepping()
    steady = SteadyClock(clock)
    begun = steady.now_ns()
    clock.wall -= 10 * SECOND
    assert steady.now_ns() == begun
    clock.advance(4 * SECOND)
    assert steady.now_ns() == begun + 2 * SECOND
    clock.advance(5 * SECOND)
    assert steady.now_ns() == begun + 4.5 * SECOND
    clock.advance(10 * SECOND)
    assert steady.now_ns() == clock.wall == begun + 9 * SECOND
    clock.advance(1)
    assert steady.now_ns() == clock.wall
    clock.wall -= SECOND
    clock.advance(SECOND // 2)
    assert steady.now_ns() == clock.wall + SECOND // 2


moves = st.one_of(
    st.tuples(st.just("pass"), st.integers(0, 100 * SECOND)),
    st.tuples(st.just("step"), st.integers(-100 * SECOND, 100 * SECOND)),
)


@slow_machine
@given(st.lists(moves, max_size=40))
def test_never_goes_back_and_no_wait_gets_longer_than_by_the_steps_back(made: list[tuple[str, int]]) -> None:
    """It is never behind the wall and never goes back; all the steps back together bound by how much more time must
    pass until it shows a given time."""
    clock = Stepping()
    steady = SteadyClock(clock)
    before = begun = steady.now_ns()
    passed = back = 0
    for kind, nanos in made:
        if kind == "pass":
            clock.advance(nanos)
            passed += nanos
        else:
            clock.wall += nanos
            back += max(0, -nanos)
        now = steady.now_ns()
        assert now >= max(before, clock.wall)
        before = now
    assert before - begun >= passed - back


def test_goes_back_with_a_wall_that_was_far_ahead_and_says_so() -> None:
    clock, told = Stepping(), []
    steady = SteadyClock(clock, lambda now, by: told.append((now, by)))
    begun = steady.now_ns()
    clock.wall += 400 * 86_400 * SECOND
    assert steady.now_ns() == clock.wall
    clock.wall -= round(MOST_BACK) * SECOND
    assert steady.now_ns() == clock.wall + round(MOST_BACK) * SECOND
    assert told == []
    clock.wall = begun + SECOND
    assert steady.now_ns() == clock.wall
    assert told == [(clock.wall, 400 * 86_400 * SECOND - SECOND)]
    clock.advance(1)
    assert steady.now_ns() == clock.wall
    assert len(told) == 1


def test_a_clock_that_was_set_is_told_of_once() -> None:
    clock = Stepping()
    watch = ClockWatch(clock)
    clock.advance(10**6 * SECOND)
    assert watch.step() == 0.0
    for by in (86_400.0, -SET, 0.0):
        clock.wall += round(by) * SECOND
        assert abs(watch.step() - by) < 1e-3
        assert watch.step() == 0.0
    clock.wall += SECOND
    assert watch.step() == 0.0
