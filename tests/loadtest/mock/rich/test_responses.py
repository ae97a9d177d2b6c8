"""The rich Responses answer is one that OpenAI's own types accept, and leaves nothing out that they know."""

import json
from typing import Any, get_args

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

from loadtest.mock.openai_responses import ResponsesRequest, responses_reply
from loadtest.mock.scenario import Meters, Output

RICH = Output(rich=True)
TOOLS = [{"type": "function", "name": name, "parameters": {}, "strict": False} for name in ("first", "second")]
ENDINGS = {"response.failed", "response.incomplete", "error"}
"""What a stream that was completed cannot send."""


def _events(**asked: Any) -> list[dict]:
    reply = responses_reply(ResponsesRequest(model="m", input="hi", stream=True, **asked), RICH, Meters(), 1)
    assert reply.events is not None
    assert all(json.loads(event.data)["type"] == event.name for event in reply.events)
    return [json.loads(event.data) for event in reply.events]


def _known() -> dict[str, type]:
    union = get_args(ResponseStreamEvent)[0]
    return {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(union)}


def test_every_event_that_the_sdk_knows_is_sent_and_is_valid() -> None:
    events = _events(tools=TOOLS)
    assert _known().keys() - {event["type"] for event in events} == ENDINGS
    adapter = TypeAdapter(ResponseStreamEvent)
    future = {event["type"] for event in events} - _known().keys()
    assert future
    assert all("future" in kind for kind in future)
    for event in events:
        item = event.get("item", {})
        if event["type"] not in future and item.get("type") != "future_call" and "response" not in event:
            adapter.validate_python(event)


def test_events_are_numbered_and_texts_add_up() -> None:
    events = _events(tools=TOOLS)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for done in (event for event in events if event["type"].endswith(".done")):
        kind, place = done["type"].removesuffix(".done"), (done.get("output_index"), done.get("content_index"))
        pieces = [
            event["delta"]
            for event in events
            if event["type"] == f"{kind}.delta" and (event.get("output_index"), event.get("content_index")) == place
        ]
        texts = {done[name] for name in ("text", "refusal", "arguments", "code", "input", "command") if name in done}
        if texts and pieces:
            assert "".join(pieces) in texts


def test_the_whole_answer_is_what_the_stream_ends_with() -> None:
    reply = responses_reply(ResponsesRequest(model="m", input="hi", tools=TOOLS), RICH, Meters(), 1)
    whole = json.loads(reply.body)
    assert whole == _events(tools=TOOLS)[-1]["response"]
    assert [item["name"] for item in whole["output"] if item["type"] == "function_call"] == ["first", "second"]
    whole["output"] = [item for item in whole["output"] if item["type"] != "future_call"]
    Response.model_validate(whole)


def test_an_item_of_no_api_is_one_that_the_sdk_does_not_know() -> None:
    whole = json.loads(responses_reply(ResponsesRequest(model="m", input="hi"), RICH, Meters(), 1).body)
    with pytest.raises(ValidationError):
        Response.model_validate(whole)


def test_an_answer_cut_by_its_limit_is_incomplete() -> None:
    output = Output(rich=True, text="word " * 40)
    asked = ResponsesRequest(model="m", input="hi", stream=True, max_output_tokens=5)
    reply = responses_reply(asked, output, Meters(), 1)
    assert reply.events is not None
    assert reply.events[-1].name == "response.incomplete"
    assert reply.events[-1].terminal
