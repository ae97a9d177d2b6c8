"""LiteLLM's generic guardrail: three actions, and texts in the place of texts."""

import json

import pytest

from gateway.inspection.external.litellm import PATH, LiteLLM
from gateway.inspection.external.shape import TOGETHER, Context, Reply, Stamp, Text, WrongAnswer
from tests.support.detector_services import config_of

TEXTS = [Text("user", "one"), Text("tool", "two")]


def reply(**answer: object) -> Reply:
    return LiteLLM(config_of("litellm", "http://x")).reply(TEXTS, 200, json.dumps(answer).encode())


def test_blocked_with_its_reason() -> None:
    got = reply(action="BLOCKED", blocked_reason="not here")
    assert (got.flagged, got.message, got.matches[0][0]) == (True, "not here", TOGETHER)


def test_only_texts_that_changed_are_rewrites() -> None:
    got = reply(action="GUARDRAIL_INTERVENED", texts=["one", "2"])
    assert (got.flagged, got.rewrites) == (True, ((1, "2"),))
    assert reply(action="GUARDRAIL_INTERVENED", texts=["one", "two"]) == Reply()


def test_another_number_of_texts_or_action_is_refused() -> None:
    for answer in ({"action": "GUARDRAIL_INTERVENED", "texts": ["one"]}, {"action": "ALLOW"}):
        with pytest.raises(WrongAnswer):
            reply(**answer)


def test_what_the_server_is_told() -> None:
    config = config_of("litellm", "http://x", params={"strict": True})
    context = Context("response", "req-1", "team-1", "key-1", "m")
    outgoing = LiteLLM(config).request(TEXTS, context, Stamp(0, "i"))
    body = json.loads(outgoing.body)
    assert outgoing.path == PATH
    assert (body["input_type"], body["texts"], body["model"]) == ("response", ["one", "two"], "m")
    assert body["structured_messages"] == [{"role": "user", "content": "one"}, {"role": "tool", "content": "two"}]
    assert body["request_data"]["user_api_key_team_id"] == "team-1"
    assert body["additional_provider_specific_params"] == {"strict": True}
    assert body["litellm_call_id"] == "req-1"


def test_a_url_that_names_the_path_already_gets_it_once() -> None:
    outgoing = LiteLLM(config_of("litellm", f"http://x{PATH}")).request(TEXTS, Context(), Stamp(0, "i"))
    assert outgoing.path == ""
