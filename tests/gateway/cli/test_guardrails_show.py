"""What is printed for people."""

import pytest

from gateway.cli.guardrails_show import comparison_data, show_comparison, show_explanation, spoken_share
from guardrails.comparison import Comparison
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
