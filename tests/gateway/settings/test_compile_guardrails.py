"""From the file to engines: who is inspected by what, what is said of rules that cannot be compiled, and what a reload
keeps."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import gateway.settings.workshop as workshop_module
import guardrails.matching.gate as gate_module
from gateway.auth.keys import digest_of
from gateway.clock import ManualClock
from gateway.errors import ConfigError
from gateway.ledger.keystore import StoredKey
from gateway.settings.compile import compile_snapshot, merge_keys
from gateway.settings.compile_guardrails import BUILT_IN, built_in, digest_key
from gateway.settings.load import load_config
from gateway.settings.reload import Configuration
from gateway.settings.snapshot import Snapshot
from gateway.settings.workshop import Workshop
from guardrails.engine import PolicyEngine
from guardrails.interface import Segment

Write = Callable[..., Path]
HEX = digest_of(b"key-a", "sha256").hex()
SECRET = "server-secret-0123456789"
RULES = f"""\
prices: off
secrets: {{key_hash: {SECRET}}}
teams:
  a: {{guardrails: p, keys: [{{id: ka, hash: "sha256:{HEX}"}}]}}
  b: {{guardrails: [p, q]}}
  c: {{}}
guardrails:
  p:
    - {{detect: pii, entities: [EMAIL_ADDRESS], action: mask, mode: enforce}}
  q:
    - {{detect: patterns, patterns: [{{name: id, regex: 'C-[0-9]{{6}}'}}], action: mask, mode: enforce, teams: [b]}}
"""


def compiled(path: Path, workshop: Workshop | None = None) -> Snapshot:
    return compile_snapshot(load_config(path, env={}), clock=ManualClock(), workshop=workshop)


def passed(engine: PolicyEngine, text: str) -> str:
    verdict = engine.inspect([Segment("text", "user", text)], "request")
    return verdict.rewrites[0].text if verdict.rewrites else text


def test_each_team_has_the_engine_of_its_policies(write: Write, minimal: str) -> None:
    snapshot = compiled(write(minimal + RULES))
    assert snapshot.guardrails is not None
    engines = snapshot.guardrails.engines
    assert sorted(engines) == ["a", "b"]
    text = "C-123456 of jane@example.org"
    assert passed(engines["a"], text) == "C-123456 of <EMAIL_ADDRESS>"
    assert passed(engines["b"], text) == "<ID> of <EMAIL_ADDRESS>"
    caller = snapshot.keys.find(b"key-a")
    assert caller is not None
    assert caller.guardrails is engines["a"]
    assert snapshot.guardrails.types == {"pii": {"EMAIL_ADDRESS"}, "patterns:q.patterns.1": {"ID"}}


@pytest.mark.parametrize("written", ["baseline: q\n", "baseline: [q, q]\n"])
def test_a_baseline_holds_for_every_team_beside_its_own(write: Write, minimal: str, written: str) -> None:
    snapshot = compiled(write(minimal + RULES.replace(", teams: [b]", "") + written))
    assert snapshot.guardrails is not None
    engines = snapshot.guardrails.engines
    text = "C-123456 of jane@example.org"
    assert {team: passed(engine, text) for team, engine in engines.items()} == {
        "a": "<ID> of <EMAIL_ADDRESS>",
        "b": "<ID> of <EMAIL_ADDRESS>",
        "c": "<ID> of jane@example.org",
    }
    assert not any("no team uses" in warning for warning in snapshot.warnings)


def test_keys_of_the_database_are_inspected_too(write: Write, minimal: str) -> None:
    written = load_config(write(minimal + RULES), env={})
    snapshot = compile_snapshot(written, clock=ManualClock())
    stored = [
        StoredKey(
            id=f"k{team}", team=team, name="", digest=digest_of(f"key-{team}".encode(), "hmac", SECRET.encode()).hex(),
            prefix="", last4="", models=None, tags={}, created_ns=1, expires_ns=None, revoked_ns=None,
            rotated_from=None, overlap_until_ns=None,
        )
        for team in ("b", "c")
    ]  # fmt: skip
    merged = merge_keys(snapshot, written, stored)
    assert snapshot.guardrails is merged.guardrails is not None
    for team in ("a", "b", "c"):
        caller = merged.keys.find(f"key-{team}".encode())
        assert caller is not None
        assert caller.guardrails is snapshot.guardrails.engines.get(team)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{detect: patterns, patterns: [{name: a, regex: ok}, {name: b, regex: '(?=x)y'}]}", "look-around"),
        ("{detect: patterns, patterns: [{name: a, regex: '(a'}]}", "pattern 'a' is "),
        ("{detect: patterns, patterns: [{name: a, regex: 'a*'}]}", "matches the empty text"),
        ("{detect: pii, allow: {patterns: ['(?!x)y']}}", "look-around"),
        ("{detect: terms, terms: [a, '   ']}", "term 2 is empty"),
    ],
)
def test_what_cannot_be_compiled_has_its_place(write: Write, minimal: str, rule: str, expected: str) -> None:
    path = write(minimal + f"prices: off\nguardrails:\n  p:\n    - {rule}\n")
    with pytest.raises(ConfigError) as refused:
        compiled(path)
    (problem,) = refused.value.problems
    assert re.match(rf"{path}:9:\d+: ", problem), problem
    assert expected in problem


def test_a_broken_pattern_in_a_reload_changes_nothing(write: Write, minimal: str, tmp_path: Path) -> None:
    """The last good configuration stays in force, guardrails included."""
    text = minimal + RULES + f"server: {{runtime_dir: {tmp_path}/run}}\n"
    path = write(text)
    configuration = Configuration(path, clock=ManualClock(), env={})
    before = configuration.snapshot
    path.write_text(text.replace("C-[0-9]", "(?<=C-)[0-9]"))
    result = configuration.reload("test")
    assert not result.ok
    assert "gateway.yaml:16:55: " in (result.error or "")
    assert "look-around" in (result.error or "")
    assert configuration.snapshot is before
    assert passed(configuration.snapshot.guardrails.engines["b"], "C-123456") == "<ID>"  # pyright: ignore[reportOptionalMemberAccess]
    path.write_text(text.replace("C-[0-9]", "D-[0-9]"))
    assert configuration.reload("test").ok
    assert passed(configuration.snapshot.guardrails.engines["b"], "D-123456") == "<ID>"  # pyright: ignore[reportOptionalMemberAccess]


def test_a_reload_of_something_else_builds_nothing(write: Write, minimal: str, tmp_path: Path) -> None:
    text = minimal + RULES + f"server: {{runtime_dir: {tmp_path}/run}}\n"
    path = write(text)
    configuration = Configuration(path, clock=ManualClock(), env={})
    before = configuration.snapshot.guardrails
    path.write_text(text.replace("mode: enforce}", "mode: shadow}", 1).replace("gpt-4o", "gpt-5"))
    assert configuration.reload("test").ok
    after = configuration.snapshot.guardrails
    assert before is not None
    assert after is not None
    assert after.scanner is before.scanner
    assert after.policies["p"].rules[0].mode == "shadow"
    assert list((tmp_path / "run" / "gates").glob("*.gate"))


def test_digests_are_stable_with_a_key_and_not_without(write: Write, minimal: str) -> None:
    one, other = (compiled(write(minimal + RULES)).guardrails for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.key == other.key == digest_key(SECRET.encode())
    assert SECRET not in repr(one)
    keyless = write(minimal + RULES.replace(f"secrets: {{key_hash: {SECRET}}}\n", ""))
    workshop = Workshop()
    first, second, third = compiled(keyless, workshop), compiled(keyless, workshop), compiled(keyless)
    keys = [snapshot.guardrails.key for snapshot in (first, second, third) if snapshot.guardrails is not None]
    assert keys[0] == keys[1] != keys[2]
    assert "secrets.key_hash is not set, so digests of guardrail findings change at every start" in first.warnings


def test_an_allowed_digest_is_the_one_that_a_finding_carries(write: Write, minimal: str) -> None:
    guardrails = compiled(write(minimal + RULES)).guardrails
    assert guardrails is not None
    segment = Segment("text", "user", "to jane@example.org")
    (finding,) = guardrails.engines["a"].inspect([segment], "request").findings
    allowing = RULES.replace("action: mask,", f"action: mask, allow: {{digests: ['{finding.digest}']}},")
    allowed = compiled(write(minimal + allowing)).guardrails
    assert allowed is not None
    assert passed(allowed.engines["a"], "jane@example.org, joe@example.org") == "jane@example.org, <EMAIL_ADDRESS>"


def test_warnings_say_what_is_not_as_one_may_think(write: Write, minimal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "BACKENDS", ("hyperscan", "re"))
    monkeypatch.setattr(gate_module.importlib.util, "find_spec", lambda name: name == "re" or None)
    rules = """\
