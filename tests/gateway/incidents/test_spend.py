"""Robust z-scores, and a team's hours judged by them."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.incidents.spend import DAYS, HOUR, WEEKS, baseline_hours, judge, median, robust_z
from gateway.settings.incident_options import IncidentOptions

USD = 10**9
NOW = 1_000_000 * HOUR
OPTIONS = IncidentOptions()
values = st.lists(st.integers(0, 10**15), min_size=1, max_size=30)


@given(values)
def test_the_median(found: list[int]) -> None:
    """As the standard library's, rounded down to a whole nano-dollar."""
    assert median(found) == (statistics.median_low(found) + statistics.median_high(found)) // 2


@given(values, st.integers(0, 10**15), st.integers(1, 10**15))
def test_more_is_never_less_remarkable(past: list[int], value: int, more: int) -> None:
    """z grows with the value, and is 0 at the median."""
    assert robust_z(value + more, past) > robust_z(value, past)
    assert robust_z(median(past), past) == 0.0


@given(st.integers(1, 10**6), st.integers(10**9, 10**15))
def test_one_outlier_of_the_past_hides_nothing(usual: int, outlier: int) -> None:
    """The median absolute deviation does not follow one value, whatever it is."""
    past = [usual * USD] * 7
    assert robust_z(3 * usual * USD, [*past, outlier]) == pytest.approx(robust_z(3 * usual * USD, past))


def test_against_the_definition() -> None:
    """0.6745 (x - median) / MAD (Iglewicz and Hoaglin, 1993)."""
    past = [10, 12, 14, 16, 100]
    assert robust_z(34, past) == pytest.approx(0.6745 * (34 - 14) / 2)
    with pytest.raises(ValueError, match="nothing to compare with"):
        robust_z(1, [])


def test_baselines() -> None:
    weekly, daily = baseline_hours(NOW)
    assert len(weekly) == WEEKS
    assert len(daily) == DAYS
    assert all((NOW - each) % (7 * 24 * HOUR) == 0 for each in weekly)


def weeks(usd: list[int], now: int) -> dict[int, int]:
    """Of the weeks before, the last first, and of now."""
    return {hour: amount * USD for hour, amount in zip(baseline_hours(NOW)[0], usd, strict=False)} | {NOW: now * USD}


@pytest.mark.parametrize(
    ("by_hour", "level"),
    [
        (weeks([5, 6, 5, 4, 5, 6, 5, 5], 6), None),
        (weeks([5, 6, 5, 4, 5, 6, 5, 5], 60), "firing"),
        (weeks([5, 6, 5, 4, 5, 6, 5, 5], 11), "holding"),
        (weeks([0, 0, 0, 0, 1, 0, 0, 0], 9), "holding"),
        (weeks([500, 600, 500, 400, 500, 600, 500, 500], 550), None),
        (weeks([5, 5, 5], 500), "firing"),
        (weeks([400, 500, 450], 600), None),
        (weeks([1], 600), "firing"),
        ({NOW: 500 * USD}, None),
        ({NOW - day * 24 * HOUR: 2 * USD for day in range(1, 8)} | {NOW: 50 * USD}, "firing"),
        ({}, None),
    ],
)
def test_hours_are_judged(by_hour: dict[int, int], level: str | None) -> None:
    """Six robust deviations and 10 USD above the usual fire; half of both hold; a team without four comparable hours
    is not judged; weeks first, and days where there are no weeks."""
    found = judge("t", by_hour, [NOW], OPTIONS)
    assert (None if found is None else found.level) == level
    if found is not None:
        assert (found.subject, found.detail["teams"]) == ("t", ["t"])


def test_the_hour_before_counts_too() -> None:
    """An hour that has just begun does not end an incident of the one before."""
    by_hour = {each: 5 * USD for hour in (NOW, NOW - HOUR) for each in baseline_hours(hour)[0]}
    found = judge("t", {**by_hour, NOW - HOUR: 100 * USD, NOW: 0}, [NOW, NOW - HOUR], OPTIONS)
    assert found is not None
    assert found.level == "firing"
    assert "spent 100.00 USD in an hour; usual at this hour of the week is 5.00 USD" in found.title


def test_large_amounts_are_told_with_thousands_apart() -> None:
    by_hour = dict.fromkeys(baseline_hours(NOW)[0], 5 * USD) | {NOW: 54_786 * USD}
    found = judge("t", by_hour, [NOW], OPTIONS)
    assert found is not None
    assert "spent 54,786.00 USD in an hour" in found.title
    assert found.detail["spent_usd"] == "54786.00", "programs read a number"
