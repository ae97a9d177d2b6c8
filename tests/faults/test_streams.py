"""must-haves on streams, time-outs and cancellation, each with a provider that misbehaves on a raw socket."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator

import httpx
import pytest
import yaml

from tests.support.raw import STREAM_HEAD, USAGE, chunk, delta, raw_server, read_request, sse
from tests.support.served import Gateway, configuration, key_hash, wait_for

ASK = {"messages": [{"role": "user", "content": "Hi there"}], "stream": True}


LIMITS = {"connect": "30s", "header": "30s", "first_event": "30s", "idle": "30s", "total": "60s"}
CASES: dict[str, dict[str, str]] = {
    "split": {},
    "bom": {},
    "usage": {},
    "no-done": {},
    "no-finish": {},
    "no-finish-cut": {},
    "comments": {"idle": "400ms", "total": "10m"},
    "silent": {"first_event": "200ms"},
    "endless": {"total": "500ms"},
    "large": {},
    "packed": {},
    "identity": {},
    "left-streaming": {},
    "left-waiting": {},
    "had-it-all": {"idle": "5s"},
    "middle": {},
    "middle-stalls": {"idle": "500ms"},
}
"""Each has a provider, a model and a team of its own name and these time-outs, in the gateway that tests share: no test
sees what another broke or spent."""


def provider(url: str, **timeouts: str) -> dict:
    return {"dialect": "openai", "base_url": url + "/v1", "api_key": "k", "timeouts": {**LIMITS, **timeouts}}


def team(name: str) -> dict:
    return {"keys": [{"id": f"{name}-dev", "hash": key_hash(f"sk-{name}")}]}


@pytest.fixture(scope="module")
def listening() -> Iterator[socket.socket]:
    """Where the provider of every case is: the tests serve here in turn."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held


@pytest.fixture(scope="module")
def gateway(listening: socket.socket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("streams")
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    tree = configuration(
        url,
        data,
        providers={name: provider(url, **timeouts) for name, timeouts in CASES.items()},
        models={name: {"targets": [{"provider": name, "model": "gpt-4o-mini"}]} for name in CASES},
        teams={name: team(name) for name in CASES},
    )
    (data / "gateway.yaml").write_text(yaml.safe_dump(tree))
    started = Gateway(data / "gateway.yaml")
    yield started
    started.stop()


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer sk-{name}"}


async def ask(gateway, case: str, **changes) -> tuple[int, bytes, httpx.Headers]:
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.post(
            gateway.v1 + "/chat/completions", json={**ASK, "model": case, **changes}, headers=key(case)
        )
        return answer.status_code, answer.content, answer.headers


def booked(gateway: Gateway, case: str) -> dict:
    """The total of a case's one request, once it is in the books."""
    return gateway.settled(1, "--team", case)["total"]


def play(*parts: bytes, end: bytes = b"0\r\n\r\n"):
    async def handler(state, reader, writer) -> None:
        state.requests.append(await read_request(reader))
        writer.write(STREAM_HEAD)
        for part in parts:
            writer.write(chunk(part))
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(end)
        await writer.drain()

    return handler


def endless(first: bytes, more: bytes):
    """A stream that says `more` fifty times a second until nobody listens."""

    async def handler(state, reader, writer) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + chunk(first))
        left = asyncio.ensure_future(state.until_closed(reader))
        while not (await asyncio.wait({left}, timeout=0.02))[0]:
            writer.write(chunk(more))

    return handler


WHOLE = sse(delta("Hel"), delta("lo", "stop"), USAGE, "[DONE]")


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
async def test_events_split_anywhere_arrive_whole(gateway, listening, newline: bytes) -> None:
    """Events split anywhere: inside UTF-8, inside \\r\\n\\r\\n."""
    text = sse(delta("naïve ☃"), delta("end", "stop"), USAGE, "[DONE]").replace(b"\n", newline)
    async with raw_server(play(*[text[i : i + 1] for i in range(len(text))]), listening):
        status, body, headers = await ask(gateway, "split", stream_options={"include_usage": True})
    assert status == 200
    assert body == text
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["x-accel-buffering"] == "no"
    assert headers["cache-control"] == "no-cache"


async def test_a_byte_order_mark_is_taken_and_not_passed_on(gateway, listening) -> None:
    """Accept a BOM: the official SDKs lose the first event to one."""
    async with raw_server(play(b"\xef\xbb\xbf" + WHOLE), listening):
        status, body, _ = await ask(gateway, "bom", stream_options={"include_usage": True})
    assert (status, body) == (200, WHOLE)


