"""Answers that no model gave, as the official SDKs read them."""

import json

import pytest
from anthropic.types import Message
from openai.types import Completion
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from gateway.facts import Reading
from gateway.wire.canned import canned
from tests.gateway.inspection.helpers import Clients

CLIENTS = Clients()
TEXT = 'No "such"\n😀 thing.'


def body(operation: str, *, stream: bool, choices: int = 1, usage: bool = False) -> bytes:
    reading = Reading(model="m", stream=stream, choices=choices, wants_usage_event=usage)
    made = canned(operation, reading, TEXT, "0190", 1_700_000_000)
    assert made is not None
    return made


def test_whole_answers() -> None:
    """Issue 3 section 1: "`block` (error envelope with `code: content_filter`, or a canned answer)"."""
    chat = ChatCompletion.model_validate_json(body("chat.completions", stream=False, choices=2), strict=True)
    assert [(one.message.content, one.finish_reason) for one in chat.choices] == [(TEXT, "content_filter")] * 2
    assert Completion.model_validate_json(body("completions", stream=False)).choices[0].text == TEXT
    response = Response.model_validate_json(body("responses", stream=False))
    assert (response.output_text, response.status) == (TEXT, "incomplete")
    message = Message.model_validate_json(body("messages", stream=False))
    assert (message.content[0].text, message.stop_reason) == (TEXT, "refusal")  # pyright: ignore


def test_streams() -> None:
    stream = body("chat.completions", stream=True, choices=2, usage=True)
    chat = CLIENTS.chat(stream)
    assert [(one.message.content, one.finish_reason) for one in chat.choices] == [(TEXT, "content_filter")] * 2
    assert stream.endswith(b"data: [DONE]\n\n")
    assert chat.usage.total_tokens == 0
    assert b"usage" not in body("chat.completions", stream=True)
    assert CLIENTS.completion(body("completions", stream=True))[0].choices[0].text == TEXT
    events = CLIENTS.response(body("responses", stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == TEXT
    message = CLIENTS.message(body("messages", stream=True))
    assert (message.content[0].text, message.stop_reason) == (TEXT, "refusal")


@pytest.mark.parametrize("operation", ["embeddings", "moderations", "messages.count_tokens"])
def test_what_has_no_text_for_an_answer_has_none(operation: str) -> None:
    assert canned(operation, Reading(model="m"), TEXT, "1", 1) is None


def test_it_is_json_of_one_model() -> None:
    assert json.loads(body("messages", stream=False))["model"] == "m"
