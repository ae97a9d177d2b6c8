"""Bad rules of detectors outside: each says what is wrong, at the option it lies in, and what is allowed."""

from collections.abc import Callable

import pytest

from gateway.settings import outside_checks
from gateway.settings.outside_checks import impossible, misplaced
from gateway.settings.schema_guardrails import RuleSection
from gateway.settings.schema_outside import SERVICES

Complaints = Callable[..., list[str]]
URL = "url: https://d.example"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            f"{{detect: external, {URL}}}",
            "detect: an external detector needs the interface to speak; add service: NAME",
        ),
        (
            "{detect: external, service: lakera}",
            "detect: an external detector needs the place of its service; add url: URL",
        ),
        ("{detect: external, service: lackera}", "service: this value is not known; allowed are 'openai_moderations'"),
        (
            f"{{detect: external, service: llama_guard, {URL}}}",
            "service: llama_guard needs the model to ask; add model",
        ),
        (
            f"{{detect: external, service: bedrock, {URL}}}",
            "service: bedrock needs the guardrail to apply; add guardrail",
        ),
        (
            f"{{detect: external, service: azure, {URL}, entities: [HAT]}}",
            "entities: unknown category of azure; allowed are HATE, SELF_HARM, SEXUAL, VIOLENCE",
        ),
        (
            f"{{detect: external, service: lakera, {URL}, prompt: x}}",
            "prompt: this belongs to service: llama_guard",
        ),
        (
            f"{{detect: external, service: azure, {URL}, action: mask}}",
            "action: azure judges whole texts, which mask cannot rewrite; allowed are flag, block, reroute",
        ),
        (
            f"{{detect: external, service: lakera, {URL}, when: alongside, action: mask}}",
            "when: alongside judges a request that is on its way, too late for mask; allowed are flag and block",
        ),
        (
            f"{{detect: external, service: lakera, {URL}, when: alongside, reroute: gpt-4o}}",
            "when: alongside judges a request that is on its way, too late for reroute; allowed are flag and block",
        ),
        (
            f"{{detect: external, service: lakera, {URL}, on: [response]}}",
            "on: external cannot judge a streamed answer piece by piece: it would need a bounded look-ahead",
        ),
        (
            "{detect: ner, on: [response]}",
            "on: ner cannot judge a streamed answer piece by piece: it would need a boun",
        ),
        (
            "{detect: ner, streams: hold}",
            "streams: this rule judges requests alone; add on: [response], or leave streams",
        ),
        ("{detect: ner, entities: [PERSN]}", "entities: unknown entity of ner 'PERSN'; allowed are PERSON, LOCATION"),
        ("{detect: ner, service: lakera}", "service: this belongs to detect: external"),
        ("{detect: ner, max_scan: 9}", "max_scan: this belongs to detectors in process; see max_text"),
        ("{detect: ner, model: no.such.module}", "model: no such module: no.such.module"),
        ("{detect: pii, when: alongside}", "when: this belongs to detect: external or ner"),
        ("{detect: pii, streams: hold}", "streams: this belongs to detectors that judge whole answers: external, ner"),
        ("{detect: pii, workers: 2}", "workers: this belongs to detect: ner"),
        ("{detect: pii, canaries: [a]}", "canaries: this belongs to detect: prompt_leak"),
        ("{detect: prompt_leak}", "{: prompt_leak cannot judge a streamed answer piece by piece"),
        ("{detect: prompt_leak, on: [request]}", "on: prompt_leak judges answers by their request; allowed is on: [re"),
        (
            "{detect: json_schema, streams: hold, action: mask}",
            "action: json_schema judges whole texts, which mask cannot rewrite",
        ),
        (
            "{detect: external, service: lakera, url: 'ftp://x'}",
            "url: this is not an http or https URL; allowed is an http or https URL such as https://api.lakera.ai",
        ),
    ],
)
def test_each_mistake_has_its_place(complaints_of: Complaints, minimal: str, rule: str, expected: str) -> None:
    option, _, message = expected.partition(": ")
    head = "guardrails: {p: ["
    found = complaints_of(f"{minimal}teams: {{search: {{}}}}\n{head}{rule}]}}\n")
    assert any(message in problem for problem in found), found
    column = len(head) + 1 + (rule.index(f"{option}: ") + len(f"{option}: ") if option != "{" else 0)
    assert next(problem for problem in found if message in problem).startswith(f"gateway.yaml:7:{column}: ")


@pytest.mark.parametrize("options", ["headers: {Host: x}", 'headers: {A: "x\\ny"}', "api_key: Schl\u00fcssel"])
def test_what_cannot_stand_in_a_request_is_refused(complaints_of: Complaints, minimal: str, options: str) -> None:
    found = complaints_of(f"{minimal}guardrails: {{p: [{{detect: external, service: lakera, {URL}, {options}}}]}}\n")
    assert len(found) == 1
    assert "allowed" in found[0]


def test_a_missing_extra_is_told_at_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside_checks, "missing", lambda model: "names and places need spaCy")
    rule = RuleSection.model_validate({"detect": "ner"})
    assert list(impossible(rule)) == [("detect", "names and places need spaCy")]


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_a_right_rule(service: str) -> None:
    needs = {"llama_guard": {"model": "m"}, "bedrock": {"guardrail": "g"}}
    rule = RuleSection.model_validate(
        {"detect": "external", "service": service, "url": "http://127.0.0.1:1", **needs.get(service, {})}
    )
    assert [*misplaced(rule), *impossible(rule)] == []
