"""What `/stats`, `/stats/requests` and `/last` say is exactly what was served."""

import asyncio
import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

from loadtest.mock import MockProvider

Fixture = Callable[..., Any]
CHAT = "/v1/chat/completions"


def _body(stream: bool, tokens: int, model: str = "m") -> bytes:
    return json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": "x" * 40}],
            "max_tokens": tokens,
            "stream": stream,
            "stream_options": {"include_usage": True},
        }
    ).encode()


async def _get(connect: Fixture, mock: MockProvider, path: str, method: str = "GET") -> Any:
    raw = await connect(mock)
    raw.send(method, path)
    return json.loads(await raw.body((await raw.head())[1]))


async def test_stats_has_exactly_the_fields_of_the_contract(mock: MockProvider, connect: Fixture) -> None:
    raw = await connect(mock)
    raw.send("POST", CHAT, _body(True, 4))
    await raw.body((await raw.head())[1])
    counters = {"requests": 1, "completed": 1, "aborted": 0, "streams": 1, "input_tokens": 10, "output_tokens": 4}
    assert await _get(connect, mock, "/stats") == {**counters, "by_model": {"m": counters}}
    zero = dict.fromkeys(counters, 0)
    assert await _get(connect, mock, "/stats/reset", "POST") == {**zero, "by_model": {}}


async def test_counters_are_exact_under_concurrency_and_aborts(
    start_mock: Fixture, connect: Fixture, settled: Fixture
) -> None:
    """Clients that read all see `completed`; clients that leave half-way see `aborted`; nothing is lost between."""
    mock = await start_mock("defaults: {gap: 1ms}\n")
    dice = random.Random(4)
    seen = {"completed": 0, "aborted": 0, "tokens": 0}

    async def one(index: int) -> None:
        raw = await connect(mock)
        stream, leaves = dice.random() < 0.7, dice.random() < 0.4
        tokens = dice.randint(5, 20)
        raw.send("POST", CHAT, _body(stream, tokens, f"m{index % 3}"), {"x-request-id": f"r{index}"})
        if stream and leaves:
            await raw.until(b"\n\n")
            raw.writer.transport.abort()
            seen["aborted"] += 1
            return
        await raw.body((await raw.head())[1])
        seen["completed"] += 1
        seen["tokens"] += tokens

    await asyncio.gather(*[one(index) for index in range(150)])
    await settled(mock)
    totals = mock.stats.totals
    assert (totals.requests, totals.completed, totals.aborted) == (150, seen["completed"], seen["aborted"])
    assert (totals.output_tokens, totals.input_tokens) == (seen["tokens"], 10 * seen["completed"])
    assert sum(c.requests for c in totals.by_model.values()) == 150
    assert {record.id for record in mock.requests} == {f"r{index}" for index in range(150)}


async def test_an_answer_the_socket_did_not_take_is_not_completed(
    mock: MockProvider, connect: Fixture, settled: Fixture
) -> None:
    """64 MB do not fit the socket's buffers: the request stays open until the client reads, or aborts."""
    raw = await connect(mock)
    raw.send("GET", "/v1/files/f/content?bytes=64000000")
    await raw.head()
    raw.reader._transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    assert (mock.stats.totals.completed, mock.stats.totals.aborted) == (0, 0)
    raw.writer.transport.abort()
    await settled(mock)
    assert (mock.stats.totals.completed, mock.stats.totals.aborted) == (0, 1)


async def test_a_slow_reader_gets_every_byte(mock: MockProvider, connect: Fixture, settled: Fixture) -> None:
    raw = await connect(mock)
    raw.send("GET", "/v1/files/f/content?bytes=5000000")
    await raw.head()
    digest, size = hashlib.sha256(), 0
    while size < 5_000_000:
        part = await raw.reader.read(50_000)
        digest.update(part)
        size += len(part)
    assert digest.hexdigest() == hashlib.sha256((bytes(range(256)) * 19532)[:5_000_000]).hexdigest()
    await settled(mock)
    assert mock.stats.totals.completed == 1


async def test_requests_can_be_reconciled_by_id(mock: MockProvider, connect: Fixture) -> None:
    raw = await connect(mock)
    for index in range(3):
        raw.send("POST", CHAT, _body(False, index + 1), {"x-request-id": f"r{index}"})
        await raw.body((await raw.head())[1])
    answer = await _get(connect, mock, "/stats/requests?since=1")
    assert answer["next"] == 3
    assert [(r["id"], r["state"], r["output_tokens"]) for r in answer["requests"]] == [
        ("r1", "completed", 2),
        ("r2", "completed", 3),
    ]


async def test_last_shows_what_came_but_no_key(mock: MockProvider, connect: Fixture) -> None:
    assert "error" in await _get(connect, mock, "/last")
    raw = await connect(mock)
    raw.send("POST", CHAT + "?a=1", _body(False, 2), {"authorization": "Bearer sk-secret", "x-api-key": "sk-other"})
    await raw.body((await raw.head())[1])
    last = await _get(connect, mock, "/last")
    assert last["headers"]["authorization"] == "sha256:" + hashlib.sha256(b"Bearer sk-secret").hexdigest()
    assert "sk-" not in json.dumps(last)
    assert last["body"]["max_tokens"] == 2
    assert (last["path"], last["query"], last["method"]) == (CHAT, "a=1", "POST")


async def test_pipelined_requests_are_answered_in_order(mock: MockProvider, connect: Fixture) -> None:
    raw = await connect(mock)
    for tokens in (1, 2, 3):
        raw.send("POST", CHAT, _body(False, tokens))
    answers = [json.loads(await raw.body((await raw.head())[1])) for _ in range(3)]
    assert [a["usage"]["completion_tokens"] for a in answers] == [1, 2, 3]


async def test_what_is_no_http_gets_400(mock: MockProvider, connect: Fixture) -> None:
    raw = await connect(mock)
    raw.writer.write(b"nonsense\r\n\r\n")
    assert (await raw.rest()).startswith(b"HTTP/1.1 400")


async def test_connection_close_is_honoured(mock: MockProvider, connect: Fixture) -> None:
    raw = await connect(mock)
    raw.send("POST", CHAT, _body(False, 2), {"connection": "close"})
    _, headers = await raw.head()
    assert headers[b"connection"] == b"close"
    assert json.loads(await raw.rest())["usage"]["completion_tokens"] == 2
