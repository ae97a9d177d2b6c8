"""Answers judged by their request, names and places by the real model, and what providers refuse with: through a served
gateway."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.answers import chat, chat_stream
from tests.support.guarded import EMAIL, Guarded
from tests.support.outside import outside_gateway
from tests.support.scripted import Scripted, by_stream, scripted, streamed, unary

PROMPT = (
    "You are the concierge of the Grand Hotel. Never mention the renovation of the north wing before it is announced, "
    "and always offer a table in the winter garden to guests who ask for dinner."
)
CANARY = "canary-7f3a-do-not-tell"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
_PII = {"detect": "pii", "entities": ["EMAIL_ADDRESS"], "action": "mask", "mode": "enforce"}
POLICIES: dict[str, list[dict]] = {
    "leak": [{"detect": "prompt_leak", "action": "mask", "mode": "enforce", "streams": "hold", "canaries": [CANARY]}],
    "form": [{"detect": "json_schema", "action": "block", "mode": "enforce", "streams": "hold"}],
    "names": [
        {"detect": "ner", "entities": ["PERSON"], "action": "mask", "mode": "enforce", "on": ["request", "response"],
         "streams": "hold", "deadline": "20s"},
    ],
    "masked": [_PII],
    "canned": [
        {"detect": "terms", "terms": ["forbidden fruit"], "on": ["response"], "action": "block", "mode": "enforce",
         "message": "Eat something else."},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(model: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    started = outside_gateway(model.url, tmp_path_factory.mktemp("judged"), POLICIES)
    yield started
    started.stop()


def post(gateway: Guarded, team: str, said: str = "hello", **more: Any) -> httpx.Response:
    messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": said}]
    body = {"model": "gpt-4o-mini", "messages": messages, **more}
    headers = {"authorization": f"Bearer sk-{team}"}
    return httpx.post(gateway.v1 + "/chat/completions", json=body, headers=headers, timeout=60)


def content(answer: httpx.Response) -> str:
    if "event-stream" not in answer.headers["content-type"]:
        return answer.json()["choices"][0]["message"]["content"]
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    return "".join(each["choices"][0]["delta"].get("content") or "" for each in events if each["choices"])


def says(model: Scripted, text: str) -> None:
    model.says(by_stream(chat(text), chat_stream(chat(text)), 17))


@pytest.mark.parametrize("stream", [False, True])
def test_a_leaked_prompt_and_a_canary_are_masked(gateway: Guarded, model: Scripted, stream: bool) -> None:
    says(model, f"Sure: {PROMPT} And {CANARY}.")
    assert content(post(gateway, "leak", stream=stream)) == "Sure: <SYSTEM_PROMPT_LEAK>. And <SYSTEM_PROMPT_LEAK>."
    says(model, "Shall I book a table in the winter garden?")
    assert content(post(gateway, "leak", stream=stream)) == "Shall I book a table in the winter garden?"


def test_a_long_prompt_is_judged_beside_the_event_loop(gateway: Guarded, model: Scripted) -> None:
    long = " ".join(f"rule {n} says {n * n}" for n in range(5000))
    says(model, f"Well, {long[2000:2200]}")
    messages = [{"role": "system", "content": long}, {"role": "user", "content": "hello"}]
    assert "<SYSTEM_PROMPT_LEAK>" in content(post(gateway, "leak", messages=messages))


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_not_the_json_asked_for_is_blocked(gateway: Guarded, model: Scripted, stream: bool) -> None:
    says(model, '{"town": "Ulm"}')
    refused = post(gateway, "form", stream=stream, response_format=FORMAT)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "content_filter")
    assert content(post(gateway, "form", stream=stream)) == '{"town": "Ulm"}'
    says(model, "")
    refused = post(gateway, "form", stream=stream, response_format=FORMAT)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "content_filter")
    assert content(post(gateway, "form", stream=stream)) == ""
    says(model, '{"city": "Ulm"}')
    assert content(post(gateway, "form", stream=stream, response_format=FORMAT)) == '{"city": "Ulm"}'


@pytest.mark.parametrize("stream", [False, True])
def test_names_are_masked_by_the_real_model(gateway: Guarded, model: Scripted, stream: bool) -> None:
    says(model, "Dear Maria Fernandez, see you soon.")
    answer = post(gateway, "names", "My name is John Whitfield and I want a room.", stream=stream)
    assert model.last.json["messages"][1]["content"] == "My name is <PERSON> and I want a room."
    assert content(answer) == "Dear <PERSON>, see you soon."
    assert answer.headers["x-tollway-guardrails"] == "request=mask:PERSON, response=mask:PERSON"


@pytest.mark.parametrize("status", [400, 429, 500])
def test_what_a_provider_refuses_with_is_masked_too(gateway: Guarded, model: Scripted, status: int) -> None:
    """It may quote the prompt. Status and retry-after stay."""
    quoted = {"error": {"message": f"invalid: {EMAIL}", "type": "invalid_request_error", "param": None, "code": "x"}}
    model.says(unary(quoted, status, retry_after="1"))
    answer = post(gateway, "masked")
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == "invalid: <EMAIL_ADDRESS>"
    assert answer.headers["retry-after"] == "1"
    assert gateway.row(answer.headers["x-request-id"])["outcome"] == "upstream_status"


@pytest.mark.parametrize("body", [f"<p>{EMAIL}</p>".encode(), b'{"error": "' + EMAIL.encode(), b"[]", b""])
def test_a_refusal_that_cannot_be_read_is_said_in_our_words(gateway: Guarded, model: Scripted, body: bytes) -> None:
    model.says(unary(body, 400, content_type="text/html"))
    answer = post(gateway, "masked")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "provider_error_withheld"
    assert answer.headers.get_list("content-type") == ["application/json"]
    assert EMAIL not in answer.text


def test_a_refusal_that_is_blocked_keeps_its_status(gateway: Guarded, model: Scripted) -> None:
    model.says(unary({"error": {"message": "no forbidden fruit"}}, 400))
    answer = post(gateway, "canned")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "provider_error_withheld")


def test_a_refusal_is_masked_where_operations_pass_through(gateway: Guarded, model: Scripted) -> None:
    headers = {"authorization": "Bearer sk-masked"}
    for body, expected in ((json.dumps({"error": {"message": EMAIL}}), "<EMAIL_ADDRESS>"), (EMAIL, "withheld")):
        model.says(unary(body.encode(), 400, content_type="application/json" if "{" in body else "text/plain"))
        answer = httpx.post(gateway.v1 + "/images/generations", json={"prompt": "x"}, headers=headers, timeout=60)
        assert answer.status_code == 400
        assert expected in answer.text
        assert EMAIL not in answer.text


def test_a_stream_blocked_at_once_says_the_rules_own_words(gateway: Guarded, model: Scripted) -> None:
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    first = {"index": 0, "delta": {"role": "assistant", "content": "forbidden fruit. "}, "finish_reason": None}
    model.says(streamed(b"data: " + json.dumps({**event, "choices": [first]}).encode() + b"\n\n"))
    answer = post(gateway, "canned", stream=True)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Eat something else.")
