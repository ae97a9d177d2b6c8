"""The real Anthropic SDK against a served gateway."""

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic

MODEL = "claude-3-7-sonnet-20250219"
ASK = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(gateway) -> Anthropic:
    return Anthropic(base_url=gateway.url, api_key="sk-search", max_retries=0)


def test_unary(client: Anthropic) -> None:
    answer = client.messages.with_raw_response.create(model=MODEL, max_tokens=20, messages=ASK)
    assert answer.parse().content[0].text
    assert float(answer.headers["x-tollway-cost-usd"]) > 0


def test_stream(client: Anthropic) -> None:
    with client.messages.stream(model=MODEL, max_tokens=20, messages=ASK) as stream:
        assert "".join(stream.text_stream)
        assert stream.get_final_message().usage.output_tokens > 0


def test_tools(client: Anthropic) -> None:
    answer = client.messages.create(
        model=MODEL,
        max_tokens=50,
        messages=ASK,
        tools=[{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}],
        tool_choice={"type": "tool", "name": "weather"},
    )
    assert any(block.type == "tool_use" for block in answer.content)


def test_count_tokens(client: Anthropic) -> None:
    assert client.messages.count_tokens(model=MODEL, messages=ASK).input_tokens > 0


def test_models(client: Anthropic) -> None:
    assert MODEL in [model.id for model in client.models.list()]


async def test_async(gateway) -> None:
    async with AsyncAnthropic(base_url=gateway.url, api_key="sk-search", max_retries=0) as client:
        assert (await client.messages.create(model=MODEL, max_tokens=5, messages=ASK)).content


def test_a_wrong_key_raises_the_sdks_own_error(gateway) -> None:
    client = Anthropic(base_url=gateway.url, api_key="sk-nobody", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError) as caught:
        client.messages.create(model=MODEL, max_tokens=5, messages=ASK)
    assert caught.value.body["error"]["type"] == "authentication_error"


def test_an_unknown_model_raises_not_found(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="claude-nothing", max_tokens=5, messages=ASK)
    assert caught.value.request_id
    assert caught.value.request_id == caught.value.body["request_id"]
