"""Spans as services count them, mapped to characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.external.spans import inside, located, occurrences

TEXTS = st.text(st.sampled_from("ab é€🦓\n"), max_size=30)


def units(head: str, unit: str) -> int:
    return {"points": len(head), "utf16": len(head.encode("utf-16-le")) // 2, "bytes": len(head.encode())}[unit]


@given(TEXTS, st.data(), st.sampled_from(["points", "utf16", "bytes"]))
def test_the_quotation_decides_in_which_unit_a_service_counts(text: str, data: st.DataObject, unit: str) -> None:
    """`located`: "the reading of the offsets that gives the quotation"."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    found = located(text, units(text[:start], unit), units(text[:end], unit), text[start:end])
    if start < end:
        assert text[slice(*found)] == text[start:end]


@pytest.mark.parametrize(("start", "end", "span"), [(3, 8, (3, 8)), (3, 7, (3, 8)), (5, 10, (3, 8)), (90, 95, (3, 8))])
def test_an_inclusive_end_and_wrong_offsets_find_the_quotation_too(start: int, end: int, span: tuple[int, int]) -> None:
    assert located("🦓é zebra", start, end, "zebra") == span


def test_of_several_occurrences_the_nearest_counts() -> None:
    assert located("zebra and zebra", 9, 99, "zebra") == (10, 15)


def test_without_a_quotation_offsets_are_characters() -> None:
    assert located("🦓é zebra", 1, 2, None) == (1, 2)
    assert located("🦓é zebra", 1, 2, "lion") == (1, 2)


@given(TEXTS, st.integers(-50, 50), st.integers(-50, 50), st.none() | TEXTS)
def test_a_span_always_lies_in_the_text(text: str, start: int, end: int, quoted: str | None) -> None:
    """`inside`: "whatever a service says, slicing by it is safe"."""
    for low, high in (inside(text, start, end), located(text, start, end, quoted)):
        assert 0 <= low <= high <= len(text)


def test_occurrences_do_not_overlap_and_are_bounded() -> None:
    assert list(occurrences("aaaaa", "aa")) == [(0, 2), (2, 4)]
    assert list(occurrences("aaaaa", "")) == []
    assert len(list(occurrences("a" * 5000, "a"))) == 1000
