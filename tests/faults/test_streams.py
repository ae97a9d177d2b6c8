"""must-haves on streams, time-outs and cancellation, each with a provider that misbehaves on a raw socket."""

import asyncio
import json

import httpx
import pytest

from tests.support.raw import STREAM_HEAD, USAGE, chunk, delta, raw_server, read_request, sse
from tests.support.served import key_hash, wait_for

KEY = {"authorization": "Bearer sk-search"}
ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi there"}], "stream": True}


def providers(*urls: str, **timeouts: str) -> dict:
    """A configuration whose model tries `urls` in order."""
    names = [f"p{n}" for n in range(len(urls))]
    limits = {"connect": "30s", "header": "30s", "first_event": "30s", "idle": "30s", "total": "60s", **timeouts}
    return {
        "providers": {
            name: {"dialect": "openai", "base_url": url + "/v1", "api_key": "k", "timeouts": limits}
            for name, url in zip(names, urls, strict=True)
        },
        "models": {
            "gpt-4o-mini": {
                "targets": [{"provider": names[0], "model": "gpt-4o-mini"}],
                "fallbacks": [f"m{n}" for n in range(1, len(urls))],
            },
            **{f"m{n}": {"targets": [{"provider": name, "model": "gpt-4o-mini"}]} for n, name in enumerate(names) if n},
        },
    }


def started(serve, *urls: str, server: dict | None = None, **timeouts: str):
    teams = {"search": {"keys": [{"id": "search-dev", "hash": key_hash("sk-search")}]}}
    changes = {"server": server} if server else {}
    return serve(**providers(*urls, **timeouts), teams=teams, **changes)


async def ask(gateway, **changes) -> tuple[int, bytes, httpx.Headers]:
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.post(gateway.v1 + "/chat/completions", json={**ASK, **changes}, headers=KEY)
        return answer.status_code, answer.content, answer.headers


def play(*parts: bytes, end: bytes = b"0\r\n\r\n", gap: float = 0.0, stall: bool = False):
    async def handler(state, reader, writer) -> None:
        state.requests.append(await read_request(reader))
        writer.write(STREAM_HEAD)
        for part in parts:
            writer.write(chunk(part))
            await writer.drain()
            await asyncio.sleep(gap)
        if stall:
            return await state.until_closed(reader)
        writer.write(end)
        await writer.drain()

    return handler


WHOLE = sse(delta("Hel"), delta("lo", "stop"), USAGE, "[DONE]")


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
async def test_events_split_anywhere_arrive_whole(serve, newline: bytes) -> None:
    """Events split anywhere: inside UTF-8, inside \\r\\n\\r\\n."""
    text = sse(delta("naïve ☃"), delta("end", "stop"), USAGE, "[DONE]").replace(b"\n", newline)
    async with raw_server(play(*[text[i : i + 1] for i in range(len(text))])) as upstream:
        status, body, headers = await ask(started(serve, upstream.url), stream_options={"include_usage": True})
    assert status == 200
    assert body == text
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["x-accel-buffering"] == "no"
    assert headers["cache-control"] == "no-cache"


async def test_a_byte_order_mark_is_taken_and_not_passed_on(serve) -> None:
    """Accept a BOM: the official SDKs lose the first event to one."""
    async with raw_server(play(b"\xef\xbb\xbf" + WHOLE)) as upstream:
        status, body, _ = await ask(started(serve, upstream.url), stream_options={"include_usage": True})
    assert (status, body) == (200, WHOLE)


async def test_the_usage_event_is_asked_for_and_stripped_again(serve) -> None:
    async with raw_server(play(WHOLE)) as upstream:
        gateway = started(serve, upstream.url)
        _, body, _ = await ask(gateway)
        assert json.loads(upstream.requests[0][1])["stream_options"] == {"include_usage": True}
    assert b'"usage"' not in body
    assert body.endswith(b"data: [DONE]\n\n")
    total = gateway.settled(1)["total"]
    assert (total["input_tokens"], total["output_tokens"], total["estimated_requests"]) == (7, 2, 0)


async def test_closed_without_done_after_a_finish_reason_ends_cleanly(serve) -> None:
    part = sse(delta("Hello", "stop"))
    async with raw_server(play(part)) as upstream:
        _, body, _ = await ask(started(serve, upstream.url))
    assert body == part


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b""])
async def test_closed_without_a_finish_reason_is_an_error_event_and_no_done(serve, end: bytes) -> None:
    async with raw_server(play(sse(delta("Hel")), end=end)) as upstream:
        gateway = started(serve, upstream.url)
        _, body, _ = await ask(gateway)
    last = body.strip().split(b"\n\n")[-1]
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "upstream_error"
    assert b"[DONE]" not in body
    total = gateway.settled(1)["total"]
    assert total["estimated_requests"] == 1
    assert total["output_tokens"] >= 1


async def test_no_200_before_the_first_event_so_that_another_target_can_serve(serve) -> None:
    """Until the first data event a timeout, 429 or 5xx can still fail over."""

    async def silent(state, reader, writer) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + chunk(b": keep-alive\n\n"))
        await state.until_closed(reader)

    async with raw_server(silent) as first, raw_server(play(WHOLE)) as second:
        gateway = started(serve, first.url, second.url, first_event="1s")
        status, body, headers = await ask(gateway)
        assert (status, headers["x-tollway-provider"]) == (200, "p1")
        assert b"Hel" in body
        await asyncio.wait_for(first.closed_by_peer.wait(), 60)


