"""Which scenario answers a request, and what the control endpoints tell."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from loadtest.mock import MockProvider
from tests.loadtest.mock.asking import told

Fixture = Callable[..., Any]


def _ask(text: str = "hello there") -> list:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("scenario", "error"),
    [
        ("e429", openai.RateLimitError),
        ("e500", openai.InternalServerError),
        ("e503", openai.InternalServerError),
        ("e401", openai.AuthenticationError),
    ],
)
async def test_errors_by_model_suffix(client: openai.AsyncOpenAI, scenario: str, error: type[openai.APIError]) -> None:
    with pytest.raises(error) as caught:
        await client.chat.completions.create(model=f"mock-{scenario}", messages=_ask())
    assert isinstance(caught.value, openai.APIStatusError)
    assert caught.value.response.headers.get("retry-after") == {"e429": "2", "e503": "1"}.get(scenario)
    assert "type" in (caught.value.body or {})


async def test_bad_json_and_an_unknown_scenario_are_400(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(model="m", messages="no list")  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError, match="no scenario called"):
        await client.chat.completions.create(model="m", messages=_ask(), extra_headers={"x-mock-scenario": "nope"})


async def test_meters_of_a_scenario(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="mock-metered", messages=_ask())
    usage = answer.usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (2006, 1920)
    assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (300, 200)
    silent = await client.chat.completions.create(model="mock-nousage", messages=_ask())
    assert silent.usage is None
    echoed = await client.chat.completions.create(model="mock-echo", messages=_ask("say my name"))
    assert echoed.choices[0].message.content == "say my name"


async def test_requests_can_be_reconciled_by_id(mock: MockProvider, connect: Fixture) -> None:
    raw = await connect(mock)
    for index in range(3):
        body = json.dumps({"model": "m", "messages": _ask(), "max_tokens": index + 1}).encode()
        raw.send("POST", "/v1/chat/completions", body, {"x-request-id": f"r{index}"})
        await raw.body((await raw.head())[1])
    answer = await told(connect, mock, "/stats/requests?since=1")
    assert answer["next"] == 3
    assert [(r["id"], r["state"], r["output_tokens"]) for r in answer["requests"]] == [
        ("r1", "completed", 2),
        ("r2", "completed", 3),
    ]
    assert "error" in await told(connect, mock, "/stats/requests?since=x")


async def test_last_shows_what_came_but_no_key(mock: MockProvider, connect: Fixture) -> None:
    assert "error" in await told(connect, mock, "/last")
    raw = await connect(mock)
    body = json.dumps({"model": "m", "messages": _ask(), "max_tokens": 2}).encode()
    keys = {"authorization": "Bearer sk-secret", "x-api-key": "sk-other"}
    raw.send("POST", "/v1/chat/completions?a=1", body, keys)
    await raw.body((await raw.head())[1])
    last = await told(connect, mock, "/last")
    assert last["headers"]["authorization"] == "sha256:" + hashlib.sha256(b"Bearer sk-secret").hexdigest()
    assert "sk-" not in json.dumps(last)
    assert last["body"]["max_tokens"] == 2
    assert (last["path"], last["query"], last["method"]) == ("/v1/chat/completions", "a=1", "POST")


async def test_what_does_not_exist_is_404(mock: MockProvider, connect: Fixture) -> None:
    assert (await told(connect, mock, "/nowhere"))["error"]["code"] == "not_found"
    assert (await told(connect, mock, "/healthz")) == {"status": "ok"}
    echo = await told(connect, mock, "/v1/batches/b1?x=1")
    assert (echo["object"], echo["path"], echo["query"]) == ("echo", "/v1/batches/b1", "x=1")
