"""Numbers with several blanks between their groups, and tables that look like them."""

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.pii import PiiDetector
from guardrails.pii.wide import TABLE, begun, in_table, narrowed
from tests.guardrails.pii.texts import scanner

CARD = "4111  1111  1111  1111"


@cache
def made() -> PiiDetector:
    return PiiDetector()


@cache
def scan():  # type: ignore[no-untyped-def]
    return scanner(made())


def found(text: str) -> list[tuple[str, str]]:
    return [(match.type, text[match.start : match.end]) for match in scan()(text)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("CREDIT_CARD", CARD),
        ("CREDIT_CARD", "5555 5555  5555   4444"),
        ("IBAN_CODE", "GB82  WEST  1234  5698  7654  32"),
        ("US_SSN", "536  22  8190"),
        ("UK_NHS", "943  476  5919"),
        ("PHONE_NUMBER", "+44  20 7946 0958"),
    ],
)
@pytest.mark.parametrize(
    "text", ["{}", "It is {}.", "nhs, ssn or card:  {}\nthanks", "Sure.  My ssn is {}.  Please do."]
)
def test_several_blanks_between_groups(kind: str, value: str, text: str):
    if kind == "US_SSN" and "ssn" not in text:
        return  # without a check digit it needs a word before it
    assert (kind, value) in found(text.format(value))


@pytest.mark.parametrize(
    "text",
    [
        f"a  {CARD}",
        f"{CARD}  7",
        f"{CARD} 2222",
        f"17 {CARD}",
        f"x  y\n{CARD}",
        f"{CARD}\nx  y",
        f"| {CARD} |",
        f"1\t{CARD}",
        CARD.replace("  ", " " * 5),
        "536  22  8190",
        "1234  5678  9012  3456",
    ],
)
def test_what_is_no_number(text: str):
    assert not {"CREDIT_CARD", "US_SSN"} & {kind for kind, value in found(text) if "  " in value}


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Rows of numbers, aligned by two blanks or more, with names before them or without."""
    columns = draw(st.integers(2, 6))
    sizes = draw(st.lists(st.sampled_from([2, 3, 4, 4, 4, 5, 6]), min_size=columns, max_size=columns))
    labels = draw(st.booleans())
    gap = " " * draw(st.integers(2, 4))
    lines: list[str] = []
    chance = random.Random(draw(st.integers(0, 1 << 30)))
    for number in range(draw(st.integers(2, 6))):
        cells = [str(chance.randrange(10 ** (size - 1), 10**size)) for size in sizes]
        if sizes[:4] == [4] * 4:
            cells[:4] = CARD.split()  # the worst that can happen
        cells = [cell.rjust(size) for cell, size in zip(cells, sizes, strict=True)]
        lines.append(
            (f"{chance.choice(['ssn', 'card', 'Rest of it'])} {number}".ljust(14) if labels else "") + gap.join(cells)
        )
    return draw(st.sampled_from(["", "The card numbers are these:\n", "Read on.  "])) + "\n".join(lines) + "\n"


@given(tables())
@settings(max_examples=150, deadline=None)
def test_tables_aligned_by_blanks_hold_no_numbers(text: str):
    """*It must stand alone*: nothing more is found in a table for being read with one blank."""
    spaced = [match for match in scan()(text) if "  " in text[match.start : match.end]]
    plain = {(match.type, match.start, match.end) for match in plainly()(text)}
    assert all((match.type, match.start, match.end) in plain for match in spaced)
    assert not [match for match in spaced if match.type in ("CREDIT_CARD", "US_SSN", "IBAN_CODE")]


@cache
def plainly():  # type: ignore[no-untyped-def]
    """As the detector is, but for this."""
    detector = PiiDetector()
    detector._spaced = []  # pyright: ignore[reportPrivateUsage]
    return scanner(detector)


pieces = st.sampled_from(
    [
        CARD,
        "4111 1111",
        "  ",
        "   ",
        " ",
        "1111",
        "GB82  WEST",
        "1234",
        "x",
        "|",
        "\n",
        ".",
        "536  22  8190",
        "ssn ",
        "7",
    ]
)
texts = st.lists(pieces, max_size=12).map("".join)


@given(texts)
@settings(max_examples=150, deadline=None)
def test_narrowing_leaves_out_blanks_alone(text: str):
    reading = narrowed(text, 1 << 20)
    if reading is not None:
        assert len(reading.text) < len(text)
        assert reading.text.replace(" ", "") == text.replace(" ", "")
        assert [text[reading.source(at)] for at in range(len(reading.text))] == list(reading.text)


@given(texts)
@settings(max_examples=150, deadline=None)
def test_what_is_spared_would_be_a_cell(text: str):
    """*`in_table` would say the same of each number there.*"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("guardrails.pii.wide._alone", lambda gaps, longest: gaps)
        everything = scan()(text)
    assert scan()(text) == everything


@given(texts, st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_stability(text: str, share: float):
    """*With `p = settled(text)`: for every continuation, the matches that start before `p` are the same.*"""
    head = text[: int(share * len(text))]
    place = made().settled(head)
    assert [m for m in scan()(head) if m.start < place] == [m for m in scan()(text) if m.start < place]


@given(texts, texts)
@settings(max_examples=100, deadline=None)
def test_locality(head: str, text: str):
    reach = made().reach.before
    shifted = [
        (m.type, m.start - len(head), m.end - len(head)) for m in scan()(head + text) if m.start >= len(head) + reach
    ]
    assert shifted == [(m.type, m.start, m.end) for m in scan()(text) if m.start >= reach]


def test_what_is_held_of_a_number_that_may_be_a_cell():
    """*The first number that more text could show to stand in a table* is held until `TABLE` characters are known."""
    text = f"It is {CARD}"
    assert begun(text, 69) == len("It is ") - 6  # words before it may be groups of an IBAN
    assert begun(text + "." + "x" * (TABLE + 69 + 6), 69) == len(text) + 1 + TABLE + 69 + 6
    assert begun("no such thing  here", 69) == len("no such thing  here")
    assert not in_table(text, 6, len(text))
