"""The rich message is one that Anthropic's own types accept, and leaves nothing out that they know."""

import json
from typing import Any, get_args

from anthropic.types import ContentBlock, Message, RawContentBlockDelta, RawMessageStreamEvent
from pydantic import TypeAdapter

from loadtest.mock.anthropic import MessagesRequest, messages_reply
from loadtest.mock.scenario import Meters, Output

RICH = Output(rich=True)
TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("first", "second")]
BETA = {"mcp_tool_use", "mcp_tool_result", "compaction"}


def _events() -> list[dict]:
    reply = messages_reply(MessagesRequest(model="m", max_tokens=20, stream=True, tools=TOOLS), RICH, Meters(), 1)
    assert reply.events is not None
    return [json.loads(event.data) for event in reply.events]


def _kinds(union: Any) -> set[str]:
    return {get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(get_args(union)[0])}


def _strange(kind: str) -> bool:
    return "future" in kind or kind in BETA | {"ping", "compaction_delta"}


def test_every_block_and_delta_that_the_sdk_knows_is_sent() -> None:
    events = _events()
    assert {event["content_block"]["type"] for event in events if "content_block" in event} >= _kinds(
        ContentBlock
    ) | BETA
    deltas = {event["delta"]["type"] for event in events if event["type"] == "content_block_delta"}
    assert deltas >= _kinds(RawContentBlockDelta) | {"compaction_delta"}
    assert {event["type"] for event in events} >= _kinds(RawMessageStreamEvent) | {"ping"}


def test_what_is_not_of_a_beta_is_valid() -> None:
    adapter = TypeAdapter(RawMessageStreamEvent)
    for event in _events():
        inner = event.get("content_block") or event.get("delta") or {}
        kinds = (event["type"], inner.get("type", ""))
        if not any(_strange(kind) for kind in kinds):
            adapter.validate_python(event)


def test_the_whole_answer_has_the_blocks_of_the_stream() -> None:
    whole = json.loads(messages_reply(MessagesRequest(model="m", max_tokens=20, tools=TOOLS), RICH, Meters(), 1).body)
    begun = [event["content_block"]["type"] for event in _events() if "content_block" in event]
    assert [block["type"] for block in whole["content"]] == begun
    whole["content"] = [block for block in whole["content"] if not _strange(block["type"])]
    Message.model_validate(whole)


def test_a_tools_input_adds_up() -> None:
    events = _events()
    uses = {e["index"]: "" for e in events if e.get("content_block", {}).get("type") in ("tool_use", "server_tool_use")}
    for event in events:
        if event["type"] == "content_block_delta" and event["index"] in uses:
            uses[event["index"]] += event["delta"]["partial_json"]
    assert len(uses) == 8
    assert {json.loads(text)["query"] for text in uses.values()} == {"a road"}