async def test_the_usage_event_is_asked_for_and_stripped_again(gateway, listening) -> None:
    async with raw_server(play(WHOLE), listening) as upstream:
        _, body, _ = await ask(gateway, "usage")
        assert json.loads(upstream.requests[0][1])["stream_options"] == {"include_usage": True}
    assert b'"usage"' not in body
    assert body.endswith(b"data: [DONE]\n\n")
    total = booked(gateway, "usage")
    assert (total["input_tokens"], total["output_tokens"], total["estimated_requests"]) == (7, 2, 0)


async def test_closed_without_done_after_a_finish_reason_ends_cleanly(gateway, listening) -> None:
    part = sse(delta("Hello", "stop"))
    async with raw_server(play(part), listening):
        _, body, _ = await ask(gateway, "no-done")
    assert body == part


@pytest.mark.parametrize(("case", "end"), [("no-finish", b"0\r\n\r\n"), ("no-finish-cut", b"")])
async def test_closed_without_a_finish_reason_is_an_error_event_and_no_done(gateway, listening, case, end) -> None:
    async with raw_server(play(sse(delta("Hel")), end=end), listening):
        _, body, _ = await ask(gateway, case)
    last = body.strip().split(b"\n\n")[-1]
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "upstream_error"
    assert b"[DONE]" not in body
    total = booked(gateway, case)
    assert total["estimated_requests"] == 1
    assert total["output_tokens"] >= 1


async def test_no_200_before_the_first_event_so_that_another_target_can_serve(serve) -> None:
    """Until the first data event a timeout, 429 or 5xx can still fail over."""

    async def silent(state, reader, writer) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + chunk(b": keep-alive\n\n"))
        await state.until_closed(reader)

    async with raw_server(silent) as first, raw_server(play(WHOLE)) as second:
        gateway = serve(
            providers={"p0": provider(first.url, first_event="1s"), "p1": provider(second.url)},
            models={
                "first": {"targets": [{"provider": "p0", "model": "gpt-4o-mini"}], "fallbacks": ["second"]},
                "second": {"targets": [{"provider": "p1", "model": "gpt-4o-mini"}]},
            },
            teams={"first": team("first")},
        )
        status, body, headers = await ask(gateway, "first")
        assert (status, headers["x-tollway-provider"]) == (200, "p1")
        assert b"Hel" in body
        await asyncio.wait_for(first.closed_by_peer.wait(), 60)


async def test_comments_do_not_keep_an_idle_stream_alive(gateway, listening) -> None:
    """Comments and keep-alives do not reset the semantic idle timer."""
    async with raw_server(endless(sse(delta("Hel")), b": ping\n\n"), listening), asyncio.timeout(60):
        _, body, _ = await ask(gateway, "comments")
    assert json.loads(body.strip().split(b"\n\n")[-1].removeprefix(b"data: "))["error"]["code"] == "upstream_timeout"


async def test_a_first_event_that_never_comes_is_504(gateway, listening) -> None:
    async def silent(state, reader, writer) -> None:
        await read_request(reader)
        await state.until_closed(reader)

    async with raw_server(silent, listening) as upstream:
        status, body, _ = await ask(gateway, "silent")
        assert status == 504
        assert json.loads(body)["error"]["code"] == "upstream_timeout"
        await asyncio.wait_for(upstream.closed_by_peer.wait(), 60)


async def test_the_total_time_cuts_a_stream_that_never_ends(gateway, listening) -> None:
    async with raw_server(endless(sse(delta("x")), sse(delta("x"))), listening), asyncio.timeout(60):
        _, body, _ = await ask(gateway, "endless")
    assert b"upstream_timeout" in body
    assert b"[DONE]" not in body


async def test_one_event_over_the_cap_is_an_error_event(gateway, listening) -> None:
    async with raw_server(play(sse(delta("a")), b"data: " + b"x" * (1 << 21)), listening):
        _, body, _ = await ask(gateway, "large")
    assert b"upstream_error" in body
    assert b"sent a stream that cannot be read: a server-sent event is over 1048576 bytes." in body
    assert len(body) < 10_000


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"zstd"])
async def test_a_compressed_stream_is_named_as_what_it_is(gateway, listening, encoding: bytes) -> None:
    """No compression on SSE: the gateway asks for identity, and its HTTP is valid."""

    async def handler(state, reader, writer) -> None:
        head, _ = await read_request(reader)
        assert b"accept-encoding: identity" in head
        writer.write(STREAM_HEAD[:-2] + b"content-encoding: " + encoding + b"\r\n\r\n")
        await state.until_closed(reader)

    async with raw_server(handler, listening):
        status, body, _ = await ask(gateway, "packed")
    told = "The provider 'packed' sent a stream that cannot be read: it is compressed though identity was asked for."
    assert (status, json.loads(body)["error"]["message"]) == (502, told)


