"""One regex of the table as a recognizer."""

from guardrails.pii.candidates import Candidate, Pattern
from guardrails.pii.rules import Row


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
