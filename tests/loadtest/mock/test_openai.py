"""The real OpenAI SDK reads everything the mock says."""

import base64
import math
import struct
from typing import Literal

import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from loadtest.mock import MockProvider
from loadtest.mock.anthropic import MessagesRequest, messages_reply
from loadtest.mock.openai_chat import ChatRequest, Message, chat_reply
from loadtest.mock.openai_responses import ResponsesRequest, responses_reply
from loadtest.mock.scenario import Meters, Output

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
            "required": ["city", "days"],
        },
    },
}


class Event(BaseModel):
    name: str
    date: str
    participants: list[str]


def _ask(text: str = "hello there") -> list:
    return [{"role": "user", "content": text}]


async def test_chat_unary_reports_the_documented_tokens(client: openai.AsyncOpenAI, mock: MockProvider) -> None:
    answer = await client.chat.completions.create(model="m", messages=_ask("x" * 41), max_tokens=7, n=2)
    assert len(answer.choices) == 2
    assert all(len(choice.message.content or "") == 28 for choice in answer.choices)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 14)
    assert (mock.stats.totals.input_tokens, mock.stats.totals.output_tokens) == (11, 14)


@pytest.mark.parametrize("include", [True, False])
async def test_chat_stream_sends_usage_only_if_asked(client: openai.AsyncOpenAI, include: bool) -> None:
    stream = await client.chat.completions.create(
        model="m", messages=_ask(), max_tokens=5, stream=True, stream_options={"include_usage": include}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert len(text) == 20
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    usages = [c.usage for c in chunks if c.usage]
    assert [u.completion_tokens for u in usages] == ([5] if include else [])
    if include:
        assert chunks[-1].choices == []


async def test_unary_and_stream_say_the_same(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="m", messages=_ask(), max_tokens=30, n=2)
    stream = await client.chat.completions.create(model="m", messages=_ask(), max_tokens=30, n=2, stream=True)
    texts = ["", ""]
    async for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in whole.choices]
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    ("choice", "prompt", "called"),
    [
        ("required", "hi", True),
        ({"type": "function", "function": {"name": "get_weather"}}, "hi", True),
        ("auto", "please use get_weather now", True),
        ("auto", "hi", False),
        ("none", "please use get_weather now", False),
    ],
)
async def test_chat_tools(client: openai.AsyncOpenAI, choice: object, prompt: str, called: bool) -> None:
    kwargs: dict = {"model": "m", "messages": _ask(prompt), "tools": [TOOL], "tool_choice": choice}
    answer = (await client.chat.completions.create(**kwargs)).choices[0]
    assert bool(answer.message.tool_calls) is called
    assert answer.finish_reason == ("tool_calls" if called else "stop")
    if called:
        assert answer.message.tool_calls[0].function.arguments == '{"city":"text","days":3}'
        async with client.chat.completions.stream(**kwargs) as stream:
            final = await stream.get_final_completion()
        assert final.choices[0].message.tool_calls[0].function.arguments == '{"city":"text","days":3}'


async def test_chat_does_not_call_again_after_a_tool_result(client: openai.AsyncOpenAI) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        *_ask("use get_weather"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "get_weather says sun"},
    ]
    answer = await client.chat.completions.create(model="m", messages=messages, tools=[TOOL])
    assert answer.choices[0].finish_reason == "stop"


async def test_structured_output(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.parse(model="m", messages=_ask(), response_format=Event)
    assert isinstance(answer.choices[0].message.parsed, Event)
    response = await client.responses.parse(model="m", input="hi", text_format=Event)
    assert isinstance(response.output_parsed, Event)


@pytest.mark.parametrize("prompt", ["hello wd", ["hell", "o wd"], [1, 2], [[1], [2]]])
async def test_completions(client: openai.AsyncOpenAI, prompt: object) -> None:
    answer = await client.completions.create(model="m", prompt=prompt, max_tokens=3)
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 3)
    stream = await client.completions.create(model="m", prompt=prompt, max_tokens=3, stream=True)
    assert "".join([c.choices[0].text async for c in stream]) == answer.choices[0].text


async def test_responses_unary_and_events(client: openai.AsyncOpenAI) -> None:
    answer = await client.responses.create(model="m", input="hi there", instructions="be good", max_output_tokens=6)
    assert len(answer.output_text) == 24
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (4, 6)
    stream = await client.responses.create(model="m", input="hi there", max_output_tokens=6, stream=True)
    events = [event async for event in stream]
    assert [e.sequence_number for e in events] == list(range(len(events)))
    kinds = list(dict.fromkeys(e.type for e in events))
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == answer.output_text
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.output_tokens == 6


