from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.costing import (
    DIMENSIONS,
    forecast,
    lines,
    month_of,
    ratio,
    saving,
    series,
    wasted,
)
from gateway.ledger.overview import DAY, ENDS, Slice, total

NOON = int(datetime(2026, 11, 16, 12, tzinfo=UTC).timestamp()) * 10**9
"""A Monday."""
TODAY = NOON // 10**9 // DAY * DAY


def piece(days_ago: int = 0, cost: int = 0, **changes: object) -> Slice:
    values: dict[str, object] = {
        "day": TODAY - days_ago * DAY, "team": "t", "key": "k", "model": "m", "provider": "p", "tagged": True,
        "requests": 1, "input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 0, "cost_nanos": cost,
        "unpriced_requests": 0, "unpriced_tokens": 0, "estimated_requests": 0,
    }  # fmt: skip
    return Slice(**{**values, **changes})  # type: ignore[arg-type]


PIECES = st.builds(
    piece,
    st.integers(0, 40),
    st.integers(0, 10**13),
    team=st.sampled_from("abc"),
    model=st.sampled_from("xyz"),
    provider=st.sampled_from("pq"),
    key=st.sampled_from("kl"),
)


@given(st.lists(PIECES, max_size=30))
def test_every_table_adds_up_to_the_whole(slices: list[Slice]):
    for dimension in DIMENSIONS:
        found = lines(slices, dimension)
        assert sum(each.cost_nanos for each in found) == total(slices, "cost_nanos")
        assert sum(each.requests for each in found) == total(slices, "requests")
        assert [each.cost_nanos for each in found] == sorted((each.cost_nanos for each in found), reverse=True)
        columns = series(slices, dimension, TODAY - 40 * DAY, 41)
        assert sum(map(sum, columns.values())) == total(slices, "cost_nanos")


def test_names_with_refused_requests_alone_are_left_out():
    """As `spend.report`: "a total counts them apart, rows leave them out"."""
    assert lines([piece(requests=0)], "team") == []


def test_a_line_without_any_price_has_no_price_rather_than_none_to_pay():
    (found,) = lines([piece(unpriced_requests=1)], "team")
    assert (found.per_request, found.per_thousand) == (None, None)
    (half,) = lines([piece(cost=1000, unpriced_requests=1), piece(cost=3000)], "team")
    assert (half.per_request, half.per_thousand) == (4000, 133_333)


@given(st.integers(0, 10**15), st.integers(-5, 10**6))
def test_ratios_are_rounded_half_up_and_of_nothing_there_is_none(part: int, whole: int):
    found = ratio(part, whole)
    if whole <= 0:
        assert found is None
    else:
        assert found is not None
        assert abs(found * whole - part) * 2 <= whole


def test_a_steady_month_is_forecast_as_it_goes():
    """What was spent, and for what is left the mean of whole days: 15 days and a half of today, at 10 USD a day."""
    slices = [piece(ago, 10 * 10**9) for ago in range(1, 16)] + [piece(0, 5 * 10**9)]
    found = forecast(slices, NOON)
    assert found is not None
    assert (found.middle, found.low, found.high) == (300 * 10**9,) * 3


def test_weekends_are_forecast_as_weekends():
    cost = {ago: (2 if datetime.fromtimestamp(TODAY - ago * DAY, UTC).weekday() >= 5 else 10) for ago in range(1, 16)}
    found = forecast([piece(ago, each * 10**9) for ago, each in cost.items()], NOON)
    # From Monday noon, November 16 to 30: 10 whole working days and a half one, 4 days of weekends.
    assert found is not None
    assert found.middle == (sum(cost.values()) + 105 + 8) * 10**9


@pytest.mark.parametrize("days", [0, 1, 2])
def test_few_days_make_no_forecast(days: int):
    assert forecast([piece(ago, 10**9) for ago in range(days + 1)], NOON) is None


@given(st.lists(st.integers(0, 10**12), min_size=4, max_size=28), st.integers(0, DAY - 1))
def test_a_forecast_lies_in_its_interval_and_never_below_what_was_spent(costs: list[int], second: int):
    now_ns = (TODAY + second) * 10**9
    slices = [piece(ago, cost) for ago, cost in enumerate(costs)]
    found = forecast(slices, now_ns)
    begun, _ = month_of(now_ns)
    spent = sum(each.cost_nanos for each in slices if each.day >= begun)
    if found is not None:
        assert spent <= found.low <= found.middle <= found.high


@given(st.integers(0, 4 * 10**9))
def test_months_are_those_of_the_calendar(second: int):
    begun, ends = month_of(second * 10**9)
    assert begun <= second < ends
    assert datetime.fromtimestamp(begun, UTC).day == datetime.fromtimestamp(ends, UTC).day == 1
    assert 28 * DAY <= ends - begun <= 31 * DAY


def test_savings_are_cached_tokens_at_the_difference_of_prices():
    prices = {("p", "m"): (Decimal("0.000003"), Decimal("0.0000003"))}
    slices = [piece(input_tokens=1000, cache_read_tokens=400), piece(model="x", input_tokens=50, cache_read_tokens=7)]
    found = saving(slices, lambda provider, model: prices.get((provider, model)))
    assert found.nanos == 400 * 2700
    assert (found.cached_tokens, found.input_tokens, found.unknown) == (407, 1050, 7)


def test_waste_is_told_by_what_became_of_requests():
    ends = {**dict.fromkeys(ENDS, 0), "outcome_ok": 9, "outcome_refused": 2, "outcome_client_left": 3, "outcome_cut": 1}
    found = wasted({**ends, "cost_cut": 7})
    assert [(each.name, each.requests, each.nanos) for each in found] == [
        ("cut", 1, 7),
        ("client_left", 3, 0),
        ("refused", 2, 0),
    ]


def test_unit_costs_leave_out_what_has_no_price():
    """Half the requests of a model have no price: the others' cost is not spread over their tokens."""
    priced = piece(cost=600, requests=2, input_tokens=20, output_tokens=10)
    without = piece(requests=2, input_tokens=20, output_tokens=10, unpriced_requests=2, unpriced_tokens=30)
    (whole,) = lines([priced, without], "team")
    assert (whole.per_request, whole.per_thousand) == (300, 20_000)
