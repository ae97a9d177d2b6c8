"""The rich chat completion is one that OpenAI's own types accept, and whole and streamed it says the same."""

import json
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from loadtest.mock.openai_chat import ChatRequest, StreamOptions, chat_reply
from loadtest.mock.scenario import Meters, Output

RICH = Output(rich=True)
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("first", "second")]
MEMBERS = {"content", "refusal", "audio", "tool_calls", "reasoning_content", "reasoning", "annotations", "x_future"}


def _chunks(**asked: Any) -> list[dict]:
    reply = chat_reply(ChatRequest(model="m", stream=True, **asked), RICH, Meters(), 1)
    assert reply.events is not None
    assert reply.events[-1].data == b"[DONE]"
    return [json.loads(event.data) for event in reply.events[:-1]]


def test_the_stream_adds_up_to_the_whole_answer() -> None:
    options = StreamOptions(include_usage=True)
    state = ChatCompletionStreamState()
    for chunk in _chunks(tools=TOOLS, n=2, stream_options=options):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    whole = ChatCompletion.model_validate_json(
        chat_reply(ChatRequest(model="m", tools=TOOLS, n=2), RICH, Meters(), 1).body
    )
    streamed = state.get_final_completion()
    for one, other in zip(whole.choices, streamed.choices, strict=True):
        assert other.finish_reason == one.finish_reason == "tool_calls"
        assert (other.message.content, other.message.refusal) == (one.message.content, one.message.refusal)
        calls = [
            [call.model_dump(include={"id", "function"}) for call in m.tool_calls or ()]
            for m in (one.message, other.message)
        ]
        assert [call["function"]["arguments"] for call in calls[0]] == [
            call["function"]["arguments"] for call in calls[1]
        ]
    assert streamed.usage == whole.usage


def test_deltas_hold_every_member() -> None:
    deltas = [choice["delta"] for chunk in _chunks(tools=TOOLS) for choice in chunk["choices"]]
    assert {name for delta in deltas for name in delta} >= MEMBERS
    message = json.loads(chat_reply(ChatRequest(model="m", tools=TOOLS), RICH, Meters(), 1).body)["choices"][0][
        "message"
    ]
    assert message.keys() >= MEMBERS


def test_arguments_of_parallel_calls_come_in_turns() -> None:
    calls = [c for k in _chunks(tools=TOOLS) for choice in k["choices"] for c in choice["delta"].get("tool_calls", ())]
    order = [call["index"] for call in calls if "id" not in call]
    assert order[:4] == [0, 1, 0, 1]


def test_without_tools_none_is_called() -> None:
    assert not any("tool_calls" in choice["delta"] for chunk in _chunks() for choice in chunk["choices"])
