"""Streamed answers put together from their events."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.facts import Content, Operation
from gateway.telemetry.content import content_fields
from gateway.telemetry.transcript import MOST_MESSAGES, Transcript
from tests.gateway.telemetry.test_spans import exchange
from tests.support.answers import (
    chat,
    chat_stream,
    completion,
    completion_stream,
    message,
    message_stream,
    response,
    response_stream,
    sse,
)  # fmt: skip

TOOL = {"type": "tool_use", "id": "t1", "name": "act", "input": {"a": "b"}}
ANSWERS = {
    "chat.completions": (chat("hello there", "well", calls=('{"a": "b"}',)), chat_stream),
    "completions": (completion("hello there"), completion_stream),
    "messages": (message("hello there"), message_stream),
    "responses": (response("hello there", '{"a": "b"}'), response_stream),
}


def fed(operation: str, data: bytes, cut: int, most: int = 10_000) -> Transcript:
    made = Transcript(operation, most)
    for at in range(0, len(data), cut):
        made.feed(data[at : at + cut])
    return made


@pytest.mark.parametrize("operation", ANSWERS)
@given(cut=st.integers(1, 3000))
def test_it_says_what_the_whole_answer_says(operation: str, cut: int) -> None:
    """ "what was said so far, a message for each choice", however the bytes are cut."""
    answer, stream = ANSWERS[operation]
    whole = Content(b"{}", 10_000, True, None, json.dumps(answer).encode())
    streamed = Content(b"{}", 10_000, True, streamed=fed(operation, stream(answer), cut).messages)
    found = [
        content_fields(exchange(operation=Operation(operation, "openai"), content=each)) for each in (whole, streamed)
    ]
    assert found[0] == found[1]


def test_a_tool_of_anthropics() -> None:
    (said,), _ = fed("messages", message_stream(message("hm", TOOL)), 100).messages()
    assert {part.type for part in said.parts} == {"text", "tool_call"}
    assert next(part for part in said.parts if part.type == "tool_call").fields["name"] == "act"


@given(st.integers(1, 300), st.integers(1, 400))
def test_no_more_is_kept_than_asked_for(most: int, size: int) -> None:
    """ "`most`: characters of text that are kept" """
    made = fed("chat.completions", chat_stream(chat("x" * size)), 500, most)
    (said,), truncated = made.messages()
    assert truncated == (size > most)
    assert said.parts[0].fields["content"].count("x") == min(size, most)


def test_a_hostile_provider_makes_no_more_than_so_many_messages() -> None:
    events = [{"choices": [{"index": at, "delta": {"content": "x"}}]} for at in range(MOST_MESSAGES * 3)]
    assert len(fed("chat.completions", sse(*events), 1000).messages()[0]) == MOST_MESSAGES


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    """ "Nothing here raises for what a provider sends" """
    for operation in ANSWERS:
        fed(operation, b"data: " + data + b"\n\n", 7).messages()