async def test_comments_do_not_keep_an_idle_stream_alive(serve) -> None:
    """Comments and keep-alives do not reset the semantic idle timer."""
    parts = [sse(delta("Hel")), *[b": ping\n\n"] * 200]
    async with raw_server(play(*parts, gap=0.02)) as upstream:
        _, body, _ = await ask(started(serve, upstream.url, idle="400ms"))
    assert json.loads(body.strip().split(b"\n\n")[-1].removeprefix(b"data: "))["error"]["code"] == "upstream_timeout"
    assert body.count(b": ping") < 150


async def test_a_first_event_that_never_comes_is_504(serve) -> None:
    async def silent(state, reader, writer) -> None:
        await read_request(reader)
        await state.until_closed(reader)

    async with raw_server(silent) as upstream:
        status, body, _ = await ask(started(serve, upstream.url, first_event="200ms"))
        assert status == 504
        assert json.loads(body)["error"]["code"] == "upstream_timeout"
        await asyncio.wait_for(upstream.closed_by_peer.wait(), 60)


async def test_the_total_time_cuts_a_stream_that_never_ends(serve) -> None:
    async with raw_server(play(*[sse(delta("x"))] * 500, gap=0.02)) as upstream:
        _, body, _ = await ask(started(serve, upstream.url, total="500ms"))
    assert b"upstream_timeout" in body
    assert b"[DONE]" not in body


async def test_one_event_over_the_cap_is_an_error_event(serve) -> None:
    async with raw_server(play(sse(delta("a")), b"data: " + b"x" * (1 << 21))) as upstream:
        _, body, _ = await ask(started(serve, upstream.url))
    assert b"upstream_error" in body
    assert len(body) < 10_000


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_closes_the_upstream_at_once_and_is_billed(serve, stream: bool) -> None:
    """A client that leaves, even while upstream has not answered: close, outcome 499, settle."""

    async def slow(state, reader, writer) -> None:
        state.requests.append(await read_request(reader))
        if stream:
            writer.write(STREAM_HEAD + chunk(sse(delta("Hello you"))))
        await state.until_closed(reader)

    async with raw_server(slow) as upstream:
        gateway = started(serve, upstream.url, idle="30s", first_event="30s")
        host, port = gateway.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = json.dumps({**ASK, "stream": stream}).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-search\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        if stream:
            await reader.readuntil(b"Hello you")
        else:
            while not upstream.requests:
                await asyncio.sleep(0.01)
        writer.transport.abort()
        await asyncio.wait_for(upstream.closed_by_peer.wait(), 60)
    row = gateway.settled(1)["total"]
    assert row["estimated_requests"] == 1
    assert row["input_tokens"] > 0
    assert (row["output_tokens"] > 0) is stream


async def test_a_quiet_stream_gets_a_comment(serve) -> None:
    """A quiet stream gets a comment every `ping` seconds after commit."""
    async with raw_server(play(sse(delta("Hel")), WHOLE, gap=0.6)) as upstream:
        gateway = started(serve, upstream.url, server={"host": "127.0.0.1", "ping": "200ms"}, idle="5s")
        _, body, _ = await ask(gateway)
    assert b": ping\n\n" in body
    assert body.endswith(b"data: [DONE]\n\n")


async def test_a_client_that_closes_after_the_last_event_has_had_it_all(serve) -> None:
    """The provider's connection has not ended yet; the answer was whole all the same."""

    async def handler(state, reader, writer) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + chunk(WHOLE))
        await state.until_closed(reader)

    async with raw_server(handler) as upstream:
        gateway = started(serve, upstream.url, idle="5s")
        async with httpx.AsyncClient(timeout=60) as client:
            request = client.build_request("POST", gateway.v1 + "/chat/completions", json=ASK, headers=KEY)
            answer = await client.send(request, stream=True)
            assert (await answer.aread()).endswith(b"data: [DONE]\n\n")
        await asyncio.wait_for(upstream.closed_by_peer.wait(), 60)
    total = gateway.settled(1)["total"]
    assert (total["input_tokens"], total["output_tokens"], total["estimated_requests"]) == (7, 2, 0)
    rows = httpx.get(gateway.url + "/metrics").text
    assert 'outcome="ok"' in rows
    assert 'outcome="client_left"' not in rows


async def test_why_a_provider_failed_is_in_the_log_and_how_long_it_had_in_the_answer(serve) -> None:
    """A stream's answer must begin within `first_event`, not `header`; an operator must hear why nobody was reached."""

    async def silent(state, reader, writer) -> None:
        await read_request(reader)
        await state.until_closed(reader)

    async with raw_server(silent) as upstream:
        gateway = started(serve, "http://127.0.0.1:1", upstream.url, first_event="300ms")
        status, body, _ = await ask(gateway)
    assert status == 504
    assert json.loads(body)["error"]["message"] == "The provider 'p1' did not begin to answer within 0.3 s."
    await asyncio.to_thread(wait_for, lambda: gateway.log.read_text().count('"upstream_failed"') == 2, "both lines")
    logged = [json.loads(line) for line in gateway.log.read_text().splitlines() if '"upstream_failed"' in line]
    assert [(line["provider"], line["error"]) for line in logged] == [("p0", "ConnectFailed"), ("p1", "HeaderTimeout")]
    assert logged[0]["reason"].startswith("cannot connect to 127.0.0.1:1: ")
