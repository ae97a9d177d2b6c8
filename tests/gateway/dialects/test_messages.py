"""Anthropic messages: meters in two events, text in blocks."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.messages import CountTokensDialect, MessagesDialect, MessagesStream
from gateway.facts import Reading, Usage
from gateway.operations import accept

MESSAGES = accept("POST", "/v1/messages")
COUNT = accept("POST", "/v1/messages/count_tokens")
START = {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 5, "output_tokens": 1}


def feed(events: list[dict[str, Any]]) -> MessagesStream:
    stream = MessagesDialect().stream(Reading(model="m", stream=True))
    for event in events:
        assert stream.event(str(event["type"]).encode(), json.dumps(event).encode())
    return stream


def test_read():
    body = b'{"model":"m","max_tokens":5,"stream":true,"service_tier":"auto","messages":[]}'
    assert MessagesDialect().read(MESSAGES, body) == Reading(
        model="m", stream=True, max_output_tokens=5, service_tier="auto"
    )


def test_a_stream():
    stream = feed(
        [
            {"type": "message_start", "message": {"content": [], "usage": {**START, "service_tier": "priority"}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
            {"type": "ping"},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "a"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "zzz"}},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "b"}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "c"}},
            {
                "type": "content_block_start",
                "index": 2,
                "content_block": {"type": "tool_use", "name": "n", "input": {}},
            },
            {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"d'}},
            {"type": "content_block_stop", "index": 2},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 40}},
        ]
    )
    assert stream.text() == 'abc{"d'
    assert stream.finished, "nothing more is said after a stop reason"
    assert stream.lacking() == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    assert stream.usage is not None
    assert (stream.usage.input_tokens, stream.usage.output_tokens) == (115, 40)
    assert (stream.usage.cache_read_tokens, stream.usage.cache_write_5m_tokens) == (100, 5)
    assert stream.service_tier == "priority"
    assert stream.event(b"message_stop", b'{"type":"message_stop"}')
    assert stream.finished
    assert stream.lacking() == b""


@pytest.mark.parametrize("delta", [{}, {"stop_reason": None}, {"stop_reason": ""}])
def test_without_a_stop_reason_a_message_is_not_whole(delta: dict[str, Any]):
    stream = feed([{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 40}}])
    assert (stream.finished, stream.lacking()) == (False, b"")


def test_error_event():
    stream = feed([{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}])
    assert (stream.failed, stream.finished) == (True, False)


def test_unreadable_events_are_passed_on_and_judged_by_name():
    stream = feed([])
    assert stream.event(b"content_block_delta", b"?")
    assert (stream.failed, stream.finished) == (False, False)
    assert stream.event(b"message_stop", b"?")
    assert stream.event(b"error", b"?")
    assert (stream.failed, stream.finished) == (True, True)


def test_usage_of_a_unary_answer_whatever_the_tool_input_says():
    answer = {
        "content": [{"type": "tool_use", "input": {"usage": {"input_tokens": 1, "output_tokens": 1}}}],
        "usage": {**START, "service_tier": "standard"},
    }
    usage, tier = MessagesDialect().usage(json.dumps(answer).encode())
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, tier) == (115, 1, "standard")
    turned = dict(reversed(answer.items()))
    assert MessagesDialect().usage(json.dumps(turned).encode()) == (usage, tier)


def test_counting_consumes_nothing():
    dialect = CountTokensDialect()
    reading = dialect.read(COUNT, b'{"model":"m","messages":[]}')
    assert reading == Reading(model="m")
    assert dialect.usage(b'{"input_tokens":2095}') == (None, None)
    assert dialect.answer_segments(b'{"input_tokens":2095}') == []
    assert isinstance(dialect.stream(reading).usage, Usage | None)


MEMBERS = {"text": "text_delta", "partial_json": "input_json_delta", "thinking": "thinking_delta", "odd": "odd_delta"}


@given(
    st.sampled_from(["content_block_delta", "content_block_start", "message_delta", "error", "odd"]),
    st.sampled_from(["delta", "content_block"]),
    st.lists(st.sampled_from(sorted(MEMBERS)), min_size=1, max_size=2, unique=True),
    st.lists(st.text('ab é"\\', min_size=1)),
)
def test_a_listener_is_told_texts_and_knows_what_it_would_of_the_events(
    kind: str, zone: str, members: list[str], texts: list[str]
) -> None:
    """`StreamReader.listener`: it "takes the text of an event in place of the event"."""
    told, shown = (MessagesDialect().stream(Reading(model="m", stream=True)) for _ in range(2))

    def event(text: str) -> bytes:
        first, *others = members
        piece = {"type": MEMBERS[first], first: text} | dict.fromkeys(others, "other")
        return json.dumps({"type": kind, "index": 0, zone: piece}).encode()

    first = event("#")
    told.event(b"e", first)
    shown.event(b"e", first)
    head, _, tail = first.partition(b"#")
    listener = told.listener(head, tail)
    assert (listener is not None) == (kind == "content_block_delta" and said(members))
    for text in texts if listener is not None else ():
        assert listener is not None
        listener(text)
        assert shown.event(b"e", event(text))
    assert (told.text(), told.finished, told.failed) == (shown.text(), shown.finished, shown.failed)


def said(members: list[str]) -> bool:
    """Whether the first member is the one that is read."""
    order = [name for name in ("text", "partial_json", "thinking") if name in members]
    return order[:1] == members[:1]


def test_a_listener_wants_json() -> None:
    stream = MessagesDialect().stream(Reading(model="m", stream=True))
    assert stream.listener(b'{"type":"content_block_delta","delta":{"text":"', b'"}') is None
