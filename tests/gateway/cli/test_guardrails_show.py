"""What is printed for people."""

import msgspec
import pytest

from gateway.cli.guardrails_show import (
    comparison_data,
    parts_of,
    show_comparison,
    show_explanation,
    show_report,
    spoken_share,
)
from guardrails.comparison import Comparison
from guardrails.evaluation import DetectorReport, EntityReport, Latency, Report, SourceReport
from guardrails.explain import Explained, Explanation
from guardrails.interface import ALLOWED, RuleResult, Verdict

BLOCKED = Verdict("block", "block", results=(RuleResult("a", "p", "enforce", "block", ("T",), 1),))


def test_shares() -> None:
    assert spoken_share(0.5, (0.25, 0.75)) == "50.0 % (25.0–75.0)"
    assert spoken_share(None, None) == "-"


def explained(start: int, end: int) -> Explained:
    return Explained("T", start, end, 1.0, 0.5, "t", "", "p", "r", "enforce", "mask", "acted", "d" * 16)


def test_a_terminal_obeys_nothing_in_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters and those that turn a line around are shown, and spans stay where they are."""
    text = "a\x1b]0;owned\x07 \x9b31m\u202e b\n\tc"
    show_explanation(Explanation((explained(1, 9),), ALLOWED, text.upper()), text, "policy p")
    out = capsys.readouterr().out
    assert "a␛]0;owned␇ �31m� b\n" in out
    assert "“␛]0;owne”" in out
    assert not set(out) & {"\x1b", "\x07", "\x9b", "\u202e"}


EVIL = "[/x] [bold]b\x1b[2J\u202e"
"""Markup that rich refuses or obeys, and orders to a terminal."""


def test_words_of_a_corpus_are_neither_markup_nor_orders(capsys: pytest.CaptureFixture[str]) -> None:
    part = SourceReport(1, 0.0, 0, None, (0.0, 0.8), None)
    detector = DetectorReport(0.5, {EVIL: part, "all": part}, 2, 0, 0.0, None, (0.0, 0.7), None, Latency(1.0, 2.0))
    show_report(Report({"pii": detector}, {EVIL: EntityReport(3, 1.0, None, 0, (0.4, 1.0), None)}, 1, 9))
    comparison = Comparison()
    comparison.add(ALLOWED, BLOCKED)
    show_comparison("p", comparison, {1: EVIL})
    out = capsys.readouterr().out
    assert out.count("[/x] [bold]b␛[2J") == 3
    assert not set(out) & {"\x1b", "\u202e"}
    assert "1 text, 9 characters" in out


def test_rows_without_a_source_are_not_told_as_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Their name in JSON is the one that the sum has for people."""
    part = SourceReport(1, 0.0, 0, None, (0.0, 0.8), None)
    one = DetectorReport(0.5, {"all": part}, 1, 0, 0.0, None, (0.0, 0.8), None, Latency(1.0, 2.0))
    two = msgspec.structs.replace(one, by_source={"s": part, "all": part}, attacks=2)
    assert [name for name, _ in parts_of(one)] == ["all"]
    assert [name for name, _ in parts_of(two)] == ["s", "(no source)", "all"]
    assert parts_of(two)[-1][1] is two


def test_lines_of_a_match_are_read_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    match = Explained(
        "US_DRIVER_LICENSE", 0, 19, 1.0, 0.4, "pii.us_driver_license.1", "checksum", "standard", "standard.pii.1",
        "enforce", "pseudonymize", "acted", "d" * 16,
    )  # fmt: skip
    show_explanation(Explanation((match,), ALLOWED, "4111 1111 1111 1111"), "4111 1111 1111 1111", "policy p")
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_of_a_long_text_the_beginning_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = "word " * 1_000_000
    matches = tuple(explained(at, at + 4) for at in range(0, 500_000, 5))
    show_explanation(Explanation(matches, ALLOWED, text.upper()), text, "policy p")
    out = capsys.readouterr().out
    assert out.count("…") == 2
    assert "(4,980,000 characters more)" in out
    assert "99,800 more matches; --json has all" in out
    assert len(out) < 100_000


def test_texts_are_shown_only_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    comparison = Comparison()
    for _ in range(25):
        comparison.add(ALLOWED, BLOCKED)
    show_comparison("p", comparison, {})
    out = capsys.readouterr().out
    assert "policy p: 0 of 25 texts are acted on, 25 would be" in out
    assert "and 5 more; --json lists all" in out
    show_comparison("p", comparison, {1: "[bold]CANARY[/bold]"})
    assert "[bold]CANARY[/bold]" in capsys.readouterr().out
    data = comparison_data(comparison, {2: "text"})
    changed = data["changed"]
    assert isinstance(changed, list)
    assert [row.get("text") for row in changed[:3]] == [None, "text", None]
