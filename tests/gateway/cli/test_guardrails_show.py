"""What is printed for people."""

import pytest

from gateway.cli.guardrails_show import comparison_data, show_comparison, spoken_share
from guardrails.comparison import Comparison
from guardrails.interface import ALLOWED, RuleResult, Verdict

BLOCKED = Verdict("block", "block", results=(RuleResult("a", "p", "enforce", "block", ("T",), 1),))


def test_shares() -> None:
    assert spoken_share(0.5, (0.25, 0.75)) == "50.0 % (25.0–75.0)"
    assert spoken_share(None, None) == "-"


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
