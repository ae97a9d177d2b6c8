"""A written rule, compiled: every option arrives, and defaults are the detector's."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.guardrail_rules import Placed, blame, place_rules
from gateway.settings.schema_guardrails import RuleSection
from guardrails import catalogue
from guardrails.policy import Bounds, Rule, problems


def placed(*rules: dict[str, Any], policy: str = "p", files: dict[Any, Any] | None = None) -> list[Placed]:
    found, wrong = place_rules({policy: [RuleSection.model_validate(rule) for rule in rules]}, files or {})
    assert wrong == []
    return found


def rule(**written: Any) -> Rule:
    (found,) = placed(written)
    return found.rule


def test_every_option_arrives() -> None:
    found = rule(
        detect="pii", id="mail", entities=["EMAIL_ADDRESS"], threshold=0.5, thresholds={"EMAIL_ADDRESS": 0.9},
        on=["response"], roles=["tool"], operations=["messages"], teams=["search"], rollout="12.5%", action="hash",
        mode="warn", max_scan="1k", beyond="allow", on_failure="open",
        bounds={"latency": "2ms", "match_rate": "20%", "window": "30s", "at_least": 7, "cooling": "1h"},
        allow={"values": ["a@b.example"], "digests": ["0" * 16], "patterns": [".+@example[.]org"]},
    )  # fmt: skip
    assert (found.id, found.detector, found.types) == ("mail", "pii", {"EMAIL_ADDRESS"})
    assert (found.threshold, found.thresholds, found.on) == (0.5, {"EMAIL_ADDRESS": 0.9}, {"response"})
    assert (found.roles, found.operations, found.teams) == ({"tool"}, {"messages"}, {"search"})
    assert (found.rollout, found.action, found.mode) == (12.5, "hash", "warn")
    assert (found.max_scan, found.beyond, found.on_failure) == (1000, "allow", "open")
    assert found.bounds == Bounds(micros=2000.0, match_rate=0.2, window=30.0, at_least=7, cooling=3600.0)
    assert (found.allow.values, found.allow.digests) == ({"a@b.example"}, {"0" * 16})
    assert found.allow.patterns[0].fullmatch("x@example.org")
    assert not found.allow.patterns[0].fullmatch("x@example.org.")


def test_defaults_are_the_detectors() -> None:
    pii = rule(detect="pii")
    assert pii.threshold == catalogue.BUILTINS["pii"].threshold
    assert "URL" not in pii.types
    assert "EMAIL_ADDRESS" in pii.types
    assert (pii.action, pii.mode, pii.rollout, pii.bounds.micros) == ("flag", "shadow", 100.0, math.inf)
    assert rule(detect="terms", terms=["a"]).threshold == 0.0


def test_a_rule_that_reroutes_looks_at_requests() -> None:
    found = rule(detect="prompt_injection", reroute="gpt-4o")
    assert (found.action, found.reroute_to, found.on) == ("reroute", "gpt-4o", {"request"})


def test_jailbreaks_are_one_type_of_the_injection_classifier() -> None:
    injection, jailbreak = placed({"detect": "prompt_injection"}, {"detect": "jailbreak"})
    assert injection.part == jailbreak.part
    assert (injection.rule.types, jailbreak.rule.types) == (frozenset(), {"JAILBREAK"})


def test_the_beginning_of_an_id_means_every_rule_below_it() -> None:
    without = rule(detect="secrets", without=["secret.github", "secret.generic.key"]).without
    assert "secret.generic.key" in without
    assert len([name for name in without if name.startswith("secret.github.")]) > 2
    assert "secret.generic.password" not in without


def test_trusted_hosts_make_a_classifier_of_their_own() -> None:
    plain, trusting = placed({"detect": "exfiltration"}, {"detect": "exfiltration", "trusted": ["example.com"]})
    assert (plain.rule.detector, trusting.rule.detector) == ("exfiltration", "exfiltration:p.exfiltration.2")
    assert trusting.part.content == ("example.com",)


def test_ids_count_rules_of_one_kind() -> None:
    found = placed({"detect": "pii"}, {"detect": "secrets"}, {"detect": "pii"}, {"detect": "pii", "id": "mine"})
    assert [each.rule.id for each in found] == ["p.pii.1", "p.secrets.1", "p.pii.2", "mine"]


def test_one_detector_looks_for_what_any_rule_wants() -> None:
    found = placed({"detect": "pii", "entities": ["US_SSN"]}, {"detect": "pii", "entities": ["IBAN_CODE", "US_SSN"]})
    assert {each.part.content for each in found} == {frozenset({"US_SSN", "IBAN_CODE"})}


def test_what_users_make() -> None:
    patterns, terms, topics = placed(
        {"detect": "patterns", "patterns": [{"name": "customer-id", "regex": "C-[0-9]{6}", "ignore_case": "on"}]},
        {"detect": "terms", "terms": ["Acme", " Globex "], "type": "CUSTOMER", "whole_words": "off"},
        {"detect": "topics", "topics": {"arms": ["rifle"]}},
        files={("guardrails", "p", 1): ("Initech", "Acme")},
    )
    (pattern,) = patterns.part.content  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
    assert (pattern.type, pattern.caseless, pattern.score) == ("CUSTOMER_ID", True, 1.0)
    (listed,) = terms.part.content  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
    assert (listed.terms, listed.type, listed.whole_words) == (("Acme", "Globex", "Initech", "Acme"), "CUSTOMER", False)
    (topic,) = topics.part.content  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
    assert (topic.type, topic.rule) == ("BANNED_TOPIC", "topic.arms")
    assert patterns.rule.detector == patterns.part.name == "patterns:p.patterns.1"


def test_bad_patterns_are_blamed_where_they_stand() -> None:
    written = RuleSection.model_validate({"detect": "pii", "allow": {"patterns": ["a", "(?=b)c"]}})
    (found, wrong) = place_rules({"p": [written]}, {})
    assert found == []
    ((path, message),) = wrong
    assert path == ("guardrails", "p", 0, "allow", "patterns", 1)
    assert "look-around" in message
    patterns = [{"name": "a", "regex": "b"}, {"name": "c", "regex": "(?<=d)e"}]
    (each,) = placed({"detect": "patterns", "patterns": patterns})
    assert [path for path, _ in blame(each, "?")] == [("guardrails", "p", 0, "patterns", 1, "regex")]
    (each,) = placed({"detect": "terms", "terms": ["a"]})
    assert blame(each, "why") == [(("guardrails", "p", 0, "terms"), "why")]


RULES = st.fixed_dictionaries(
    {"detect": st.sampled_from(["pii", "secrets"])},
    optional={
        "threshold": st.floats(0, 1),
        "rollout": st.floats(0, 100).map(lambda share: f"{share:.2f}%"),
        "action": st.sampled_from(["flag", "mask", "redact", "hash", "pseudonymize", "block"]),
        "mode": st.sampled_from(["shadow", "warn", "enforce"]),
        "on": st.lists(st.sampled_from(["request", "response"]), min_size=1),
        "max_scan": st.integers(1, 10**9),
        "bounds": st.fixed_dictionaries({"match_rate": st.just("5%"), "at_least": st.integers(1, 1000)}),
    },
)


@given(st.lists(RULES, max_size=5))
def test_what_the_schema_accepts_the_engine_accepts(rules: list[dict[str, Any]]) -> None:
    """`guardrails.policy.problems`: 'Everything that is wrong with policies … empty when nothing is'."""
    from guardrails.policy import Policy

    found = placed(*rules)
    policy = Policy("p", tuple(each.rule for each in found))
    assert problems([policy], {each.part.name for each in found}, (), ()) == []


@pytest.mark.parametrize("detect", sorted(catalogue.BUILTINS))
def test_every_built_in_detector_has_a_part(detect: str) -> None:
    (each,) = placed({"detect": detect})
    assert each.part.name == each.rule.detector == catalogue.BUILTINS[detect].source
