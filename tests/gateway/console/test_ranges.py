from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.ranges import NAMES, days_of, range_of
from gateway.errors import BadRequest
from gateway.ledger.overview import DAY_NS
from gateway.ledger.periods import moment_ns


@given(st.sampled_from(NAMES), st.integers(10**9, 4 * 10**9))
def test_ranges_are_whole_days_that_reports_can_be_asked_for(name: str, second: int):
    now_ns = second * 10**9 + 5
    found = range_of(name, now_ns)
    assert found.since_ns % DAY_NS == 0
    assert found.before_ns < found.before_until_ns <= found.since_ns < found.until_ns <= now_ns
    assert moment_ns(found.since, now_ns) == found.since_ns
    assert moment_ns(found.until, now_ns) == found.until_ns
    days = days_of(found)
    assert len(days) == found.days
    assert days[0] * 10**9 == found.since_ns
    assert days[-1] * 10**9 < found.until_ns <= (days[-1] * 10**9) + DAY_NS


def test_a_month_is_compared_with_the_same_part_of_the_last():
    now_ns = int(datetime(2026, 3, 31, 12, tzinfo=UTC).timestamp()) * 10**9
    found = range_of("month", now_ns)
    assert found.title == "March 2026"
    assert found.before_until_ns == found.since_ns  # February is shorter than March has come
    assert range_of("last-month", now_ns).days == 28


@pytest.mark.parametrize("name", ["", "year", "7D"])
def test_other_names_are_refused_with_what_is_allowed(name: str):
    with pytest.raises(BadRequest, match=r"allowed are month, last-month"):
        range_of(name, 10**18)
