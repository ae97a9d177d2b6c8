"""Overlapping windows, and findings put together again."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.windows import OVERLAP, clean, merged, shifted, windows
from guardrails.detector import Match


@given(st.text(st.sampled_from("ab \n"), max_size=3000), st.integers(4, 1200))
def test_windows_cover_the_text_and_share_their_edges(text: str, size: int) -> None:
    """ "What is no longer than" the overlap "is whole in one of them"."""
    cut = list(windows(text, size))
    assert all(text[start : start + len(piece)] == piece and len(piece) <= size for start, piece in cut)
    assert cut[0][0] == 0
    assert cut[-1][0] + len(cut[-1][1]) == len(text)
    share = min(OVERLAP, size // 4)
    for (first, piece), (second, _) in pairwise(cut):
        assert first < second <= first + len(piece) - min(share, len(piece) - 1)


def test_no_limit_is_one_window() -> None:
    assert list(windows("x" * 5000, 0)) == [(0, "x" * 5000)]


def match(start: int, end: int, score: float = 0.5, rule: str = "r") -> Match:
    return Match("T", start, end, score, rule, "external")


def test_what_two_windows_saw_is_one_finding() -> None:
    again = shifted(match(5, 10, 0.9), 5)
    assert merged([match(10, 15), again, match(12, 14, rule="s")]) == [match(10, 15, 0.9), match(12, 14, rule="s")]


def test_neighbours_stay_apart() -> None:
    assert merged([match(0, 5), match(5, 9)]) == [match(0, 5), match(5, 9)]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9), st.sampled_from("rs"))))
def test_merging_keeps_every_covered_character(spans: list[tuple[int, int, str]]) -> None:
    """ "Of one rule's overlapping spans the union"."""
    before = [match(start, start + length, rule=rule) for start, length, rule in spans]

    def covered(matches: list[Match]) -> set[tuple[str, int]]:
        return {(m.rule, at) for m in matches for at in range(m.start, m.end)}

    assert covered(merged(before)) == covered(before)
    assert merged(merged(before)) == merged(before)


@given(st.text(st.characters(codec=None, exclude_categories=[])))
def test_cleaning_keeps_what_is_valid(text: str) -> None:
    """ "Each lone surrogate replaced by U+FFFD: as long as before, … and valid UTF-8"."""
    cleaned = clean(text)
    cleaned.encode()
    assert all(new == old or (new == "\ufffd" and "\ud800" <= old <= "\udfff")
               for new, old in zip(cleaned, text, strict=True))  # fmt: skip
