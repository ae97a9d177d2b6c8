"""Values in the spellings that typeset pages and East Asian keyboards give them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.pii import PiiDetector
from guardrails.pii.folding import folded, readings
from tests.guardrails.pii.texts import scanner

SCAN = scanner(PiiDetector())
VALUES = {
    "CREDIT_CARD": ("4111 1111 1111 1111", "5555-5555-5555-4444"),
    "US_SSN": ("536-22-8190", "536 22 8190"),
    "IBAN_CODE": ("GB82 WEST 1234 5698 7654 32",),
    "PHONE_NUMBER": ("+1 425 882 8080", "(212) 555-0147", "020 7946 0958"),
}
MARKS = {" ": "\u00a0\u2007\u2009\u202f\u3000", "-": "\u2010\u2011\u2013\u2212\uff0d"}
CASES = [(kind, value) for kind, values in VALUES.items() for value in values]


@pytest.mark.parametrize(("kind", "value"), CASES)
@pytest.mark.parametrize("at", range(5))
def test_blanks_and_dashes_between_groups(kind: str, value: str, at: int):
    """*non-breaking, narrow and typographic marks between groups are found, over the value's whole length*"""
    written = value.replace(" ", MARKS[" "][at]).replace("-", MARKS["-"][at])
    assert written != value
    begin = len("My number is ")
    assert (kind, begin, begin + len(value)) in [
        (match.type, match.start, match.end) for match in SCAN(f"My number is {written}, thanks.")
    ]


@pytest.mark.parametrize(("kind", "value"), [*CASES, ("EMAIL_ADDRESS", "jane.doe@example.com")])
def test_full_width(kind: str, value: str):
    """*full-width digits, letters and `@` stand for those of ASCII*"""
    wide = "".join(chr(ord(x) + 0xFEE0) if x.isalnum() or x in "@.+-" else x for x in value)
    assert kind in {match.type for match in SCAN(f"番号 {wide} です")}
    assert kind == "IBAN_CODE" or kind in {match.type for match in SCAN(f"a {value.replace('@', '＠')}")}


@given(st.text(alphabet="ab 1-()+.@\u00a0\u2013\u202f\uff11\uff21\uff20—é", max_size=30))
@settings(max_examples=200, deadline=None)
def test_folding_keeps_every_place(text: str):
    read, places = folded(text)
    assert len(read) == len(text)
    assert places == [at for at, (old, new) in enumerate(zip(text, read, strict=True)) if old != new]
    assert all(len(each) == len(text) for each in readings(text))


def test_prose_is_not_read_otherwise():
    for text in ("He said — as ever – that it is\u00a0so.", "plain 4111 1111", "a–b@example.com"):
        assert folded(text) == (text, [])