prices: off
guardrails:
  p:
    - {detect: patterns, patterns: [{name: a, regex: 'b+'}], allow: {digests: [0123456789abcdef]}}
    - {detect: pii, entities: [US_SSN], beyond: scan_head_and_tail}
"""
    found = compiled(write(minimal + rules)).warnings
    for expected in (
        "guardrails run on re: slower than hyperscan with the same findings (hyperscan not installed); install",
        "digests of guardrail findings change at every start: the allow-list of p.patterns.1 never matches",
        "guardrail rule p.patterns.1: pattern 'a': a repeat without an end takes at most 128 characters",
        "guardrail rule p.pii.1: answers are scanned whole, whatever beyond says",
        "no team uses the guardrail policy 'p'",
    ):
        assert any(expected in warning for warning in found), expected


def test_the_built_in_policy_has_every_detector() -> None:
    programs = built_in(Workshop())
    assert [rule.detector for rule in programs.policies[BUILT_IN].rules] == [
        "pii", "secrets", "prompt_injection", "moderation",
    ]  # fmt: skip
    assert {"URL", "DATE_TIME", "EMAIL_ADDRESS"} <= programs.types["pii"]
    assert programs.types["prompt_injection"] == {"PROMPT_INJECTION", "JAILBREAK"}


def test_no_policies_no_programs(write: Write, minimal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop_module, "open_gate", None)
    assert compiled(write(minimal + "prices: off\n")).guardrails is None


def test_digests_of_the_previous_secret_match_while_it_is_told(write: Write, minimal: str) -> None:
    guardrails = compiled(write(minimal + RULES)).guardrails
    assert guardrails is not None
    (finding,) = guardrails.engines["a"].inspect([Segment("text", "user", "to jane@example.org")], "request").findings
    allowing = RULES.replace("action: mask,", f"action: mask, allow: {{digests: ['{finding.digest}']}},")
    for secrets, expected in (
        ("key_hash: another-secret-0123456789", "<EMAIL_ADDRESS>"),
        (f"key_hash: another-secret-0123456789, previous_key_hash: {SECRET}", "jane@example.org"),
    ):
        rotated = compiled(write(minimal + allowing.replace(f"key_hash: {SECRET}", secrets))).guardrails
        assert rotated is not None
        assert passed(rotated.engines["a"], "jane@example.org") == expected
        assert passed(rotated.engine(*rotated.policies), "jane@example.org") == expected
        assert SECRET not in repr(rotated)
