"""Bytes on the wire that no SDK sends: smuggling shapes, slow clients, huge heads, and what goes up and comes back."""

import asyncio
import gzip
import json
import signal
import socket
import time

import httpx
import pytest

from tests.support.served import get_json, wait_for

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-search\r\n"
KEY = {"authorization": "Bearer sk-search"}


async def talk(gateway, data: bytes) -> bytes:
    """What comes back until the gateway closes, or has answered once."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "shape",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"content-length: +5\r\n\r\nhello",
        b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        b"transfer-encoding: chunked\r\n\r\n-1\r\n",
        b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        b"x-folded: a\r\n b\r\ncontent-length: 2\r\n\r\n{}",
        b"no colon here\r\n\r\n",
        b"x-nul: a\x00b\r\n\r\n",
        b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"host: other\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
async def test_smuggling_shapes_are_refused_and_the_connection_closed(gateway, shape: bytes) -> None:
    answer = await talk(gateway, HEAD + shape + b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"HTTP/1.1 4") == 1
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/models HTTP/1.1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_heads_that_rfc_9112_has_servers_refuse(gateway, head: bytes) -> None:
    answer = await talk(gateway, head)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert b"invalid_http" in answer


async def test_a_head_over_the_bound_is_431(gateway) -> None:
    answer = await talk(gateway, HEAD + b"x-big: " + b"a" * 70_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"headers_too_large" in answer


def test_who_is_still_sending_can_read_why_it_should_not(gateway) -> None:
    """RFC 9112 section 9.6: a connection that is closed at once is reset, and the answer is lost with it."""
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 60) as sock:
        sock.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(30):
            sock.sendall(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer


HASTY = {"host": "127.0.0.1", "header_timeout": "1s", "body_timeout": "1s"}
"""A connection that says nothing for that long is closed without a word: enough, on a busy machine, to begin."""


async def test_slow_heads_and_bodies_are_408(serve) -> None:
    gateway = serve(server=HASTY)
    assert (await talk(gateway, b"POST /v1/chat/completions HT")).startswith(b"HTTP/1.1 408 ")
    answer = await talk(gateway, HEAD + b"connection: close\r\ncontent-length: 100\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in answer


async def test_a_gateway_that_stood_still_gives_its_clients_their_time_anew(serve) -> None:
    """A machine that pauses, and its clients with it: nobody was too slow."""
    gateway = serve(server=HASTY)
    host, port = gateway.url.removeprefix("http://").split(":")
    talks = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
    for (_, writer), begun in zip(talks, (HEAD, HEAD + b"content-length: 100\r\n\r\n{"), strict=True):
        writer.write(begun)
    await asyncio.to_thread(get_json, gateway.url + "/readyz")  # what was sent before has come
    gateway.process.send_signal(signal.SIGSTOP)
    over = time.monotonic() + 4
    await asyncio.to_thread(wait_for, lambda: time.monotonic() > over, "their time to be over")
    resumed = time.monotonic()
    gateway.process.send_signal(signal.SIGCONT)
    for reader, writer in talks:
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 408 "), answer
        assert time.monotonic() - resumed > 1, "a time-out anew"


async def drip(gateway, opening: bytes, piece: bytes) -> bytes:
    """What comes back while `piece` is sent twenty times a second."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(opening)
    answer = asyncio.create_task(reader.read())
    try:
        async with asyncio.timeout(60):
            while not (await asyncio.wait({answer}, timeout=0.05))[0]:
                writer.write(piece)
        return await answer
    finally:
        writer.close()


