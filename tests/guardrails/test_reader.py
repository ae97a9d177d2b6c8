"""Values in the spellings that typeset pages, East Asian keyboards and people who hide them give them."""

import random
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails import catalogue
from guardrails.detector import Detector, Hit, Match
from guardrails.engine import PolicyEngine
from guardrails.interface import Direction, Segment
from guardrails.matching.gate import open_gate
from guardrails.policy import Policy, Rule
from guardrails.reader import Reader
from guardrails.scanner import Scanner
from guardrails.words.terms import TermDetector, TermList
from tests.guardrails.pii.texts import PIECES
from tests.support.seam import check_locality, check_stability, found

KEY = bytes(range(32))
TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
TERMS = ("Acme Corp", "Müller", "ΟΔΟΣ", "hand grenade")
VALUES = {
    "CREDIT_CARD": ("4111 1111 1111 1111", "5555-5555-5555-4444"),
    "US_SSN": ("536-22-8190", "536 22 8190"),
    "IBAN_CODE": ("GB82 WEST 1234 5698 7654 32",),
    "PHONE_NUMBER": ("+1 425 882 8080", "(212) 555-0147", "020 7946 0958"),
}
MARKS = {" ": "\u00a0\u2007\u2009\u202f\u3000", "-": "\u2010\u2011\u2013\u2212\uff0d"}
HIDDEN = "\u200b\u00ad\u2060\ufeff\u200d\u202e"
CASES = [(kind, value) for kind, values in VALUES.items() for value in values]
EVERY = [
    *CASES,
    ("EMAIL_ADDRESS", "jane.doe@example.com"),
    ("IP_ADDRESS", "10.20.30.40"),
    ("SECRET", TOKEN),
    ("CUSTOMER", "Acme Corp"),
    ("CUSTOMER", "Müller"),
]


def terms() -> Reader:
    lists = TermDetector([TermList("c", "CUSTOMER", TERMS), TermList("p", "PART", ("ab1", "b1c"), whole_words=False)])
    return Reader(lists, lists)


@cache
def made(name: str) -> tuple[Detector, Any]:
    """A detector behind a gate of its own, which it has been lent."""
    detector = terms() if name == "terms" else catalogue.detector(name)
    scanner = Scanner([detector], gate=open_gate)
    return detector, scanner.gate or open_gate([])


@cache
def engine() -> PolicyEngine:
    rules = [Rule(id=name, detector=name, action="mask", threshold=0.4) for name in ("pii", "secrets", "terms")]
    detectors = [catalogue.detector("pii"), catalogue.detector("secrets"), terms()]
    return PolicyEngine([Policy("p", tuple(rules))], Scanner(detectors, gate=open_gate), key=KEY)


def masked(text: str, direction: Direction = "request") -> str:
    rewrites = engine().inspect([Segment("x", "user", text)], direction).rewrites
    return rewrites[0].text if rewrites else text


def scan(text: str) -> list[Match]:
    return [match for name in ("pii", "secrets", "terms") for match in found(*made(name), text)]


def spans(text: str) -> list[tuple[str, int, int]]:
    return [(match.type, match.start, match.end) for match in scan(text)]


@pytest.mark.parametrize(("kind", "value"), CASES)
@pytest.mark.parametrize("at", range(5))
def test_blanks_and_dashes_between_groups(kind: str, value: str, at: int):
    """*non-breaking, narrow and typographic marks between groups are found, over the value's whole length*"""
    written = value.replace(" ", MARKS[" "][at]).replace("-", MARKS["-"][at])
    assert written != value
    begin = len("My number is ")
    assert (kind, begin, begin + len(value)) in spans(f"My number is {written}, thanks.")


@pytest.mark.parametrize(("kind", "value"), EVERY)
def test_full_width(kind: str, value: str):
    """*full-width digits, letters and `@` stand for those of ASCII*"""
    wide = "".join(chr(ord(x) + 0xFEE0) if x.isascii() and (x.isalnum() or x in "@.+-_") else x for x in value)
    assert kind in {match.type for match in scan(f"番号 {wide} です")}
    assert kind == "IBAN_CODE" or "@" not in value or kind in {m.type for m in scan(f"a {value.replace('@', '＠')}")}


@pytest.mark.parametrize(("kind", "value"), EVERY)
@given(st.data())
@settings(max_examples=15, deadline=None)
def test_invisible_characters_within(kind: str, value: str, data: st.DataObject):
    """*up to three invisible characters between two of a value*: it is found from its first character to its last."""
    runs = st.text(alphabet=HIDDEN, max_size=3)
    written = "".join(char + data.draw(runs) for char in value[:-1]) + value[-1]
    begin = len("Mine is ")
    assert (kind, begin, begin + len(written)) in spans(f"Mine is {written}, thanks.")
    assert masked(f"Mine is {written}, thanks.") == f"Mine is <{kind}>, thanks."


