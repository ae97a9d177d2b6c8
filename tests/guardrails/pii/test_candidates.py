"""One regex of the table as a recognizer."""

import random
import re

import msgspec
import pytest

from guardrails.matching.gate import open_gate
from guardrails.pii.candidates import FLAGS, Candidate, Pattern, beginning
from guardrails.pii.context import raised
from guardrails.pii.rules import Row, read
from guardrails.pii.windows import regions
from tests.guardrails.pii.texts import grown

MOST = raised(0.3)


def row(regex: str, behind: str = "") -> Row:
    return Row(id="pii.x.1", entity="X", regex=regex, score=0.3, length=4, shortest=2, gate="", behind=behind)


def test_every_start_is_looked_at() -> None:
    """*Look at every start rather than finditer's leftovers.*"""
    pattern = Pattern(row("[0-9]{2,4}"), None)
    assert [(one.start, one.end) for one in pattern.scan("12345", 0, 5)] == [(0, 4), (1, 5), (2, 5), (3, 5)]


def test_a_check_decides() -> None:
    pattern = Pattern(row("[0-9]{2}"), lambda text: {"11": True, "22": False}.get(text))
    assert list(pattern.scan("11 22 33", 0, 8)) == [
        Candidate(0, 2, 1.0, "pii.x.1", "checksum"),
        Candidate(6, 8, 0.3, "pii.x.1", "pattern"),
    ]


def test_what_must_stand_before() -> None:
    pattern = Pattern(row("[0-9]{2}", behind="claim "), None)
    assert [one.start for one in pattern.scan("claim 12, 34", 0, 12)] == [6]


def test_letters_are_ascii() -> None:
    assert list(Pattern(row("ks"), None).scan("KS \u212as k\u017f", 0, 9)) == [
        Candidate(0, 2, 0.3, "pii.x.1", "pattern")
    ]


@pytest.mark.parametrize("table", ["presidio", "own"])
def test_every_match_of_the_tables_starts_where_it_can_begin(table: str) -> None:
    """ "A regex of one character for every place at which a match of `regex` can start": none is passed over."""
    chance = random.Random(3)
    text = "\n".join(grown(chance, 6) for _ in range(12)) + " ſ\u212aİ ٣٤٥٦٧٨٩٠١"
    for one in read(table).rules:
        match, can = re.compile(one.regex, FLAGS).match, re.compile(beginning(one.regex)).match
        missed = [start for start in range(len(text)) if match(text, start) and not can(text, start)]
        assert not missed, one.id


@pytest.mark.parametrize("table", ["presidio", "own"])
def test_hits_end_where_matches_end(table: str) -> None:
    """`exact`: "Every match has a hit that ends where it ends"."""
    chance = random.Random(5)
    text = "\n".join(grown(chance, 6) for _ in range(60)).encode("ascii", "ignore").decode()
    patterns = [pattern for one in read(table).rules if (pattern := Pattern(one, None)).exact]
    gate = open_gate([pattern.expressions[0] for pattern in patterns])
    hits = set(gate.scan(text.encode()))
    for number, pattern in enumerate(patterns):
        matches = [pattern.match(text, start) for start in range(len(text))]
        assert {(number, match.end()) for match in matches if match is not None} <= hits, pattern.rule


def better(start: int, end: int, score: float = 0.7, rule: str = "pii.a.1") -> Candidate:
    return Candidate(start, end, score, rule, "pattern")


@pytest.mark.parametrize(
    ("found", "left"),
    [
        ([], [(5, 9)]),
        ([better(6, 10)], []),
        ([better(2, 10)], []),
        ([better(7, 10)], [(6, 7)]),
        ([better(6, 9)], [(5, 9)]),
        ([better(0, 10)], [(5, 9)]),
        ([better(6, 10, 0.3)], [(5, 9)]),
        ([better(6, 10, MOST)], []),
        ([better(6, 10, MOST, "pii.y.1")], [(5, 9)]),
        ([better(6, 10), better(8, 9)], [(5, 9)]),
    ],
)
def test_what_is_within_a_surer_match_is_spared(found: list[Candidate], left: list[tuple[int, int]]) -> None:
    """*Without starts of matches that are within one of these candidates and no better*: a match of this rule has at
    most `MOST`, and of equal scores the earlier rule counts. What cannot be said costs a look."""
    pattern = Pattern(msgspec.structs.replace(row("[0-9]{2,4}"), gate=r"[0-9]{2,4}\b"), None)
    assert pattern.spared([10], found, 7) == left


def test_nothing_is_spared_where_hits_end_elsewhere() -> None:
    pattern = Pattern(msgspec.structs.replace(row("[0-9]{2,4}"), gate="[0-9]{2,4}(?:[^0-9]|$)"), None)
    assert pattern.spared([10], [better(0, 20, 1.0)], 100) == regions([10], 5, 2)
