"""The four kinds of counters: what time does to each, in either direction."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limits.counters import (
    GUESS,
    CalendarCounter,
    Counter,
    Gauge,
    PacedCounter,
    RollingCounter,
    counter_for,
    serves,
)
from gateway.limits.windows import SECOND, bucket, period
from gateway.quota import BUCKETS, Calendar, Rolling, Rule, Smooth, Window

slow_machine = settings(deadline=None)
NOW = 1_700_000_000 * SECOND


def take(counter: Counter, amount: int, now: int) -> None:
    if now >= counter.until:
        counter.roll(now)
    counter.used += amount


def used(counter: Counter, now: int) -> int:
    if now >= counter.until:
        counter.roll(now)
    return counter.used


@slow_machine
@given(
    st.integers(1, 100),
    st.lists(st.tuples(st.integers(0, 40 * SECOND), st.integers(0, 50)), min_size=1, max_size=60),
)
def test_a_rolling_window_counts_what_is_not_wholly_outside(seconds: int, charges: list[tuple[int, int]]) -> None:
    """By definition: every charge whose part is at most BUCKETS parts before the running one."""
    counter = RollingCounter(Rolling(seconds), NOW)
    now, seen = NOW, list[tuple[int, int]]()
    for later, amount in charges:
        now += later
        take(counter, amount, now)
        seen.append((bucket(seconds, now), amount))
        oldest = bucket(seconds, now) - BUCKETS
        assert counter.used == sum(amount for index, amount in seen if index >= oldest)
        if counter.used:
            again = counter.resets_in(0, now)
            assert used_at(counter, now + round(again * SECOND) - 1)
    assert used(counter, now + 2 * (seconds + 1) * SECOND) == 0
    assert counter.resets_in(0, now) == 0


def used_at(counter: RollingCounter, now: int) -> int:
    """What would be used then, by the counter's own cells."""
    oldest = bucket(counter.seconds, now) - BUCKETS
    return sum(cell.amount for cell in counter._cells if cell.index >= oldest)


@slow_machine
@given(st.lists(st.tuples(st.integers(-100 * SECOND, 100 * SECOND), st.integers(0, 9)), max_size=50))
def test_time_in_a_counter_never_goes_back(moves: list[tuple[int, int]]) -> None:
    """A counter that sees time step back ends as one that saw the latest time instead: nothing is counted twice, and
    nothing that has left comes back."""
    windows: tuple[tuple[int, Window], ...] = ((1, Rolling(60)), (1, Calendar("minute")), (7, Smooth(60, 20)))
    for amount, window in windows:
        rule = Rule(id="r", measure="requests", amount=amount, window=window)
        stepping, steady = counter_for(rule, NOW), counter_for(rule, NOW)
        now = latest = NOW
        for step, charge in moves:
            now += step
            latest = max(latest, now)
            assert used(stepping, now) == used(steady, latest)
            take(stepping, charge, now)
            take(steady, charge, latest)
            assert used(stepping, latest) == used(steady, latest)


@slow_machine
@given(st.integers(1, 50), st.integers(1, 90), st.integers(1, 20), st.lists(st.integers(0, 40 * SECOND), max_size=80))
def test_a_rate_is_a_level_that_runs_off_evenly(amount: int, seconds: int, burst: int, steps: list[int]) -> None:
    """GCRA as a leaky bucket, in fractions: full at `burst`, running off by `amount` in `seconds`; one request at each
    moment if it fits. And `wait` is the first nanosecond at which one fits."""
    counter = PacedCounter(amount, Smooth(seconds, burst), NOW)
    level, now = Fraction(0), NOW
    for step in steps:
        now += step
        level = max(Fraction(0), level - Fraction(step * amount, seconds * SECOND))
        fits = level + 1 <= burst
        assert (used(counter, now) + 1 <= burst) == fits
        if fits:
            take(counter, 1, now)
            level += 1
            assert counter.resets_in(0, now) >= 0
        else:
            ready = now + round(counter.wait(1, burst, now) * SECOND)
            short = level + 1 - burst
            assert Fraction((ready - now) * amount, seconds * SECOND) >= short
            assert Fraction((ready - now - 1) * amount, seconds * SECOND) < short


def test_a_rate_that_was_passed_over_is_exhausted_but_not_in_debt() -> None:
    counter = PacedCounter(10, Smooth(1, 5), NOW)
    take(counter, 5000, NOW)
    assert used(counter, NOW) == 5
    assert used(counter, NOW + SECOND // 2) == 0


@slow_machine
@given(st.integers(0, 400), st.integers(0, 100))
def test_an_earlier_period_is_settled_without_touching_the_running_one(days: int, amount: int) -> None:
    counter = CalendarCounter(Calendar("month", "Europe/Rome"), NOW)
    take(counter, 70, NOW)
    cell = counter.cell
    later = NOW + days * 86400 * SECOND
    same = period(counter.calendar, NOW) == period(counter.calendar, later)
    assert used(counter, later) == (70 if same else 0)
    assert cell.live == same
    take(counter, amount, later)
    assert counter.used == amount + 70 * same
    expected = (period(counter.calendar, later).end_ns - later) / SECOND if counter.used else 0
    assert counter.resets_in(0, later) == expected


def test_what_is_under_way_does_not_age() -> None:
    gauge = Gauge()
    take(gauge, 3, NOW)
    assert used(gauge, NOW * 2) == 3
    assert (gauge.wait(1, 3, NOW), gauge.resets_in(0, NOW)) == (GUESS, GUESS)


def test_a_rolling_counter_holds_one_cell_more_than_parts() -> None:
    counter = RollingCounter(Rolling(1), NOW)
    for number in range(2000):
        take(counter, 1, NOW + number * SECOND // 500)
    assert len(counter._cells) <= BUCKETS + 1


@pytest.mark.parametrize(
    ("before", "after", "same", "adapted"),
    [
        (None, None, True, False),
        (None, Rolling(60), False, False),
        (Rolling(60), Rolling(60), True, False),
        (Rolling(60), Rolling(61), False, False),
        (Rolling(60), None, False, False),
        (Rolling(60), Calendar("minute"), False, False),
        (Calendar("month"), Calendar("month"), True, False),
        (Calendar("month"), Calendar("month", "Asia/Tokyo"), True, True),
        (Calendar("month"), Calendar("week"), False, False),
        (Calendar("month"), Smooth(60, 1), False, False),
        (Smooth(60, 5), Smooth(60, 5), True, False),
        (Smooth(60, 5), Smooth(6, 50), True, True),
        (Smooth(60, 5), Rolling(60), False, False),
    ],
)
def test_a_counter_serves_a_rule_of_the_same_kind_of_window(
    before: Window | None, after: Window | None, same: bool, adapted: bool
) -> None:
    measure = "requests" if before and after else "concurrent"
    old, new = (Rule(id="r", measure=measure, amount=10, window=window) for window in (before, after))
    counter = counter_for(old, NOW)
    take(counter, 3, NOW)
    assert serves(counter, new, NOW) == (same, adapted)
    assert used(counter, NOW) == 3
    if same:
        assert serves(counter, new, NOW) == (True, False)


def test_a_slower_rate_keeps_no_more_used_than_its_burst() -> None:
    counter = PacedCounter(10, Smooth(1, 9), NOW)
    take(counter, 8, NOW)
    assert serves(counter, Rule(id="r", measure="requests", amount=1, window=Smooth(1, 4)), NOW) == (True, True)
    assert used(counter, NOW) == 4
    assert used(counter, NOW + SECOND) == 3
