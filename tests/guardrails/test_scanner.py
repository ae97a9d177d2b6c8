"""All detectors behind one gate."""

import pytest

from guardrails.detector import Expression, Hit
from guardrails.scanner import Scanner
from tests.support.detectors import Accuser, Card, Overlapping, ReGate, Words, mail


def test_hits_go_to_the_detector_whose_expression_it_was() -> None:
    scanner = Scanner([mail(), Overlapping("xs", "x"), Words("w", "W", "alpha", "beta")], gate=ReGate)
    assert scanner.gate is not None
    hits = scanner.by_detector(scanner.gate.scan("é beta a@b.co".encode()))
    assert hits == {0: [Hit(0, 10)], 2: [Hit(1, 7)]}


def test_without_expressions_there_is_no_gate() -> None:
    made: list[list[Expression]] = []
    scanner = Scanner([Overlapping("xs", "x")], gate=lambda e: made.append(list(e)) or ReGate(e))
    assert scanner.gate is None
    assert made == []


def test_names_are_unique_over_all_kinds() -> None:
    with pytest.raises(ValueError, match="same name"):
        Scanner([Card()], [Accuser()], ["card"], gate=ReGate)
