"""From hits to stretches of text."""

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from guardrails.pii.windows import characters, clusters, foreign_digits, merged, regions

FOREIGN = re.compile(foreign_digits().encode())
ends = st.lists(st.integers(0, 400), max_size=30).map(sorted)


@given(st.text(st.characters(), max_size=60))
def test_every_byte_offset_finds_its_character(text: str) -> None:
    """*Offset in the bytes of the text* → offset in its characters, lone surrogates included."""
    bounds = [len(text[:at].encode("utf-8", "surrogatepass")) for at in range(len(text) + 1)]
    assert characters(text, bounds) == list(range(len(text) + 1))


@given(st.text("ab1é😀\ud800", max_size=60), st.data())
def test_how_many_offsets_are_asked_for_does_not_matter(text: str, data: st.DataObject) -> None:
    """Few and many are found in different ways."""
    size = len(text.encode("utf-8", "surrogatepass"))
    some = sorted(data.draw(st.lists(st.integers(0, size), max_size=6)))
    many = sorted([*some, *range(size + 1)])
    found = dict(zip(many, characters(text, many), strict=True))
    assert characters(text, some) == [found[end] for end in some]


@given(st.text(max_size=20), ends)
def test_any_offset_is_survived(text: str, some: list[int]) -> None:
    assert all(0 <= place <= len(text) for place in characters(text, some))


@given(ends, st.integers(1, 60), st.integers(0, 60))
def test_regions_hold_every_start_once(some: list[int], back: int, less: int) -> None:
    """*Every start from `back` to `shortest` characters before an end; they do not overlap.*"""
    shortest = max(back - less, 1)
    wanted = {start for end in some for start in range(max(end - back, 0), end - shortest + 1)}
    got = [start for low, high in regions(some, back, shortest) for start in range(low, high)]
    assert len(got) == len(set(got))
    assert wanted <= set(got)


@given(ends, st.integers(1, 60), st.integers(0, 60), st.integers(0, 30))
def test_regions_that_are_close_are_one(some: list[int], back: int, less: int, apart: int) -> None:
    """*Those that are at most `apart` are one*: more starts, never fewer, and the same ends."""
    shortest = max(back - less, 1)
    joined = regions(some, back, shortest, apart)
    assert all(before[1] + apart < low for before, (low, _) in itertools.pairwise(joined))
    for low, high in regions(some, back, shortest):
        assert any(begin <= low and high <= end for begin, end in joined)


@given(ends, ends, st.integers(1, 40))
def test_merged_regions_are_the_union(some: list[int], more: list[int], back: int) -> None:
    first, second = regions(some, back, 1), regions(more, back, 0)
    got = [start for low, high in merged(first, second) for start in range(low, high)]
    assert len(got) == len(set(got))
    assert set(got) == {start for low, high in first + second for start in range(low, high)}


@given(ends, st.integers(0, 50))
def test_clusters_are_what_is_close_together(some: list[int], gap: int) -> None:
    found = clusters(some, gap)
    assert [place for place in some if any(low <= place <= high for low, high in found)] == some
    assert {edge for pair in found for edge in pair} <= set(some)
    assert all(before[1] + gap < low for before, (low, _) in itertools.pairwise(found))


@given(st.characters(min_codepoint=0x80, exclude_categories=["Cs"]))
def test_every_digit_outside_ascii_is_hit_and_nothing_else(character: str) -> None:
    assert bool(FOREIGN.fullmatch(character.encode())) == character.isdecimal()
