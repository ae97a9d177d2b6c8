"""Every fault and oddity of a scenario, seen at a raw socket; and what the counters say about it."""

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from loadtest.mock import MockProvider

Fixture = Callable[..., Any]
CHAT = "/v1/chat/completions"


def _body(stream: bool = False, **more: object) -> bytes:
    ask = {"model": "m", "messages": [{"role": "user", "content": "hello there"}], "max_tokens": 6, "stream": stream}
    return json.dumps(ask | more).encode()


def _events(data: bytes) -> list[bytes]:
    return [event for event in data.split(b"\n\n") if event]


@pytest.mark.parametrize("stream", [False, True])
async def test_reset_before_headers(start_mock: Fixture, connect: Fixture, settled: Fixture, stream: bool) -> None:
    mock = await start_mock("reset")
    raw = await connect(mock)
    raw.send("POST", CHAT, _body(stream))
    with pytest.raises(ConnectionResetError):
        await raw.rest()
    await settled(mock)
    assert (mock.stats.totals.aborted, mock.stats.totals.completed) == (1, 0)


async def test_close_before_headers(start_mock: Fixture, connect: Fixture) -> None:
    raw = await connect(await start_mock("defaults: {fault: {kind: close_before_headers}}\n"))
    raw.send("POST", CHAT, _body())
    assert await raw.rest() == b""


