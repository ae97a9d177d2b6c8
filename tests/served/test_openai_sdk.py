"""The real OpenAI SDK against a served gateway: what an application developer does on the first day."""

import json

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel


@pytest.fixture
def client(gateway) -> OpenAI:
    return OpenAI(base_url=gateway.v1, api_key="sk-search", max_retries=0)


def test_unary(client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}], max_tokens=20
    )
    completion = answer.parse()
    assert completion.choices[0].message.content
    assert completion.usage.completion_tokens > 0
    assert answer.headers["x-tollway-provider"] == "mock"
    assert answer.headers["x-tollway-model"] == "gpt-4o-mini"
    assert float(answer.headers["x-tollway-cost-usd"]) > 0
    assert float(answer.headers["x-tollway-overhead-ms"]) >= 0
    assert answer.headers["x-request-id"]


def test_an_alias_is_rewritten_and_the_answer_names_what_served(client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model="alias", messages=[{"role": "user", "content": "Hello"}]
    )
    assert answer.headers["x-tollway-model"] == "gpt-4o-mini"


def test_stream_without_asking_for_usage_has_no_usage_event(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}], stream=True, max_tokens=12
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_stream_with_usage_asked_for_has_it(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].usage.total_tokens > 0


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.mark.parametrize("stream", [False, True])
def test_tools(client: OpenAI, stream: bool) -> None:
    request = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Weather in Rome?"}],
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    }
    if stream:
        pieces = [
            call.function.arguments or ""
            for chunk in client.chat.completions.create(**request, stream=True)
            if chunk.choices
            for call in chunk.choices[0].delta.tool_calls or []
        ]
        assert isinstance(json.loads("".join(pieces)), dict)
    else:
        call = client.chat.completions.create(**request).choices[0].message.tool_calls[0]
        assert call.function.name == "weather"


class City(BaseModel):
    name: str
    people: int


def test_structured_output(client: OpenAI) -> None:
    answer = client.chat.completions.parse(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "A city"}], response_format=City
    )
    assert isinstance(answer.choices[0].message.parsed, City)


def test_embeddings(client: OpenAI) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    assert len(answer.data) == 2


def test_completions(client: OpenAI) -> None:
    answer = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=5)
    assert answer.choices[0].text


def test_moderations(client: OpenAI) -> None:
    assert client.moderations.create(input="hello").results


def test_responses(client: OpenAI) -> None:
    assert client.responses.create(model="gpt-4o-mini", input="Hi").output_text


def test_responses_stream(client: OpenAI) -> None:
    events = [event.type for event in client.responses.create(model="gpt-4o-mini", input="Hi", stream=True)]
    assert events[0] == "response.created"
    assert events[-1] == "response.completed"
    assert "response.output_text.delta" in events


def test_models_lists_what_this_key_may_use(gateway, client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert "gpt-4o" in names
    assert "local/*" not in names
    restricted = OpenAI(base_url=gateway.v1, api_key="sk-support", max_retries=0)
    assert [model.id for model in restricted.models.list()] == ["gpt-4o-mini"]
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    with pytest.raises(openai.NotFoundError):
        restricted.models.retrieve("gpt-4o")


async def test_async_client(gateway) -> None:
    async with AsyncOpenAI(base_url=gateway.v1, api_key="sk-search", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        assert [chunk async for chunk in stream]


@pytest.mark.parametrize(
    ("key", "model", "error", "code"),
    [
        ("sk-nobody", "gpt-4o-mini", openai.AuthenticationError, "invalid_api_key"),
        ("sk-search", "gpt-4o-minni", openai.NotFoundError, "model_not_found"),
        ("sk-support", "gpt-4o", openai.PermissionDeniedError, "model_not_allowed"),
    ],
)
def test_refusals_become_the_right_exception(gateway, key: str, model: str, error: type, code: str) -> None:
    client = OpenAI(base_url=gateway.v1, api_key=key, max_retries=0)
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.code == code
    assert key not in str(caught.value)
    assert caught.value.request_id


def test_a_misspelt_model_is_answered_with_the_nearest_name(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Did you mean 'gpt-4o-mini'"):
        client.chat.completions.create(model="gpt-4o-minni", messages=[{"role": "user", "content": "Hi"}])


def test_malformed_bodies_are_400_and_say_where(gateway) -> None:
    headers = {"authorization": "Bearer sk-search", "content-type": "application/json"}
    for body in (b"", b"{", b"[]", b'{"model": 3}', b'{"messages": []}', b"\xff"):
        answer = httpx.post(gateway.v1 + "/chat/completions", content=body, headers=headers)
        assert answer.status_code == 400, body
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_over_long_body_is_413(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "x" * (21 * 1024 * 1024)}]
        )
    assert caught.value.status_code == 413


def test_the_sdk_retries_a_429_as_long_as_retry_after_says(gateway) -> None:
    """The provider's 429 passes through with its `retry-after`, which the SDK's own retry honours."""
    seen: list[float] = []
    transport = httpx.HTTPTransport()

    class Timed(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            import time

            seen.append(time.monotonic())
            return transport.handle_request(request)

    client = OpenAI(
        base_url=gateway.v1, api_key="sk-search", max_retries=1, http_client=httpx.Client(transport=Timed())
    )
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="mock-e429", messages=[{"role": "user", "content": "Hi"}])
    assert len(seen) == 2
    assert seen[1] - seen[0] >= 0.9


@pytest.mark.parametrize(("model", "status"), [("mock-e500", 500), ("mock-e503", 503), ("mock-reset", 502)])
def test_a_broken_provider_is_a_server_error(client: OpenAI, model: str, status: int) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.status_code == status


def test_a_providers_401_is_not_the_clients(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="mock-e401", messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.code == "provider_credential_refused"


def test_a_stream_that_breaks_raises_instead_of_ending(client: OpenAI) -> None:
    with pytest.raises(openai.APIError):
        list(
            client.chat.completions.create(
                model="mock-resetmid", messages=[{"role": "user", "content": "Hi"}], stream=True
            )
        )