async def test_an_encoding_of_identity_is_none(gateway, listening) -> None:
    async def handler(state, reader, writer) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD[:-2] + b"content-encoding: Identity\r\n\r\n" + chunk(WHOLE) + b"0\r\n\r\n")

    async with raw_server(handler, listening):
        status, body, _ = await ask(gateway, "identity", stream_options={"include_usage": True})
    assert (status, body) == (200, WHOLE)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_closes_the_upstream_at_once_and_is_billed(gateway, listening, stream: bool) -> None:
    """A client that leaves, even while upstream has not answered: close, outcome 499, settle."""

    async def slow(state, reader, writer) -> None:
        state.requests.append(await read_request(reader))
        if stream:
            writer.write(STREAM_HEAD + chunk(sse(delta("Hello you"))))
        await state.until_closed(reader)

    case = "left-streaming" if stream else "left-waiting"
    async with raw_server(slow, listening) as upstream:
        host, port = gateway.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = json.dumps({**ASK, "model": case, "stream": stream}).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-%b\r\n"
            b"content-length: %d\r\n\r\n%b" % (case.encode(), len(body), body)
        )
        if stream:
            await reader.readuntil(b"Hello you")
        else:
            while not upstream.requests:
                await asyncio.sleep(0.01)
        writer.transport.abort()
        await asyncio.wait_for(upstream.closed_by_peer.wait(), 60)
    row = booked(gateway, case)
    assert row["estimated_requests"] == 1
    assert row["input_tokens"] > 0
    assert (row["output_tokens"] > 0) is stream


async def test_a_quiet_stream_gets_a_comment(serve) -> None:
    """A quiet stream gets a comment every `ping` seconds after commit."""
    commented = asyncio.Event()

    async def handler(state, reader, writer) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + chunk(sse(delta("Hel"))))
        await commented.wait()
        writer.write(chunk(WHOLE) + b"0\r\n\r\n")

    async with raw_server(handler) as upstream, httpx.AsyncClient(timeout=60) as client:
        gateway = serve(
            server={"host": "127.0.0.1", "ping": "200ms"},
            providers={"quiet": provider(upstream.url)},
            models={"quiet": {"targets": [{"provider": "quiet", "model": "gpt-4o-mini"}]}},
            teams={"quiet": team("quiet")},
        )
        body, sent = b"", {**ASK, "model": "quiet"}
        async with client.stream("POST", gateway.v1 + "/chat/completions", json=sent, headers=key("quiet")) as answer:
            async for piece in answer.aiter_raw():
                body += piece
                if b": ping\n\n" in body:
                    commented.set()
    assert b": ping\n\n" in body
    assert body.endswith(b"data: [DONE]\n\n")


async def test_a_client_that_closes_after_the_last_event_has_had_it_all(gateway, listening) -> None:
    """The provider's connection has not ended yet; the answer was whole all the same."""

    async def handler(state, reader, writer) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + chunk(WHOLE))
        await state.until_closed(reader)

    case = "had-it-all"
    async with raw_server(handler, listening) as upstream:
        async with httpx.AsyncClient(timeout=60) as client:
            body = {**ASK, "model": case}
            request = client.build_request("POST", gateway.v1 + "/chat/completions", json=body, headers=key(case))
            answer = await client.send(request, stream=True)
            assert (await answer.aread()).endswith(b"data: [DONE]\n\n")
        await asyncio.wait_for(upstream.closed_by_peer.wait(), 60)
    total = booked(gateway, case)
    assert (total["input_tokens"], total["output_tokens"], total["estimated_requests"]) == (7, 2, 0)
    metrics = httpx.get(gateway.url + "/metrics").text.splitlines()
    told = [line for line in metrics if f'team="{case}"' in line and "outcome=" in line]
    assert told
    assert all('outcome="ok"' in line for line in told)