@pytest.mark.parametrize("stream", [False, True])
async def test_reset_during_the_body(start_mock: Fixture, connect: Fixture, settled: Fixture, stream: bool) -> None:
    mock = await start_mock("resetmid")
    raw = await connect(mock)
    raw.send("POST", CHAT, _body(stream))
    status, _ = await raw.head()
    assert status == b"HTTP/1.1 200 OK"
    with pytest.raises(ConnectionResetError):
        await raw.rest()
    await settled(mock)
    record = mock.requests[0]
    assert (record.state, record.visible, mock.stats.totals.output_tokens) == ("aborted", 2 if stream else 0, 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_close_during_the_body(start_mock: Fixture, connect: Fixture, stream: bool) -> None:
    raw = await connect(await start_mock("closemid"))
    raw.send("POST", CHAT, _body(stream))
    _, headers = await raw.head()
    rest = await raw.rest()
    if stream:
        assert rest.count(b"data: ") == 3  # the role and two texts
        assert not rest.endswith(b"0\r\n\r\n")
    else:
        assert len(rest) < int(headers[b"content-length"])


@pytest.mark.parametrize(
    ("scenario", "stream", "events"), [("stall", True, None), ("stallfirst", True, 0), ("stallmid", True, 3)]
)
async def test_stalls_last_until_the_client_leaves(
    start_mock: Fixture, connect: Fixture, settled: Fixture, scenario: str, stream: bool, events: int | None
) -> None:
    mock = await start_mock(scenario)
    raw = await connect(mock)
    raw.send("POST", CHAT, _body(stream))
    if events is not None:
        await raw.head()
        for _ in range(events):
            await raw.until(b"\n\n\r\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(raw.reader.readexactly(1), 0.1)
    assert (mock.stats.totals.requests, mock.stats.totals.aborted) == (1, 0)
    raw.writer.close()
    await settled(mock)
    assert mock.stats.totals.aborted == 1


async def test_malformed_events(start_mock: Fixture, connect: Fixture) -> None:
    raw = await connect(await start_mock("malformed"))
    raw.send("POST", CHAT, _body(True))
    _, headers = await raw.head()
    events = _events(await raw.body(headers))
    assert b"this line is no field" in events
    with pytest.raises(json.JSONDecodeError):
        json.loads(events[3].removeprefix(b"data: "))
    assert events[-1] == b"data: [DONE]"


async def test_streams_that_end_too_soon(start_mock: Fixture, connect: Fixture) -> None:
    async def body(scenario: str, path: str = CHAT) -> bytes:
        raw = await connect(await start_mock(scenario))
        raw.send("POST", path, _body(True))
        return await raw.body((await raw.head())[1])

    nodone = await body("nodone")
    assert b'"finish_reason":"stop"' in nodone
    assert b"[DONE]" not in nodone
    assert b"message_stop" not in await body("nodone", "/v1/messages")
    assert b"response.completed" not in await body("nodone", "/v1/responses")
    nofinish = await body("nofinish")
    assert b'"finish_reason":"stop"' not in nofinish
    assert nofinish.count(b"data: ") == 3
    error = _events(await body("errorevent"))
    assert json.loads(error[-1].removeprefix(b"data: "))["error"]["type"] == "server_error"
    assert _events(await body("errorevent", "/v1/messages"))[-1].startswith(b"event: error\n")
    told = _events(await body("errorevent", "/v1/responses"))
    assert told[-1].startswith(b'event: error\ndata: {"type":"error","code":')
    assert b'"sequence_number":%d}' % (len(told) - 1) in told[-1]


async def test_close_after_the_finish_reason(start_mock: Fixture, connect: Fixture) -> None:
    raw = await connect(await start_mock("finishclose"))
    raw.send("POST", CHAT, _body(True))
    await raw.head()
    rest = await raw.rest()
    assert b'"finish_reason":"stop"' in rest
    assert b"[DONE]" not in rest
    assert not rest.endswith(b"0\r\n\r\n")


async def test_a_huge_event(start_mock: Fixture, connect: Fixture) -> None:
    raw = await connect(await start_mock("huge"))
    raw.send("POST", CHAT, _body(True))
    events = _events(await raw.body((await raw.head())[1]))
    assert max(map(len, events)) > 2 * 1024 * 1024
    assert events[-1] == b"data: [DONE]"


@pytest.mark.parametrize(("scenario", "difference"), [("short", 10), ("long", -10)])
async def test_content_length_that_lies(
    start_mock: Fixture, connect: Fixture, settled: Fixture, scenario: str, difference: int
) -> None:
    mock = await start_mock(scenario)
    raw = await connect(mock)
    raw.send("POST", CHAT, _body())
    _, headers = await raw.head()
    assert len(await raw.rest()) - int(headers[b"content-length"]) == difference
    await settled(mock)
    assert mock.stats.totals.aborted == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_bad_chunk_size(start_mock: Fixture, connect: Fixture, stream: bool) -> None:
    raw = await connect(await start_mock("badchunk"))
    raw.send("POST", CHAT, _body(stream))
    await raw.head()
    assert b"zz\r\n" in await raw.rest()


async def test_every_byte_in_a_chunk_of_its_own(start_mock: Fixture, connect: Fixture) -> None:
    raw = await connect(await start_mock("bytewise"))
    raw.send("POST", CHAT, _body(True, max_tokens=1))
    await raw.head()
    chunks = await raw.chunks()
    assert {len(chunk) for chunk in chunks} == {1}
    assert _events(b"".join(chunks))[-1] == b"data: [DONE]"


async def test_line_ends(start_mock: Fixture, connect: Fixture) -> None:
    for scenario, end in (("crlf", b"\r\n\r\n"), ("cr", b"\r\r")):
        raw = await connect(await start_mock(scenario))
        raw.send("POST", CHAT, _body(True))
        data = await raw.body((await raw.head())[1])
        assert data.endswith(b"data: [DONE]" + end)
        assert data.startswith(b"\xef\xbb\xbf") is (scenario == "crlf")


async def test_informational_answers_come_first(start_mock: Fixture, connect: Fixture) -> None:
    raw = await connect(await start_mock("early"))
    raw.send("POST", CHAT, _body())
    assert (await raw.head())[0] == b"HTTP/1.1 103 Early Hints"
    status, headers = await raw.head()
    assert status == b"HTTP/1.1 200 OK"
    assert json.loads(await raw.body(headers))["object"] == "chat.completion"


async def test_expect_100_continue(mock: MockProvider, connect: Fixture) -> None:
    raw = await connect(mock)
    body = _body()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: m\r\nexpect: 100-continue\r\ncontent-length: {len(body)}\r\n\r\n"
    raw.writer.write(head.encode())
    assert (await raw.head())[0] == b"HTTP/1.1 100 Continue"
    raw.writer.write(body)
    assert (await raw.head())[0] == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("stream", [False, True])
async def test_trailers(start_mock: Fixture, connect: Fixture, stream: bool) -> None:
    raw = await connect(await start_mock("trailers"))
    raw.send("POST", CHAT, _body(stream))
    _, headers = await raw.head()
    assert headers[b"trailer"] == b"x-mock-trailer"
    assert (await raw.chunks())[-1] == b"x-mock-trailer: yes\r\n"


@pytest.mark.parametrize("stream", [False, True])
async def test_gzip(start_mock: Fixture, connect: Fixture, stream: bool) -> None:
    raw = await connect(await start_mock("gzip"))
    raw.send("POST", CHAT, _body(stream))
    _, headers = await raw.head()
    assert headers[b"content-encoding"] == b"gzip"
    data = gzip.decompress(await raw.body(headers))
    assert data.endswith(b"[DONE]\n\n") if stream else json.loads(data)["usage"]


async def test_redirect(start_mock: Fixture, connect: Fixture) -> None:
    raw = await connect(await start_mock("redirect"))
    raw.send("POST", CHAT, _body())
    status, headers = await raw.head()
    assert status == b"HTTP/1.1 307 Temporary Redirect"
    assert headers[b"location"] == b"http://127.0.0.1:9/elsewhere"


@pytest.mark.parametrize("stream", [False, True])
async def test_http10_until_close(start_mock: Fixture, connect: Fixture, settled: Fixture, stream: bool) -> None:
    mock = await start_mock("http10")
    raw = await connect(mock)
    raw.send("POST", CHAT, _body(stream))
    status, headers = await raw.head()
    assert status == b"HTTP/1.0 200 OK"
    assert not {b"content-length", b"transfer-encoding"} & set(headers)
    rest = await raw.rest()
    assert rest.endswith(b"[DONE]\n\n") if stream else json.loads(rest)
    await settled(mock)
    assert mock.stats.totals.completed == 1


async def test_comments_fill_the_waiting(start_mock: Fixture, connect: Fixture) -> None:
    """Before the first event and between two. The times are many times what a busy machine lets a comment wait."""
    waits = "first_event: 300ms, gap: 200ms"
    raw = await connect(await start_mock(f"defaults: {{{waits}, wire: {{comments: 10ms}}, output: {{tokens: 2}}}}\n"))
    raw.send("POST", CHAT, _body(True))
    events = _events(await raw.body((await raw.head())[1]))
    said = [event != b": keep-alive" for event in events]
    assert said[:3] == [False] * 3
    assert not all(said[said.index(True) :])
    assert events[-1] == b"data: [DONE]"


async def test_pace(start_mock: Fixture, connect: Fixture) -> None:
    loop = asyncio.get_running_loop()
    for text in ("latency: {uniform: [50ms, 60ms]}", "first_event: 50ms", "gap: 10ms", "token_rate: 100"):
        raw = await connect(await start_mock(f"defaults: {{{text}}}\n"))
        start = loop.time()
        raw.send("POST", CHAT, _body(True))
        await raw.body((await raw.head())[1])
        assert 0.048 <= loop.time() - start < 60


async def test_rules_count_and_the_first_that_matches_wins(start_mock: Fixture, connect: Fixture) -> None:
    mock = await start_mock("""
rules:
  - {when: {nth: 2}, then: {error: {status: 503, retry_after: 1}}}
  - {when: {model: "gpt-*"}, then: {error: {status: 500}}}
  - {when: {operation: [embeddings], every: 2}, then: {error: {status: 401}}}
""")
    raw = await connect(mock)

    async def status(path: str, **more: object) -> int:
        raw.send("POST", path, _body(**more))
        line, headers = await raw.head()
        await raw.body(headers)
        return int(line.split()[1])

    assert [await status(CHAT) for _ in range(3)] == [200, 503, 200]
    assert await status(CHAT, model="gpt-9") == 500
    assert [await status("/v1/embeddings", input="x") for _ in range(4)] == [200, 401, 200, 401]


async def test_chance_is_seeded(start_mock: Fixture, connect: Fixture) -> None:
    text = "seed: 5\nrules: [{when: {probability: 0.5}, then: {error: {status: 500}}}]\n"

    async def run() -> list[int]:
        mock = await start_mock(text)
        raw = await connect(mock)
        for _ in range(30):
            raw.send("POST", CHAT, _body())
            await raw.body((await raw.head())[1])
        return [record.status for record in mock.requests]

    first = await run()
    assert set(first) == {200, 500}
    assert await run() == first
