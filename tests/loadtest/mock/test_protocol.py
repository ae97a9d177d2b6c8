"""The server side of a connection: back-pressure, pipelining, closing."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

from loadtest.mock import MockProvider
from tests.loadtest.mock.asking import CHAT, chat_body

Fixture = Callable[..., Any]


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


async def test_pipelined_requests_are_answered_in_order(mock: MockProvider, connect: Fixture) -> None:
    raw = await connect(mock)
    for tokens in (1, 2, 3):
        raw.send("POST", CHAT, chat_body(False, tokens))
    answers = [json.loads(await raw.body((await raw.head())[1])) for _ in range(3)]
    assert [a["usage"]["completion_tokens"] for a in answers] == [1, 2, 3]


async def test_what_is_no_http_gets_400(mock: MockProvider, connect: Fixture) -> None:
    raw = await connect(mock)
    raw.writer.write(b"nonsense\r\n\r\n")
    assert (await raw.rest()).startswith(b"HTTP/1.1 400")


async def test_connection_close_is_honoured(mock: MockProvider, connect: Fixture) -> None:
    raw = await connect(mock)
    raw.send("POST", CHAT, chat_body(False, 2), {"connection": "close"})
    _, headers = await raw.head()
    assert headers[b"connection"] == b"close"
    assert json.loads(await raw.rest())["usage"]["completion_tokens"] == 2