async def test_responses_function_call(client: openai.AsyncOpenAI) -> None:
    tool = {"type": "function", "strict": None, **TOOL["function"]}
    async with client.responses.stream(model="m", input="hi", tools=[tool], tool_choice="required") as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert any(e.type == "response.function_call_arguments.delta" for e in events)
    call = final.output[0]
    assert (call.type, call.name, call.arguments) == ("function_call", "get_weather", '{"city":"text","days":3}')


async def test_responses_cut_by_the_maximum(client: openai.AsyncOpenAI) -> None:
    headers = {"x-mock-scenario": "cachewrite"}
    answer = await client.responses.create(model="m", input="hi", max_output_tokens=5, extra_headers=headers)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
    chat = await client.chat.completions.create(model="m", messages=_ask(), max_tokens=5, extra_headers=headers)
    assert chat.choices[0].finish_reason == "length"


async def test_embeddings_are_the_same_as_floats_and_base64(client: openai.AsyncOpenAI, mock: MockProvider) -> None:
    floats = await client.embeddings.create(model="e", input=["one", "two"], encoding_format="float", dimensions=16)
    packed = await client.embeddings.create(model="e", input=["one", "two"], dimensions=16)  # the SDK asks for base64
    vectors = [item.embedding for item in floats.data]
    assert [item.embedding for item in packed.data] == [pytest.approx(v) for v in vectors]
    assert math.isclose(sum(x * x for x in vectors[0]), 1.0, rel_tol=1e-5)
    assert vectors[0] != vectors[1]
    assert floats.usage.prompt_tokens == 2
    raw = await client.embeddings.with_raw_response.create(
        model="e", input="one", dimensions=16, encoding_format="base64"
    )
    text = raw.http_response.json()["data"][0]["embedding"]
    assert struct.unpack("<16f", base64.b64decode(text)) == pytest.approx(tuple(vectors[0]))


async def test_moderations(client: openai.AsyncOpenAI) -> None:
    answer = await client.moderations.create(input=["all well", "a VIOLENT thing"])
    assert [r.flagged for r in answer.results] == [False, True]
    assert answer.results[1].categories.violence
    assert len(answer.results[0].categories.to_dict()) == 13


async def test_models_are_not_counted(client: openai.AsyncOpenAI, mock: MockProvider) -> None:
    assert "mock" in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve("vendor/x")).id == "vendor/x"
    assert mock.stats.totals.requests == 0


@given(most=st.integers(1, 400), reasoning=st.integers(0, 500), tokens=st.sampled_from(["request", 100]))
def test_a_chats_maximum_holds_for_reasoning_too(most: int, reasoning: int, tokens: int | Literal["request"]) -> None:
    """`max_completion_tokens` is "an upper bound for the number of tokens that can be generated for a completion,
    including visible output tokens and reasoning tokens"."""
    request = ChatRequest(model="m", messages=[Message(content="Hello")], max_completion_tokens=most)
    reply = chat_reply(request, Output(tokens=tokens), Meters(reasoning=reasoning), 1)
    said = msgspec.json.decode(reply.body)
    assert said["usage"]["completion_tokens"] == reply.tokens.output <= most
    assert said["usage"]["completion_tokens_details"]["reasoning_tokens"] == min(reasoning, most)


@given(most=st.integers(1, 400), reasoning=st.integers(0, 500), tokens=st.sampled_from(["request", 100]))
def test_a_messages_maximum_holds_for_thinking_too(most: int, reasoning: int, tokens: int | Literal["request"]) -> None:
    request = MessagesRequest(model="m", max_tokens=most)
    reply = messages_reply(request, Output(tokens=tokens), Meters(reasoning=reasoning), 1)
    said = msgspec.json.decode(reply.body)
    assert said["usage"]["output_tokens"] == reply.tokens.output <= most


@given(most=st.integers(1, 400), reasoning=st.integers(0, 500), tokens=st.sampled_from(["request", 100]))
def test_a_responses_maximum_holds_for_reasoning_too(
    most: int, reasoning: int, tokens: int | Literal["request"]
) -> None:
    """`max_output_tokens` is "an upper bound for the number of tokens that can be generated for a response, including
    visible output tokens and reasoning tokens"."""
    request = ResponsesRequest(model="m", input="Hello", max_output_tokens=most)
    reply = responses_reply(request, Output(tokens=tokens), Meters(reasoning=reasoning), 1)
    said = msgspec.json.decode(reply.body)
    assert said["usage"]["output_tokens"] == reply.tokens.output <= most
    assert said["usage"]["output_tokens_details"]["reasoning_tokens"] == min(reasoning, most)
