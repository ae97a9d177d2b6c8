import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.charts import BOTTOM, HEIGHT, TONES, TOP, largest, nice_steps, stacked

VALUES = st.integers(0, 10**15)


@given(st.integers(0, 10**18))
def test_a_grid_begins_at_0_ends_at_or_above_the_most_and_has_few_round_steps(most: int):
    steps = nice_steps(most)
    assert steps[0] == 0
    assert steps[-1] >= most
    assert len(steps) <= 6
    if len(steps) > 1:
        assert str(steps[1]).rstrip("0") in ("1", "2", "25", "5")


@given(st.dictionaries(st.text(max_size=5), st.lists(VALUES, min_size=4, max_size=4), max_size=12))
def test_nothing_is_lost_by_showing_the_largest_alone(series: dict[str, list[int]]):
    shown = largest(series)
    assert len(shown) <= TONES
    for at in range(4):
        assert sum(values[at] for values in shown.values()) == sum(values[at] for values in series.values())


@given(st.lists(st.lists(VALUES, min_size=5, max_size=5), max_size=9))
def test_columns_stay_within_the_picture_and_are_as_high_as_their_sums(rows: list[list[int]]):
    series = {f"s{at}": values for at, values in enumerate(rows)}
    labels = [str(at) for at in range(5)]
    chart = stacked(labels, series, labels, str, str)
    for bar in chart.bars:
        assert bar.y >= TOP - 0.2
        assert bar.y + bar.height <= HEIGHT - BOTTOM + 0.2
        assert 0 <= bar.tone < TONES
    assert [sum for _, _, sum in chart.legend] == [sum(values) for values in largest(series).values()]


def test_a_name_that_is_empty_or_like_the_rest_is_told_apart():
    found = largest({"": [5], **{f"t{at}": [at + 10] for at in range(7)}})
    assert list(found)[-1] == "3 others"
    assert list(largest({"": [1]})) == ["(none)"]


@pytest.mark.parametrize("count", [0, 1, 31, 90])
def test_words_below_do_not_crowd(count: int):
    labels = [str(at) for at in range(count)]
    assert len(stacked(labels, {"a": [1] * count}, labels, str, str).columns) <= 16
