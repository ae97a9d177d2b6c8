"""Byte offsets as character offsets."""

from hypothesis import given
from hypothesis import strategies as st

from guardrails.matching.offsets import to_characters


@given(st.text(max_size=30) | st.text("aé中😀\ud800", max_size=30), st.data())
def test_an_offset_becomes_the_end_of_its_character(text: str, data: st.DataObject) -> None:
    """An offset inside a character becomes the end of that character."""
    bounds = [len(text[:at].encode("utf-8", "surrogatepass")) for at in range(len(text) + 1)]
    ends = data.draw(st.lists(st.integers(0, bounds[-1]), max_size=8))
    expected = [next(at for at, bound in enumerate(bounds) if bound >= end) for end in ends]
    assert list(to_characters(text, ends)) == expected