async def test_dripping_heads_and_bodies_are_408(serve) -> None:
    """Each piece comes in time, and the whole never does."""
    gateway = serve(server=HASTY)
    upload = HEAD.replace(b"chat/completions", b"files") + b"content-type: application/octet-stream\r\n"
    answers = await asyncio.gather(
        drip(gateway, HEAD, b"x: y\r\n"),
        drip(gateway, HEAD + b"content-length: 100000\r\n\r\n", b" "),
        drip(gateway, HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        drip(gateway, HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"x: y\r\n"),
        drip(gateway, upload + b"content-length: 100000\r\n\r\n", b"x"),
        drip(gateway, upload + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    )
    for at, answer in enumerate(answers):
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 "), (at, answer)
        assert json.loads(body)["error"]["code"] == "request_timeout"
    assert b"too slowly" in answers[1]


async def test_a_slow_upload_above_the_least_rate_passes(serve) -> None:
    """It takes longer than `body_timeout`, which is what a busy machine may pause between two pieces."""
    gateway = serve(server={"host": "127.0.0.1", "body_timeout": "2s", "body_rate": "1KiB"})
    upload = HEAD.replace(b"chat/completions", b"files") + b"content-type: application/octet-stream\r\n"
    begun = time.monotonic()
    answer = await drip(gateway, upload + b"connection: close\r\ncontent-length: 245760\r\n\r\n", b"x" * 4096)
    assert time.monotonic() - begun > 2
    assert answer.startswith(b"HTTP/1.1 200 "), answer


async def test_a_declared_over_long_body_is_refused_before_it_is_sent(gateway) -> None:
    answer = await talk(gateway, HEAD + b"expect: 100-continue\r\ncontent-length: 99999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


async def test_pipelined_requests_are_answered_in_order(gateway) -> None:
    one = b"GET /v1/models/gpt-4o HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-search\r\n\r\n"
    two = b"GET /v1/models/alias HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-search\r\nconnection: close\r\n\r\n"
    answer = await talk(gateway, one + two)
    assert answer.index(b'"gpt-4o"') < answer.index(b'"alias"')


def test_what_goes_up_is_chosen(gateway, mock) -> None:
    sent = {
        **KEY,
        "x-api-key": "sk-search",
        "cookie": "session=secret-canary",
        "x-forwarded-for": "10.1.2.3",
        "forwarded": "for=10.1.2.3",
        "openai-organization": "org-canary",
        "x-tollway-tags": "feature=chat",
        "connection": "x-nominated",
        "x-nominated": "1",
        "x-request-id": "my-own-id",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "openai-beta": "assistants=v2",
    }
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}]}
    answer = httpx.post(gateway.v1 + "/chat/completions", json=body, headers=sent)
    assert answer.headers["x-request-id"] == "my-own-id"
    seen = get_json(mock.url + "/last")["headers"]
    seen = {name.lower(): value for name, value in (seen.items() if isinstance(seen, dict) else seen)}
    assert "canary" not in json.dumps(seen)
    assert not {"cookie", "x-forwarded-for", "forwarded", "openai-organization", "x-tollway-tags"} & seen.keys()
    assert not {"x-nominated", "x-api-key"} & seen.keys()
    assert seen["x-request-id"] == "my-own-id"
    assert seen["traceparent"] == sent["traceparent"]
    assert seen["openai-beta"] == "assistants=v2"
    assert seen["accept-encoding"] == "identity"


PACKED = {**KEY, "content-encoding": "gzip", "content-type": "application/json"}


@pytest.mark.parametrize("path", ["/chat/completions", "/images/generations"])
def test_a_compressed_body_goes_up_decoded(gateway, mock, path: str) -> None:
    body = {"model": "alias", "prompt": "a road", "messages": [{"role": "user", "content": "x" * 400_000}]}
    answer = httpx.post(gateway.v1 + path, content=gzip.compress(json.dumps(body).encode()), headers=PACKED)
    assert answer.status_code == 200
    seen = get_json(mock.url + "/last")
    fields = {name.lower(): value for name, value in (dict(seen["headers"]).items())}
    assert "content-encoding" not in fields
    assert int(fields["content-length"]) > 400_000
    assert (seen["body"]["model"], seen["body"]["messages"]) == ("gpt-4o-mini", body["messages"])


