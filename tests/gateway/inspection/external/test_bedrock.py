"""Bedrock's ApplyGuardrail: which policy acted, on what, and what to say instead."""

import json

import pytest

from gateway.inspection.external.bedrock import Bedrock
from gateway.inspection.external.shape import Context, Reply, Stamp, Text
from tests.support.detector_services import KEY, config_of

TEXT = [Text("user", "Call Jo, or jo@x.org; Jo knows")]


def reply(*items: tuple[str, str, dict[str, str]], output: str = "instead", **changes: object) -> Reply:
    assessment: dict[str, dict[str, list[dict[str, str]]]] = {}
    for policy, kind, item in items:
        assessment.setdefault(policy, {}).setdefault(kind, []).append(item)
    answer = {"action": "GUARDRAIL_INTERVENED", "outputs": [{"text": output}], "assessments": [assessment]}
    shape = Bedrock(config_of("bedrock", "http://x", **changes))
    return shape.reply(TEXT, 200, json.dumps(answer).encode())


MASKED = ("sensitiveInformationPolicy", "piiEntities", {"type": "NAME", "match": "Jo", "action": "ANONYMIZED"})
BLOCKED = ("contentPolicy", "filters", {"type": "PROMPT_ATTACK", "confidence": "MEDIUM", "action": "BLOCKED"})


def test_every_occurrence_of_what_was_masked_is_a_finding_and_the_output_a_rewrite() -> None:
    got = reply(MASKED)
    assert [(m.type, m.start, m.end, m.rule) for _, m in got.matches] == [
        ("PERSON", 5, 7, "zoo/sensitive/NAME"), ("PERSON", 22, 24, "zoo/sensitive/NAME")]  # fmt: skip
    assert (got.flagged, got.rewrites, got.message) == (True, ((0, "instead"),), "")


def test_when_anything_blocks_the_output_is_an_answer_and_no_rewrite() -> None:
    got = reply(MASKED, BLOCKED)
    assert (got.rewrites, got.message) == ((), "instead")
    injection = got.matches[0][1]
    assert (injection.type, injection.score, injection.end) == ("PROMPT_INJECTION", 0.6, len(TEXT[0].text))


def test_what_only_was_seen_counts_with_a_threshold() -> None:
    seen = ("contentPolicy", "filters", {"type": "HATE", "confidence": "HIGH", "action": "NONE"})
    assert [m.type for _, m in reply(seen).matches] == ["FLAGGED"]
    assert [m.type for _, m in reply(seen, threshold=0.5).matches] == ["HATE"]


@pytest.mark.parametrize(("policy", "kind", "item", "type_", "rule"), [
    ("topicPolicy", "topics", {"name": "Tax advice", "type": "DENY", "action": "BLOCKED"}, "DENY", "topic/DENY"),
    ("wordPolicy", "customWords", {"match": "knows", "action": "BLOCKED"}, "WORD", "word/word"),
    ("sensitiveInformationPolicy", "regexes", {"name": "badge", "match": "jo@x.org", "action": "BLOCKED"}, "BADGE",
     "sensitive/badge"),
])  # fmt: skip
def test_every_policy_is_understood(policy: str, kind: str, item: dict[str, str], type_: str, rule: str) -> None:
    ((_, match),) = reply((policy, kind, item)).matches
    assert (match.type, match.rule) == (type_, f"zoo/{rule}")


def test_an_answer_is_judged_as_output_and_an_arn_is_encoded() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:guardrail/abc"
    outgoing = Bedrock(config_of("bedrock", "http://x", guardrail=arn, version="3")).request(
        TEXT, Context(direction="response"), Stamp(0, "i")
    )
    assert json.loads(outgoing.body)["source"] == "OUTPUT"
    assert (
        outgoing.path == "/guardrail/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aguardrail%2Fabc/version/3/apply"
    )


def test_without_a_key_id_the_key_is_a_bearer_token() -> None:
    outgoing = Bedrock(config_of("bedrock", "http://x", key_id="")).request(TEXT, Context(), Stamp(0, "i"))
    assert dict(outgoing.headers)["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(("url", "host"), [
    ("https://bedrock-runtime.eu-west-1.amazonaws.com:443", "bedrock-runtime.eu-west-1.amazonaws.com"),
    ("http://localhost:8080", "localhost:8080"),
])  # fmt: skip
def test_the_signed_host_is_the_one_that_is_sent(url: str, host: str) -> None:
    assert Bedrock(config_of("bedrock", url))._host == host


def test_the_region_is_read_from_the_host() -> None:
    shape = Bedrock(config_of("bedrock", "https://bedrock-runtime.eu-west-1.amazonaws.com", region=""))
    outgoing = shape.request(TEXT, Context(), Stamp(0, "i"))
    assert "/eu-west-1/bedrock/aws4_request" in dict(outgoing.headers)["authorization"]
