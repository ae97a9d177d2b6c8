"""Percentiles of the log-linear histogram, held against exact ones."""

import math

from hypothesis import given
from hypothesis import strategies as st

from loadtest.generator.histogram import Histogram, bucket_of, highest_in

_SECONDS = st.lists(st.floats(0, 4000, allow_nan=False), min_size=1, max_size=200)
_PERCENT = st.sampled_from([0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0])


def _filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def _exact(values: list[float], percent: float) -> int:
    whole = sorted(int(v * 1e6 + 0.5) for v in values)
    return whole[max(1, math.ceil(percent / 100 * len(whole))) - 1]


@given(_SECONDS, _PERCENT)
def test_a_percentile_is_at_most_one_128th_above_the_exact_one_and_never_below(
    values: list[float], percent: float
) -> None:
    exact, shown = _exact(values, percent), _filled(values).percentile(percent)
    assert exact <= shown <= exact * (1 + 1 / 128)


@given(_SECONDS, _SECONDS)
def test_merging_is_recording_everything_in_one(first: list[float], second: list[float]) -> None:
    merged = _filled(first)
    merged.merge(_filled(second))
    assert merged == _filled(first + second)


@given(st.integers(0, 1 << 50))
def test_buckets_are_in_order_without_gap_or_overlap(value: int) -> None:
    bucket = bucket_of(value)
    assert value <= highest_in(bucket)
    assert bucket_of(highest_in(bucket)) == bucket
    assert bucket_of(highest_in(bucket) + 1) == bucket + 1


@given(_SECONDS)
def test_sums_and_extremes_are_exact(values: list[float]) -> None:
    whole = [int(v * 1e6 + 0.5) for v in values]
    histogram = _filled(values)
    assert (histogram.count, histogram.total) == (len(whole), sum(whole))
    assert (histogram.least, histogram.greatest) == (min(whole), max(whole))
    curve = histogram.curve()
    assert curve[-1] == (1.0, max(whole))
    assert curve == sorted(curve)


def test_empty() -> None:
    assert Histogram().percentile(99) == 0
    merged = _filled([1.0])
    merged.merge(Histogram())
    assert merged == _filled([1.0])