def test_a_compressed_body_that_is_passed_through_hides_no_model(gateway) -> None:
    body = gzip.compress(json.dumps({"model": "gpt-4o", "prompt": "x"}).encode())
    headers = {**PACKED, "authorization": "Bearer sk-support"}
    assert httpx.post(gateway.v1 + "/images/generations", content=body, headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("coding", "body", "status", "code"),
    [
        ("br", b"{}", 415, "unsupported_encoding"),
        ("gzip", b"{}", 400, None),
        ("gzip", gzip.compress(b" " * (30 << 20)), 413, "request_too_large"),
    ],
)
@pytest.mark.parametrize("path", ["/chat/completions", "/images/generations"])
def test_other_compressed_bodies_are_refused(gateway, path, coding, body, status, code) -> None:
    answer = httpx.post(gateway.v1 + path, content=body, headers={**PACKED, "content-encoding": coding})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert (answer.headers.get("accept-encoding") == "gzip, deflate") == (status == 415)


@pytest.mark.parametrize("bad", ["x" * 129, "tab\there", "naïve".encode().decode("latin-1")])
def test_an_unfit_request_id_is_replaced(gateway, bad: str) -> None:
    answer = httpx.get(gateway.v1 + "/models", headers={**KEY, "x-request-id": bad.encode("latin-1")})
    assert len(answer.headers["x-request-id"]) == 36


def test_a_redirect_is_never_followed(gateway) -> None:
    body = {"model": "mock-redirect", "messages": [{"role": "user", "content": "x"}]}
    answer = httpx.post(gateway.v1 + "/chat/completions", json=body, headers=KEY)
    assert answer.status_code == 502
    assert "location" not in answer.headers


def test_bad_tags_say_what_is_allowed(gateway) -> None:
    answer = httpx.get(gateway.v1 + "/models", headers={**KEY, "x-tollway-tags": "novalue"})
    assert answer.status_code == 400
    assert "key=value" in answer.json()["error"]["message"]


def test_an_unknown_path_and_a_wrong_method(gateway) -> None:
    assert httpx.get(gateway.url + "/nothing").status_code == 404
    wrong = httpx.get(gateway.v1 + "/embeddings", headers=KEY)
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"


HANDSHAKE = (
    b"host: x\r\nauthorization: Bearer sk-search\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nupgrade: "
)


@pytest.mark.parametrize("path", [b"/v1/realtime?model=gpt-4o", b"/v1/responses", b"/v1/messages"])
async def test_a_websocket_handshake_is_refused_in_the_dialects_envelope(gateway, path: bytes) -> None:
    answer = await talk(gateway, b"GET " + path + b" HTTP/1.1\r\n" + HANDSHAKE + b"websocket\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    told = json.loads(body)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert (told.get("type") == "error") == (path == b"/v1/messages"), "Anthropic's envelope on its path"
    assert told["error"]["type"] == "invalid_request_error"
    assert "does not speak WebSocket" in told["error"]["message"]


async def test_an_offer_of_h2c_is_served_as_if_it_had_not_been_made(gateway) -> None:
    answer = await talk(gateway, b"GET /v1/models HTTP/1.1\r\n" + HANDSHAKE + b"h2c\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


OFFER = b"connection: Upgrade, HTTP2-Settings\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\nupgrade: h2c\r\n"
"""What Java's `HttpClient` sends with every first request of a connection."""


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [7, 10_000])
async def test_a_body_that_comes_with_an_offer_of_h2c_is_read(gateway, chunked: bool, size: int) -> None:
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}).encode()
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(body)
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    first = HEAD + OFFER + b"content-type: application/json\r\n" + framing + b"\r\n\r\n" + sent
    last = HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for at in range(0, len(first), size):
        writer.write(first[at : at + size])
        await writer.drain()
        await asyncio.sleep(0)
    writer.write(first + last)
    got = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert got.count(b"HTTP/1.1 200 ") == 3, got[:300]
    assert got.count(b'"object":"chat.completion"') == 3


async def test_a_request_cannot_hide_behind_the_body_of_one_that_offers_h2c(gateway) -> None:
    """RFC 9112 section 6.3: two framings are an error, whatever is offered beside."""
    both = HEAD + OFFER + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    answer = await talk(gateway, both + b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nHTTP/1.1 " not in answer, "one answer, and no second"
