from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.pace import FIRST, LEAST, TARGET_SECONDS, Pace

MOST = 1024 * 1024


@given(st.lists(st.tuples(st.integers(0, 2 * MOST), st.floats(0, 60))))
def test_a_transaction_is_neither_tiny_nor_huge(taken: list[tuple[int, float]]):
    """`LEAST` to the highest, whatever was measured; and never more than twice what was."""
    pace = Pace(MOST)
    for size, seconds in taken:
        before = pace.most
        pace.took(size, seconds)
        assert LEAST <= pace.most <= min(2 * before, MOST)


@given(st.floats(1e3, 1e8))
def test_it_settles_where_a_transaction_takes_its_tenth_of_a_second(bytes_per_second: float):
    """So much as keeps the write lock for a tenth of a second."""
    pace = Pace(MOST)
    for _ in range(12):
        pace.took(pace.most, pace.most / bytes_per_second)
    fitting = bytes_per_second * TARGET_SECONDS
    assert max(min(fitting, MOST), LEAST) / 2 <= pace.most <= max(min(fitting * 1.01, MOST), LEAST)


def test_what_follows_the_journal_line_by_line_says_nothing_of_large_ones():
    pace = Pace(MOST)
    pace.took(1000, 0.004)
    assert pace.most == FIRST


def test_a_fixed_pace_stays():
    pace = Pace(MOST, fixed=True)
    pace.took(MOST, 30)
    assert pace.most == MOST
