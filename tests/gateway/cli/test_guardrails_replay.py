"""`tollway guardrails diff OLD NEW --shadow-log` on a seeded ledger."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from gateway.ledger.store import open_engine, reading
from gateway.ledger.tables import findings
from tests.gateway.admin.fakes import written
from tests.gateway.cli.test_guardrails_cli import run
from tests.support.console_seed import TEAMS, seed

PII = {"detect": "pii", "entities": ["EMAIL_ADDRESS", "CREDIT_CARD"], "action": "mask", "mode": "enforce"}
RULES = [
    PII,
    {"detect": "secrets", "on": ["request"], "action": "block", "mode": "enforce"},
    {"detect": "prompt_injection", "on": ["request"], "action": "block", "mode": "shadow"},
]
Configured = Callable[[str, list[dict]], Path]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    def make(name: str, rules: list[dict]) -> Path:
        teams = {team: {"guardrails": "standard"} for team in TEAMS}
        whole = {**written(tmp_path), "guardrails": {"standard": rules}, "teams": teams}
        whole["ledger"]["findings"] = {}
        (tmp_path / name).write_text(yaml.safe_dump(whole))
        return tmp_path / name

    seed(written(tmp_path)["ledger"]["url"], time.time_ns(), 400, days=5)
    return make


def replay(old: Path, new: Path, *more: str) -> dict:
    done = run("diff", old, new, "--shadow-log", "--json", *more)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_enforcing_a_shadow_rule(configured: Configured, tmp_path: Path):
    old = configured("old.yaml", RULES)
    new = configured("new.yaml", [*RULES[:2], {**RULES[2], "mode": "enforce"}])
    told = replay(old, new)
    shadowed = told["rules"]["standard.prompt_injection.1"]
    assert shadowed["old_found"] == shadowed["new_found"] == shadowed["new_acted"] == told["changed"] > 0
    assert shadowed["old_acted"] == 0
    assert told["new"]["blocked"] - told["old"]["blocked"] == told["changed"]
    assert told["new"]["rewritten"] == told["old"]["rewritten"]
    assert sum(team["changed"] for team in told["teams"].values()) == told["changed"]
    assert told["examples"][0]["exchange"].startswith("seed-")
    assert told["cannot_replay"]["rules"] == {}
    of_team = replay(old, new, "--team", "search", "--since", "3d")
    assert list(of_team["teams"]) == ["search"]
    assert 0 < of_team["changed"] < told["changed"]
    engine = open_engine(written(tmp_path)["ledger"]["url"])
    with reading(engine) as connection:
        rows = connection.execute(findings.select().where(findings.c.rule == "standard.prompt_injection.1")).all()
    engine.dispose()
    assert len(rows) == shadowed["new_found"]


def test_a_digest_a_threshold_and_what_cannot_be_told(configured: Configured):
    old = configured("old.yaml", RULES)
    digest = json.loads(run("review", "-c", old, "--rule", "standard.pii.1", "--json").stdout)["values"][0]
    allowing = {**PII, "allow": {"digests": [digest["digest"]]}}
    told = replay(old, configured("new.yaml", [allowing, *RULES[1:]]))
    counts = told["rules"]["standard.pii.1"]
    assert counts["old_found"] - counts["new_found"] == digest["findings"]
    none = replay(old, configured("high.yaml", [{**PII, "threshold": 1.0, "entities": ["EMAIL_ADDRESS"]}, *RULES[1:]]))
    assert none["rules"]["standard.pii.1"]["new_found"] == 0
    wider = {**PII, "threshold": 0.1, "entities": [*PII["entities"], "PHONE_NUMBER"]}
    new = configured("wide.yaml", [wider, *RULES[1:]])
    done = run("diff", old, new, "--shadow-log")
    text = " ".join(done.stdout.split())
    assert "PHONE_NUMBER: not looked for before" in text
    assert "below the old threshold" in text
    assert "no text is kept" in text


def test_a_key_that_was_changed(configured: Configured, tmp_path: Path):
    """`secrets.previous_key_hash`: what it made in the log fits values that the new configuration allows."""
    allowing = [{**PII, "allow": {"values": ["jane@example.com"]}}, *RULES[1:]]
    old, new = configured("old.yaml", allowing), configured("new.yaml", allowing)
    whole = yaml.safe_load(new.read_text())
    key = whole["secrets"]["key_hash"]
    whole["secrets"] = {**whole["secrets"], "key_hash": "another-" + "k" * 40}
    new.write_text(yaml.safe_dump(whole))
    assert "they were no findings" in str(replay(old, new)["cannot_replay"]["rules"])
    whole["secrets"]["previous_key_hash"] = key
    new.write_text(yaml.safe_dump(whole))
    assert replay(old, new)["cannot_replay"]["rules"] == {}


@pytest.mark.parametrize(
    ("more", "code", "problem"),
    [
        ((), 2, "give one of --corpus FILE and --shadow-log"),
        (("--shadow-log", "--team", "nobody"), 2, "unknown team 'nobody'"),
        (("--shadow-log", "-p", "standrad"), 2, "did you mean 'standard'"),
        (("--shadow-log", "--since", "x"), 2, "--since: 'x' is no moment"),
    ],
)
def test_what_cannot_be(configured: Configured, more: tuple[str, ...], code: int, problem: str):
    config = configured("old.yaml", RULES)
    done = run("diff", config, config, *more)
    assert done.exit_code == code
    assert problem in done.stderr


def test_without_a_ledger_file(configured: Configured, tmp_path: Path):
    config = configured("old.yaml", RULES)
    Path(written(tmp_path)["ledger"]["url"].removeprefix("sqlite:///")).unlink()
    done = run("diff", config, config, "--shadow-log")
    assert done.exit_code == 1
    assert "there is no ledger" in done.stderr
