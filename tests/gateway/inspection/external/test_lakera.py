"""Lakera Guard: spans from the payload, everything else from the breakdown."""

import json

import pytest

from gateway.inspection.external.lakera import Lakera
from gateway.inspection.external.shape import TOGETHER, Context, Reply, Stamp, Text
from tests.support.detector_services import config_of

TEXTS = [Text("system", "be kind"), Text("tool", "🦓 jo@x.org"), Text("assistant", "yes")]


def reply(threshold: float | None = None, **answer: object) -> Reply:
    shape = Lakera(config_of("lakera", "http://x", threshold=threshold))
    return shape.reply(TEXTS, 200, json.dumps({"flagged": True} | answer).encode())


def test_roles_are_those_of_chat() -> None:
    body = json.loads(Lakera(config_of("lakera", "http://x")).request(TEXTS, Context(), Stamp(0, "i")).body)
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant"]


@pytest.mark.parametrize(("start", "end"), [(2, 10), (3, 11), (2, 9), (5, 13)])
def test_the_quoted_text_finds_its_span_in_any_unit(start: int, end: int) -> None:
    found = {"start": start, "end": end, "text": "jo@x.org", "detector_type": "pii/email", "message_id": 1}
    ((index, match),) = reply(payload=[found]).matches
    assert (index, match.type, match.start, match.end, match.rule) == (1, "EMAIL_ADDRESS", 2, 10, "zoo/pii/email")


def test_a_detector_without_a_span_speaks_of_the_conversation() -> None:
    seen = [{"detector_type": "prompt_attack", "detected": True, "result": "l2_very_likely"},
            {"detector_type": "moderated_content/hate", "detected": False}]  # fmt: skip
    ((index, match),) = reply(breakdown=seen).matches
    assert (index, match.type, match.score) == (TOGETHER, "PROMPT_INJECTION", 0.85)
    assert reply(0.9, breakdown=seen).matches == ()


def test_flagged_without_a_reason_is_a_finding_too() -> None:
    assert [match.type for _, match in reply().matches] == ["FLAGGED"]
    assert reply(flagged=False) == Reply()
