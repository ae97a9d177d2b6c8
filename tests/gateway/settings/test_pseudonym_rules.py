"""Pseudonyms of conversations in the configuration: for whom, sealed with what, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.clock import ManualClock
from gateway.errors import ConfigError
from gateway.pseudonyms import sealing
from gateway.settings.compile import compile_snapshot
from gateway.settings.guardrail_programs import GuardrailPrograms
from gateway.settings.load import load_config

Write = Callable[..., Path]
RULES = """\
prices: off
teams:
  a: {{guardrails: p}}
  b: {{guardrails: [p, q]}}
  c: {{guardrails: q}}
guardrails:
  p:
    - {{detect: pii, entities: [EMAIL_ADDRESS], action: pseudonymize, on: [request]{teams},
       pseudonyms: {{scope: conversation, ttl: 2h, most: 50}}}}
  q:
    - {{detect: secrets, action: {action}}}
"""
SECRET = "secrets: {key_hash: server-secret-0123456789}\n"


def compiled(path: Path, workers: int | None = None) -> GuardrailPrograms:
    snapshot = compile_snapshot(load_config(path, env={}, workers=workers), clock=ManualClock())
    assert snapshot.guardrails is not None
    return snapshot.guardrails


def written(write: Write, minimal: str, more: str = SECRET, action: str = "mask", teams: str = "") -> Path:
    return write(minimal + RULES.format(action=action, teams=teams) + more)


def test_teams_whose_rules_ask_for_it_have_it(write: Write, minimal: str) -> None:
    programs = compiled(written(write, minimal))
    assert sorted(programs.pseudonyms) == ["a", "b"]
    found = programs.pseudonyms["a"]
    assert (found.ttl, found.most) == (7200.0, 50)
    assert len(found.secret) == 32
    assert found.secret != programs.key
    assert "secret" not in repr(found)


def test_a_rule_of_another_team_asks_for_nothing(write: Write, minimal: str) -> None:
    assert sorted(compiled(written(write, minimal, teams=", teams: [b]")).pseudonyms) == ["b"]


def test_without_a_server_secret_memory_is_enough(write: Write, minimal: str) -> None:
    assert compiled(written(write, minimal, more="")).pseudonyms


@pytest.mark.parametrize(
    ("more", "action", "workers", "what"),
    [
        (SECRET, "pseudonymize", None, "another rule of team 'b' that pseudonymizes"),
        ("limits: {store: 'redis://127.0.0.1:1'}\n", "mask", None, "set secrets.key_hash"),
        (SECRET, "mask", 2, "2 workers cannot share conversations in memory"),
    ],
)
def test_what_could_not_be_kept_is_refused(
    write: Write, minimal: str, more: str, action: str, workers: int | None, what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        compiled(written(write, minimal, more, action), workers)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("action: mask, pseudonyms: {scope: conversation}", "allowed is action: pseudonymize"),
        ("action: pseudonymize, on: [request], pseudonyms: {scope: team}", "allowed (are|is)"),
        ("action: pseudonymize, on: [request], pseudonyms: {ttl: 0s}", "too small"),
        ("action: pseudonymize, on: [request], pseudonyms: {most: 100000}", "too large"),
        ("action: pseudonymize, on: [request], pseudonyms: {ttl: 2h, most: 9}", "most and ttl .* add scope: conv"),
    ],
)
def test_options_that_make_no_sense_are_refused(write: Write, minimal: str, options: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        load_config(write(f"{minimal}prices: off\nguardrails: {{p: [{{detect: pii, {options}}}]}}\n"), env={})


def test_without_the_package_it_is_refused(write: Write, minimal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install"):
        load_config(written(write, minimal), env={})
