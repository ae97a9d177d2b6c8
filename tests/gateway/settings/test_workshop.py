"""What a reload does not change is not made again."""

import sys
from pathlib import Path

import pytest

import gateway.settings.workshop as workshop_module
from gateway.settings.workshop import Part, PartError, Workshop
from guardrails.detector import Expression
from guardrails.injection import weights
from guardrails.matching.gate import Gate, GateError, open_gate
from guardrails.words.language import UserPattern
from guardrails.words.terms import TermList

MAIL = Part("pii", "pii", frozenset({"EMAIL_ADDRESS"}))
IDS = Part("patterns", "patterns:a", (UserPattern("id", "ID", "C-[0-9]{6}"),))
NAMES = Part("terms", "terms:b", (TermList("b", "CUSTOMER", ("Acme",)),))
BAD = Part("patterns", "patterns:c", (UserPattern("bad", "BAD", "(?=a)b"),))


def test_equal_parts_give_the_same_scanner_in_any_order() -> None:
    workshop = Workshop()
    scanner = workshop.scanner([IDS, MAIL, IDS])
    assert workshop.scanner([MAIL, IDS]) is scanner
    assert [detector.name for detector in scanner.detectors] == ["patterns:a", "pii"]


def test_a_part_that_stays_is_not_made_again() -> None:
    workshop = Workshop()
    workshop.scanner([MAIL, IDS])
    mail = workshop.made(MAIL)
    workshop.scanner([MAIL, NAMES])
    assert workshop.made(MAIL) is mail
    assert workshop.made(IDS) is None


def test_what_cannot_be_made_changes_nothing() -> None:
    workshop = Workshop()
    scanner = workshop.scanner([MAIL])
    terms = Part("terms", "terms:d", (TermList("d", "T", ()),))
    with pytest.raises(PartError) as refused:
        workshop.scanner([MAIL, BAD, terms])
    assert [part for part, _ in refused.value.problems] == [BAD, terms]
    assert workshop.scanner([MAIL]) is scanner


@pytest.mark.parametrize(
    ("part", "module", "package"), [(NAMES, "ahocorasick_rs", "ahocorasick-rs"), (IDS, "re2", "google-re2")]
)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, part: Part, module: str, package: str) -> None:
    """At check and start, not at the first text that needs it."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PartError, match=f"needs the package {package}, which is not installed"):
        Workshop().scanner([part])


def test_a_missing_file_of_the_installation_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It was told as a defect of ours, without its place or its name."""
    monkeypatch.setattr(weights.resources, "files", lambda _: tmp_path)
    with pytest.raises(PartError, match=r"needs injection\.bin .*cannot be read \(No such file.*install Tollway again"):
        Workshop().scanner([Part("prompt_injection", "prompt_injection")])


def test_the_part_that_no_gate_takes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(expressions: tuple[Expression, ...], compiled: bytes = b"") -> Gate:
        if any("6" in expression.pattern for expression in expressions):
            raise GateError("expression 3 is not possible in the gate")
        return open_gate(expressions)

    monkeypatch.setattr(workshop_module, "open_gate", refusing)
    other = Part("patterns", "patterns:e", (UserPattern("x", "X", "X-[0-9]{4}"),))
    with pytest.raises(PartError) as refused:
        Workshop().scanner([other, IDS])
    assert [part for part, _ in refused.value.problems] == [IDS]


def test_nothing_needs_no_gate() -> None:
    workshop = Workshop()
    assert workshop.scanner([]).gate is None
    assert workshop.gate is None
    assert len(workshop.random_key) == 32
