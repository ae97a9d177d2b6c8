"""Responses: typed events, of which the last carries the whole response."""

import json
from typing import Any

import pytest

from gateway.dialects.responses import ResponsesDialect, ResponsesStream
from gateway.errors import BadRequest
from gateway.facts import Reading, Usage
from gateway.operations import accept

RESPONSES = accept("POST", "/v1/responses")
TOLD = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8, "output_tokens_details": {"reasoning_tokens": 1}}


def feed(events: list[dict[str, Any]], named: bool = True) -> ResponsesStream:
    stream = ResponsesDialect().stream(Reading(model="m", stream=True))
    for event in events:
        name = str(event["type"]).encode() if named else b""
        assert stream.event(name, json.dumps(event).encode())
    return stream


def test_read():
    body = b'{"model":"m","stream":true,"max_output_tokens":9,"service_tier":"flex","input":"a"}'
    reading = ResponsesDialect().read(RESPONSES, body)
    assert reading == Reading(model="m", stream=True, max_output_tokens=9, service_tier="flex")
    assert ResponsesDialect().rewrite(reading, body, "m") is body


def test_a_stored_prompt_does_not_stand_in_for_the_model():
    with pytest.raises(BadRequest, match="provide a model"):
        ResponsesDialect().read(RESPONSES, b'{"prompt":{"id":"pmpt_1"},"input":"a"}')


@pytest.mark.parametrize("named", [True, False])
def test_a_stream(named: bool):
    stream = feed(
        [
            {"type": "response.created", "response": {"status": "in_progress", "usage": None, "service_tier": "auto"}},
            {"type": "response.output_item.added", "item": {"type": "message", "content": []}},
            {"type": "response.reasoning_summary_text.delta", "delta": "a"},
            {"type": "response.output_text.delta", "delta": "b", "logprobs": []},
            {"type": "response.refusal.delta", "delta": "c"},
            {"type": "response.function_call_arguments.delta", "delta": "d"},
            {"type": "response.custom_tool_call_input.delta", "delta": "e"},
            {"type": "response.audio.delta", "delta": "AAAA"},
            {"type": "response.audio.transcript.delta", "delta": "f"},
            {"type": "response.shell_call_output_content.delta", "delta": {"stdout": "x"}},
            {"type": "response.output_text.done", "text": "b"},
            {"type": "response.completed", "response": {"usage": TOLD, "service_tier": "default", "error": None}},
        ],
        named,
    )
    assert stream.text() == "abcdef"
    assert stream.finished
    assert not stream.failed
    assert stream.usage == Usage(input_tokens=5, output_tokens=3, reasoning_tokens=1)
    assert stream.service_tier == "default"


@pytest.mark.parametrize(("kind", "failed"), [("response.incomplete", False), ("response.failed", True)])
def test_other_ends(kind: str, failed: bool):
    stream = feed([{"type": kind, "response": {"usage": TOLD, "error": {"code": "x"}}}])
    assert (stream.finished, stream.failed) == (True, failed)
    assert stream.usage is not None


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "x", "message": "m", "param": None, "sequence_number": 1},
        {"type": "error", "error": {"message": "m"}, "sequence_number": 1},
    ],
)
def test_error_event(event: dict[str, Any]):
    stream = feed([event])
    assert (stream.failed, stream.finished) == (True, False)


def test_unreadable_events_are_passed_on():
    stream = feed([])
    assert all(stream.event(name, b"?") for name in (b"", b"response.output_text.delta", b"response.completed"))
    assert (stream.finished, stream.failed) == (False, False)
    assert stream.event(b"error", b"?")
    assert stream.failed
    assert stream.event(b"", b"[DONE]")
    assert stream.finished


def test_usage_and_tier_of_a_unary_answer_whatever_the_tools_say():
    answer = {
        "service_tier": "priority",
        "tools": [{"parameters": {"properties": {"usage": {"input_tokens": 1}, "service_tier": "x"}}}],
        "usage": TOLD,
        "user": None,
        "metadata": {"usage": "input_tokens"},
    }
    usage, tier = ResponsesDialect().usage(json.dumps(answer).encode())
    assert usage == Usage(input_tokens=5, output_tokens=3, reasoning_tokens=1)
    assert tier == "priority"


def test_searches_are_counted_from_the_output_items() -> None:
    """They are billed by the call and are not in the usage object."""
    items = '[{"type":"web_search_call"},{"type":"file_search_call"},{"type":"web_search_call"},{"type":"message"}]'
    usage = '{"input_tokens":3,"output_tokens":2,"total_tokens":5}'
    response = f'{{"output":{items},"usage":{usage}}}'.encode()
    dialect = ResponsesDialect()
    whole, _ = dialect.usage(response)
    reader = dialect.stream(Reading(model="m", stream=True))
    reader.event(b"response.completed", b'{"type":"response.completed","response":' + response + b"}")
    assert whole == reader.usage
    assert (whole.web_searches, whole.file_searches, whole.output_tokens) == (2, 1, 2)
