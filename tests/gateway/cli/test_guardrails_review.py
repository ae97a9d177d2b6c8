"""`tollway guardrails review` and `mark` on a ledger, without a gateway."""

import json
from pathlib import Path

import pytest

from tests.gateway.cli.findings import run, seeded

RULES = {"standard": [{"detect": "pii", "action": "mask", "mode": "enforce"}]}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return seeded(tmp_path, RULES, {"sample": "50%"})


def test_review_mark_and_the_line_to_paste(config: Path):
    listed = run(config, "review", "--rule", "standard.pii.1", "--limit", "2")
    assert "50 % of exchanges with findings are logged." in listed.stdout
    assert "There are more" in listed.stdout
    value = json.loads(run(config, "review", "--rule", "standard.pii.1", "--json").stdout)["values"][0]
    assert value["digest"] in listed.stdout
    marked = run(config, "mark", value["rule"], value["digest"].upper(), "false_positive")
    assert f'allow: {{digests: ["{value["digest"]}"]}}' in marked.stdout
    judged = run(config, "review", "--state", "false_positive").stdout
    assert value["digest"] in judged
    assert "0.0 % (0.0–79.3)" in judged
    assert "0.0 % (0.0–79.3)" not in run(config, "review", "--rule", "standard.pii.9").stdout
    assert "0.0 % (0.0–79.3)" in run(config, "review", "--rule", value["rule"]).stdout
    back = run(config, "mark", value["rule"], value["digest"], "open")
    assert back.stdout == f"{value['rule']} {value['digest']}: open\n"
    assert "No value since" in run(config, "review", "--state", "later").stdout
    assert "No value of team nobody since" in run(config, "review", "--team", "nobody").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("mark", "standard.pii.1", "0" * 16, "maybe"), 2, "VERDICT: allowed are false_positive"),
        (("mark", "standard.pii.1", "0" * 16, "later"), 1, "has no value"),
        (("review", "--state", "x"), 2, "state: allowed are open"),
        (("review", "--since", "x"), 2, "since:"),
    ],
)
def test_what_cannot_be(config: Path, arguments: tuple[str, ...], code: int, problem: str):
    done = run(config, *arguments)
    assert done.exit_code == code
    assert problem in done.stderr
