"""Bad guardrail rules: each has its place, and says what is allowed."""

from collections.abc import Callable

import pytest

Complaints = Callable[..., list[str]]
HEAD = "guardrails: {p: ["


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{detect: prompt_injektion}", "9: unknown detector 'prompt_injektion'; did you mean 'prompt_injection'?"),
        ("{detect: pii, entities: [EMAIL_ADRESS]}", "25: unknown entity of pii 'EMAIL_ADRESS'; did you mean 'EMAIL_A"),
        ("{detect: moderation, entities: [HATE]}", "32: unknown entity of moderation 'HATE'; allowed are harassment"),
        ("{detect: pii, thresholds: {EMAIL: 1}}", "27: unknown entity of pii 'EMAIL'; "),
        (
            "{detect: pii, entities: [US_SSN], thresholds: {IBAN_CODE: 1}}",
            "47: this rule does not look for 'IBAN_CODE'; add it to entities",
        ),
        (
            "{detect: secrets, without: [secret.github, secret.githab]}",
            "43: unknown rule of secrets 'secret.githab'; did you mean 'secret.",
        ),
        (
            "{detect: prompt_injection, action: mask}",
            "35: prompt_injection judges whole texts, which mask cannot rewrite; allowed are flag, block, reroute",
        ),
        (
            "{detect: pii, on: [response], action: pseudonymize}",
            "18: stand-ins are made in requests and put back in answers; allowed",
        ),
        ("{detect: pii, action: reroute}", "22: reroute needs a model; add reroute: MODEL"),
        ("{detect: pii, reroute: gpt-4o, action: block}", "23: a model to reroute to, and action: block; allowed is"),
        (
            "{detect: pii, reroute: gpt-4o, on: [response]}",
            "35: an answer cannot be rerouted; allowed is",
        ),
        (
            "{detect: pii, message: No., action: mask}",
            "23: what a refusal says, and action: mask;",
        ),
        ("{detect: pii, teams: [serch]}", "22: unknown team 'serch'; did you mean 'search'?"),
        ("{detect: pii, patterns: [{name: a, regex: b}]}", "24: this belongs to detect: patterns"),
        ("{detect: pii, trusted: [a]}", "23: this belongs to detect: exfiltration"),
        ("{detect: pii, terms: [a]}", "21: this belongs to detect: terms"),
        ("{detect: patterns}", "9: nothing to look for; add patterns: [{name: NAME, regex: EXPRESSION}]"),
        ("{detect: patterns, entities: [X], patterns: [{name: a, regex: b}]}", "29: this belongs to a built-in detect"),
        (
            "{detect: patterns, patterns: [{name: a, regex: b}, {name: a, regex: c}]}",
            "29: two patterns have the same name; allowed is each name once in a rule",
        ),
        ("{detect: terms}", "9: nothing to look for; add terms: [a, b], or file: FILE with one a line"),
        ("{detect: terms, topics: {a: [b]}, terms: [a]}", "16: this belongs to detect: topics"),
        ("{detect: topics, terms: [a]}", "9: nothing to look for; add topics: {NAME: [words that speak of it]}"),
        ("{detect: terms, file: nowhere.txt}", "22: the file of terms cannot be read: No such file or directory;"),
        ("{detect: pii, id: p.secrets.1}, {detect: secrets}", "32: this id is taken by guardrails.p[0]; allowed is"),
        (
            "{detect: exfiltration, trusted: [a.example, 'https://b.example/']}",
            "32: this is not the name of a host; all",
        ),
        ("{detect: exfiltration, trusted: ['*.b.example']}", "32: this is not the name of a host; allowed is one such"),
        ("{detect: pii, 'true': [request]}", "14: unknown key 'true', which programs that read YAML 1.1 make of on;"),
        ("{detect: pii, threshhold: 1}", "14: unknown key 'threshhold'; did you mean 'threshold'?"),
        ("{detect: pii, rollout: 10}", "23: this is not a percentage; allowed is a percentage from 0% to 100%"),
    ],
)
def test_each_mistake_has_its_place(complaints_of: Complaints, minimal: str, rule: str, expected: str) -> None:
    column, _, message = expected.partition(": ")
    found = complaints_of(f"{minimal}teams: {{search: {{}}}}\n{HEAD}{rule}]}}\n")
    assert found, "nothing was found wrong"
    place = f"gateway.yaml:7:{len(HEAD) + 1 + int(column)}: "
    assert found[0].startswith(place), found
    assert message in found[0]


def test_every_mistake_of_every_rule_is_told_in_one_run(complaints_of: Complaints, minimal: str) -> None:
    rules = """\
guardrails:
  p:
    - {detect: pii, entities: [NOBODY, EMAIL_ADDRESS]}
    - {detect: secrets, actoin: block}
    - {detect: moderation, action: redact}
    - {detect: nothing}
"""
    found = complaints_of(minimal + rules)
    assert [line.split(":")[1] for line in found] == ["8", "9", "10", "11"]


def test_an_id_is_taken_over_all_policies(complaints_of: Complaints, minimal: str) -> None:
    rules = "guardrails:\n  p: [{detect: pii, id: a}]\n  q: [{detect: pii, id: a}, {detect: pii}]\n"
    assert complaints_of(minimal + rules) == [
        "gateway.yaml:8:25: this id is taken by guardrails.p[0]; allowed is each id once"
    ]


def test_what_came_from_a_variable_is_not_repeated(complaints_of: Complaints, minimal: str) -> None:
    rules = "guardrails: {p: [{detect: pii, entities: ['${env:ENTITY}']}]}\n"
    found = complaints_of(minimal + rules, env={"ENTITY": "CANARY"})
    assert found
    assert "this entity of pii is not known" in found[0]
    assert "CANARY" not in "".join(found)


def test_right_rules_have_no_complaints(complaints_of: Complaints, minimal: str) -> None:
    rules = """\
teams: {search: {guardrails: [p, q]}}
guardrails:
  p:
    - {detect: pii, entities: [EMAIL_ADDRESS], thresholds: {EMAIL_ADDRESS: 0.5}, teams: [search], action: pseudonymize}
    - {detect: secrets, without: [secret.generic], action: block, message: "Take the key out, please."}
    - {detect: prompt_injection, reroute: gpt-4o}
    - {detect: jailbreak, action: block, on: [request], without: [jailbreak.model]}
    - {detect: moderation, entities: [hate], action: block}
  q:
    - {detect: patterns, patterns: [{name: a, regex: 'a{3}'}], action: mask, allow: {patterns: ['a+']}}
    - {detect: terms, terms: [a], type: CUSTOMER}
    - {detect: topics, topics: {weapons: [rifle]}, action: block}
    - {detect: exfiltration, trusted: [example.com], on: [response], action: block}
"""
    assert complaints_of(minimal + rules) == []
