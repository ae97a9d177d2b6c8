"""The real Anthropic SDK reads everything the mock says."""

from collections.abc import AsyncIterator

import anthropic
import pytest

from loadtest.mock import MockProvider

TOOL = {"name": "lookup", "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}}}


@pytest.fixture
async def client(mock: MockProvider) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=mock.origin, api_key="sk-mock", max_retries=0) as made:
        yield made


def _ask(text: str = "hello there") -> list:
    return [{"role": "user", "content": text}]


async def test_unary(client: anthropic.AsyncAnthropic, mock: MockProvider) -> None:
    answer = await client.messages.create(model="c", max_tokens=9, messages=_ask("x" * 13), system="be good")
    assert len(answer.content[0].text) == 36
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 9)
    assert answer.stop_reason == "end_turn"
    assert (mock.stats.totals.input_tokens, mock.stats.totals.output_tokens) == (5, 9)


async def test_stream_events_in_order(client: anthropic.AsyncAnthropic) -> None:
    async with client.messages.stream(model="c", max_tokens=4, messages=_ask()) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert len(text) == 16
    assert final.content[0].text == text
    assert (final.usage.input_tokens, final.usage.output_tokens) == (3, 4)
    raw = await client.messages.create(model="c", max_tokens=1, messages=_ask(), stream=True)
    assert [event.type async for event in raw] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_tools(client: anthropic.AsyncAnthropic) -> None:
    kwargs: dict = {"model": "c", "max_tokens": 50, "messages": _ask(), "tools": [TOOL], "tool_choice": {"type": "any"}}
    answer = await client.messages.create(**kwargs)
    assert answer.stop_reason == "tool_use"
    assert answer.content[0].input == {"q": "text"}
    async with client.messages.stream(**kwargs) as stream:
        assert (await stream.get_final_message()).content[0].input == {"q": "text"}
    kwargs |= {"tool_choice": {"type": "auto"}}
    assert (await client.messages.create(**kwargs)).stop_reason == "end_turn"
    results = [
        *_ask("use lookup"),
        {"role": "assistant", "content": [answer.content[0].to_dict()]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": answer.content[0].id, "content": "lookup"}],
        },
    ]
    assert (await client.messages.create(**(kwargs | {"messages": results}))).stop_reason == "end_turn"


async def test_thinking(client: anthropic.AsyncAnthropic) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    async with client.messages.stream(model="c", max_tokens=2048, messages=_ask(), thinking=thinking) as stream:
        final = await stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[0].signature


async def test_count_tokens_meters_nothing(client: anthropic.AsyncAnthropic, mock: MockProvider) -> None:
    counted = await client.messages.count_tokens(model="c", messages=_ask("x" * 40))
    assert counted.input_tokens == 10
    assert (mock.stats.totals.requests, mock.stats.totals.input_tokens) == (1, 0)


async def test_cache_meters_are_apart_from_input(client: anthropic.AsyncAnthropic) -> None:
    answer = await client.messages.create(model="mock-cachewrite", max_tokens=1000, messages=_ask())
    usage = answer.usage
    assert (usage.input_tokens, usage.cache_creation_input_tokens, usage.output_tokens) == (3, 12304, 550)
    async with client.messages.stream(model="mock-cachewrite", max_tokens=1000, messages=_ask()) as stream:
        final = await stream.get_final_message()
    assert (final.usage.input_tokens, final.usage.cache_creation_input_tokens) == (3, 12304)


@pytest.mark.parametrize(
    ("scenario", "error"),
    [("e429", anthropic.RateLimitError), ("e500", anthropic.InternalServerError)],
)
async def test_errors_have_anthropics_envelope(
    client: anthropic.AsyncAnthropic, scenario: str, error: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        await client.messages.create(model=f"mock-{scenario}", max_tokens=5, messages=_ask())
    assert caught.value.body["type"] == "error"  # type: ignore[index]


async def test_models(client: anthropic.AsyncAnthropic) -> None:
    assert (await client.models.retrieve("claude-x")).id == "claude-x"
    assert len([model async for model in client.models.list()]) > 3