def test_more_of_them_are_no_spelling():
    assert "CREDIT_CARD" not in {kind for kind, _, _ in spans("4111" + "\u200b" * 4 + "1111 1111 1111")}


def test_a_match_that_stands_there_too_is_reported_once():
    """*A match within one of the other kind is dropped*: an address is no second one because part of it would do."""
    found_ = [match for match in scan("write to jane@example.co\u200bm or so") if match.type == "EMAIL_ADDRESS"]
    assert [(match.start, match.end) for match in found_] == [(9, 26)]
    wide = [match for match in scan("write to jane@exa\u00admple.com") if match.type == "EMAIL_ADDRESS"]
    assert [(match.start, match.end) for match in wide] == [(9, 26)]


def test_texts_of_ascii_are_looked_at_once():
    detector, gate = made("pii")
    assert isinstance(detector, Reader)
    asked: list[str] = []
    reader = Reader(catalogue.detector("secrets"), catalogue.detector("secrets"))
    reader.lend(lambda text: asked.append(text) or ())
    text = f"key {TOKEN} and 4111 1111 1111 1111"
    assert found(detector, gate, text)
    reader.confirm(text, [])
    assert not asked


STOCK = [
    *(value for _, value in EVERY),
    *PIECES,
    "jane@example.co",
    "password is hunter2!x9",
    "api_key = ",
    "Acme ",
    "ab1c",
    "-----BEGIN PRIVATE KEY-----\n",
]
ODD = [
    "\u200b",
    "\u00ad",
    "\u2060\u200b",
    "\u200b" * 3,
    "\u200b" * 4,
    "\u00a0",
    "\u202f\u200b",
    "\u2011",
    "\uff10",
    "é",
]


def grown(chance: random.Random) -> str:
    """Values with something in them that is read otherwise, whole and cut, glued together."""
    parts: list[str] = []
    for _ in range(chance.randint(1, 6)):
        piece = chance.choice(STOCK)
        for _ in range(chance.randint(0, 4)):
            at = chance.randint(0, len(piece))
            piece = piece[:at] + chance.choice(ODD) + piece[at:]
        if chance.random() < 0.3:
            piece = piece[: chance.randint(0, len(piece))]
        parts += [piece, chance.choice([" ", " ", "", "\n", ", ", "  ", "é", "\u200b"])]
    return "".join(parts)


@pytest.mark.parametrize("name", ["pii", "secrets", "terms"])
@given(seed=st.integers(0, 1 << 30), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_stability_and_locality(name: str, seed: int, share: float):
    """`guardrails/detector.py`: *Stability* and *Locality*, for what is read as for what is written."""
    text = grown(random.Random(seed))
    detector, gate = made(name)
    check_stability(detector, gate, text, int(share * len(text)))
    check_locality(detector, gate, text)


@given(seed=st.integers(0, 1 << 30))
@settings(max_examples=60, deadline=None)
def test_a_stream_is_what_the_whole_is(seed: int):
    chance = random.Random(seed)
    # Before it, what a stream has forgotten but for the context that texts of ASCII need.
    text = "".join(chance.choice(["so ", "he said ", grown(chance)]) for _ in range(chance.randint(1, 150)))
    text = (text if chance.random() < 0.3 else "word by word " * chance.randint(0, 90)) + grown(chance)
    text = text.replace("\ud800", "")
    stream = engine().stream()
    assert stream is not None
    out, done = "", 0
    while done < len(text):
        size = chance.choice((1, 1, 2, 3, 7))
        out += stream.feed("c", text[done : done + size])
        done += size
    assert out + stream.flush("c") == masked(text, "response")


@pytest.mark.parametrize(
    "bait", ["4\u200b", "a\u00ad@", "４１１１ ", "1\u00a0", "G\u200bB82 WEST ", "\u200b", "x\u200b\u200b"]
)
def test_nothing_is_held_for_ever(bait: str):
    """*Never further from the end than `reach.length + reach.after`.*"""
    for name in ("pii", "secrets", "terms"):
        detector, _ = made(name)
        text = bait * 6000
        assert len(text) - detector.settled(text) <= detector.reach.length + detector.reach.after


@pytest.mark.parametrize("name", ["pii", "secrets"])
def test_work_grows_with_the_text_alone(name: str):
    """*Linear in the text*, also where all of it is read otherwise: ten times the text is ten times the text shown."""
    detector, gate = made(name)
    assert isinstance(detector, Reader)
    shown: list[int] = []

    def look(text: str):  # type: ignore[no-untyped-def]
        shown[-1] += len(text)
        return ()

    for size in (5_000, 50_000):
        for bait in ("4\u200b1", "a\u00ad.b ", "word word 4\u00a01 "):
            shown.append(0)
            text = (bait * size)[:size]
            reader = Reader(detector._written, detector._read)  # pyright: ignore[reportPrivateUsage]
            reader.lend(look)
            reader.confirm(text, [Hit(*hit) for hit in gate.scan(text.encode())])
            assert shown[-1] <= size
