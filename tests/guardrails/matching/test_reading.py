"""How a text is read, and where that stands in it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.detector import Expression
from guardrails.matching.gate import open_gate
from guardrails.matching.reading import BESIDE, GATE, RUN, STRETCH, is_odd, read, readings

texts = st.text(
    alphabet="ab 1-()+.@\u00a0\u2013\u202f\uff11\uff21\uff20\uff0d—é\u200b\u200d\u00ad\ufe0f\ufeffہ😀\n", max_size=30
)
GATED = re.compile(GATE.encode())
HIDDEN = "\u00ad\u200b\u200d\u2060\ufeff\u202e\u034f\ufe0f"


def seen(text: str) -> str:
    reading = read(text)
    return text if reading is None else reading.text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("4111\u00a01111\u202f1111\u20111111", "4111 1111 1111-1111"),
        ("jane＠example．com", "jane@example.com"),
        ("４１１１", "4111"),
        ("ja\u200bne\u00ad@x", "jane@x"),
        ("M\u00adü\u200b\u200bller", "Müller"),
        ("4111\u00a0\u200b1111", "4111 1111"),
        ("4111\u200b\u00a0\u00ad1111", "4111 1111"),
    ],
)
def test_what_is_read_otherwise(written: str, text: str):
    assert seen(written) == text


@pytest.mark.parametrize(
    "text",
    [
        "He said — as ever – that it is\u00a0so.",
        "plain 4111 1111",
        "a–b@example.com",
        "👩\u200d💻 and ❤\ufe0f",
        "می\u200cخواهم",
        "\ufeffAt the beginning",
        "at the end\u200b",
        "line\u200b\nline",
        "a" + "\u200b" * (RUN + 1) + "b",
    ],
)
def test_what_is_read_as_it_is_written(text: str):
    assert read(text) is None


@given(texts)
@settings(max_examples=300, deadline=None)
def test_every_character_has_its_place(text: str):
    """*Offsets are characters, of `text` or of the source*: what does not differ stands in the source as it is read."""
    reading = read(text)
    if reading is None:
        return
    at = [reading.source(place) for place in range(len(reading.text) + 1)]
    assert at[-1] == len(text)
    assert at == sorted(set(at))
    for place, char in enumerate(reading.text):
        assert (char == text[at[place]]) is not reading.differs(place, place + 1)
    assert reading.differs(0, len(reading.text))


@given(texts, st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=300, deadline=None)
def test_something_differs_where_the_source_does(text: str, one: int, other: int):
    reading = read(text)
    if reading is None:
        return
    start, end = sorted((min(one, len(reading.text)), min(other, len(reading.text))))
    if start < end:
        source = text[reading.source(start) : reading.source(end - 1) + 1]
        assert reading.differs(start, end) is (source != reading.text[start:end])
        assert len(source) <= STRETCH * (end - start)


@given(texts)
@settings(max_examples=300, deadline=None)
def test_the_gate_sees_what_is_read_otherwise(text: str):
    """*One of them is there, before what it may be read beside.*"""
    if read(text) is not None:
        assert GATED.search(text.encode())
        assert is_odd(text, 0)


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read(text: str):
    assert seen(seen(text)) is not None


@given(texts, texts)
@settings(max_examples=300, deadline=None)
def test_how_an_end_is_read_is_known(text: str, more: str):
    """*As if it ended, and as it will be if a digit follows, or a letter*: whatever follows, the text is read as one of
    these."""
    whole = read(text + more)
    own = text if whole is None else whole.text[: sum(at < len(text) for at in _sources(whole))]
    assert own in {text, *(each.text for each in readings(text))}


def _sources(reading):  # type: ignore[no-untyped-def]
    return [reading.source(at) for at in range(len(reading.text))]


@given(texts, texts, texts)
@settings(max_examples=300, deadline=None)
def test_how_a_character_is_read_depends_on_few_beside_it(before: str, text: str, behind: str):
    """*Characters on either side of one that say how it is read.*"""
    margin = "x" * BESIDE
    middle = f"{margin}{text}{margin}"
    alone = [seen(before + "\n"), seen(middle), seen("\n" + behind)]
    assert seen(before + "\n" + middle + "\n" + behind) == "".join(alone)


def test_the_gate_compiles_everywhere():
    for backend in ("hyperscan", "re2", "re"):
        gate = open_gate([Expression(GATE)], prefer=backend)  # type: ignore[arg-type]
        for hidden in HIDDEN:
            assert gate.scan(f"a{hidden}b".encode())
            assert not gate.scan(f"😀{hidden}😀".encode())
