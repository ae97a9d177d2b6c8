"""How characters are written in the source."""

from hypothesis import given
from hypothesis import strategies as st

from guardrails.spelling import Spelling

CHARS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["", "\\u0061", "\\n", "\\ud83d\\ude00"])), max_size=30
)


@given(CHARS, st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_every_stretch_comes_out_as_it_was_written(
    chars: list[tuple[str, str]], one: int, other: int, forgotten: int
) -> None:
    """ "What is passed on must be written as it came", and offsets are those of the source, also after what lies before
    was forgotten."""
    text = "".join(char for char, _ in chars)
    raws = [raw or char for char, raw in chars]
    spelling = Spelling()
    for at, (_, raw) in enumerate(chars):
        if raw:
            spelling.add(at, [(0, raw)])
    start, end = sorted((min(one, len(text)), min(other, len(text))))
    base = min(forgotten, start)
    spelling.forget(base)
    assert spelling.source(text[base:], base, start, end) == "".join(raws[start:end])
    assert spelling.offset(start) == len("".join(raws[:start]))


def test_many_at_once_are_as_one_by_one() -> None:
    spelling = Spelling()
    spelling.add(10, [(0, "\\n"), (3, "\\u0061"), (4, "b")])
    spelling.add(20, [(1, "\\t")])
    assert [spelling.offset(at) for at in (10, 11, 13, 14, 15, 21, 22)] == [10, 12, 14, 20, 21, 27, 29]