async def test_why_a_provider_failed_is_in_the_log_and_how_long_it_had_in_the_answer(serve) -> None:
    """A stream's answer must begin within `first_event`, not `header`; an operator must hear why nobody was reached."""

    async def silent(state, reader, writer) -> None:
        await read_request(reader)
        await state.until_closed(reader)

    async with raw_server(silent) as upstream:
        gateway = serve(
            providers={
                "p0": provider("http://127.0.0.1:1", first_event="300ms"),
                "p1": provider(upstream.url, first_event="300ms"),
            },
            models={
                "m": {"targets": [{"provider": "p0", "model": "m"}], "fallbacks": ["m1"]},
                "m1": {"targets": [{"provider": "p1", "model": "m"}]},
            },
            teams={"m": team("m")},
        )
        status, body, _ = await ask(gateway, "m")
    assert status == 504
    assert json.loads(body)["error"]["message"] == "The provider 'p1' did not begin to answer within 0.3 s."
    await asyncio.to_thread(wait_for, lambda: gateway.log.read_text().count('"upstream_failed"') == 2, "both lines")
    logged = [json.loads(line) for line in gateway.log.read_text().splitlines() if '"upstream_failed"' in line]
    assert [(line["provider"], line["error"]) for line in logged] == [("p0", "ConnectFailed"), ("p1", "HeaderTimeout")]
    assert logged[0]["reason"].startswith("cannot connect to 127.0.0.1:1: ")


HUGE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20000000\r\n\r\n"
PASSED = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 9\r\n\r\nabc"
ERROR_EVENT = b'data: {"error": {"message": "CUDA out of memory"}}\n\n'


@pytest.mark.parametrize(
    ("path", "head", "body", "stalls", "error", "outcome"),
    [
        ("/chat/completions", STREAM_HEAD, chunk(sse(delta("a"))), False, "Disconnected", "upstream_error"),
        ("/chat/completions", STREAM_HEAD, chunk(sse(delta("a"))), True, "UpstreamTimeout", "upstream_timeout"),
        ("/chat/completions", STREAM_HEAD, chunk(sse(delta("a"))) + chunk(ERROR_EVENT) + b"0\r\n\r\n", True,
         "ErrorEvent", "upstream_error"),
        ("/chat/completions", HUGE, b"{" + b" " * 9_000_000, False, "Disconnected", "upstream_error"),
        ("/chat/completions", HUGE, b"{" + b" " * 9_000_000, True, "DeadlineExceeded", "upstream_timeout"),
        ("/images/generations", PASSED, b"", False, "Disconnected", "upstream_error"),
        ("/images/generations", PASSED, b"", True, "DeadlineExceeded", "upstream_timeout"),
    ],
)  # fmt: skip
async def test_a_failure_in_the_middle_of_an_answer_is_told(
    gateway, listening, path: str, head: bytes, body: bytes, stalls: bool, error: str, outcome: str
) -> None:
    """`upstream_failed`: a provider failed in a way its status does not tell, before its answer began or in its
    middle."""

    async def handler(state, reader, writer) -> None:
        await read_request(reader)
        writer.write(head + body)
        await writer.drain()
        if stalls:
            await state.until_closed(reader)

    case = "middle-stalls" if stalls else "middle"

    def counted(name: str, label: str) -> float:
        lines = httpx.get(gateway.url + "/metrics").text.splitlines()
        found = [line for line in lines if line.startswith(name) and f'"{case}"' in line and label in line]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    failures = ("tollway_upstream_failures_total", f'error="{error}"')
    requests = ("tollway_requests_total", f'outcome="{outcome}"')
    before = await asyncio.to_thread(lambda: [counted(*failures), counted(*requests)])
    async with raw_server(handler, listening), httpx.AsyncClient(timeout=60) as client:
        asked = {**ASK, "model": case, "stream": head == STREAM_HEAD}
        with contextlib.suppress(httpx.RemoteProtocolError):
            await client.post(gateway.v1 + path, json=asked, headers=key(case))
    more = [count + 1 for count in before]
    await asyncio.to_thread(wait_for, lambda: [counted(*failures), counted(*requests)] == more, "it to be counted")

    def told() -> bool:
        logged = [json.loads(line) for line in gateway.log.read_text().splitlines() if '"upstream_failed"' in line]
        return (case, error) in {(line["provider"], line["error"]) for line in logged}

    await asyncio.to_thread(wait_for, told, "the line that tells of it")
    assert "CUDA" not in gateway.log.read_text()
