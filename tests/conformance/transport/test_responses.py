"""Responses in every framing, whole and broken (RFC 9112 sections 6 and 7)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.errors import Disconnected, ProtocolBroken
from gateway.seams import Transport
from tests.conformance.transport.hostile import Kind, Peer, Talk, ask, whole

Serve = Callable[..., Awaitable[Peer]]
OK = b"HTTP/1.1 200 OK\r\n"


def answering(*writes: bytes, then_close: bool = False) -> Callable[[Talk], Awaitable[None]]:
    """Answers every request with the same bytes."""

    async def script(talk: Talk) -> None:
        while True:
            await talk.request()
            for data in writes:
                await talk.say(data)
                await asyncio.sleep(0)
            if then_close:
                return

    return script


GOOD = {
    "content-length": (OK + b"content-length: 5\r\n\r\nhello", "POST", 200, b"hello", True),
    "chunked": (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "POST", 200, b"hello", True),
    "chunked with extension": (
        OK + b'transfer-encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n0\r\n\r\n',
        "POST",
        200,
        b"hello",
        True,
    ),
    "chunked with trailers": (
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n",
        "POST",
        200,
        b"hello",
        True,
    ),
    "empty": (OK + b"content-length: 0\r\n\r\n", "POST", 200, b"", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", "POST", 204, b"", True),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", "GET", 304, b"", True),
    "no reason phrase": (b"HTTP/1.1 429 \r\ncontent-length: 2\r\n\r\nno", "POST", 429, b"no", True),
    "100 first": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 2\r\n\r\nhi", "POST", 200, b"hi", True),
    "103 first": (
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK + b"content-length: 2\r\n\r\nhi",
        "POST",
        200,
        b"hi",
        True,
    ),
    "connection: close": (OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi", "POST", 200, b"hi", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", "POST", 200, b"hi", False),
    "upgrade offered, not taken": (
        OK + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nhi",
        "POST",
        200,
        b"hi",
        True,
    ),
}


@pytest.mark.parametrize("case", GOOD)
async def test_good_response(transport: Transport, serve: Serve, case: str) -> None:
    """Status, headers and body come through, twice, and the connection is kept exactly where it may be."""
    data, method, status, body, kept = GOOD[case]
    peer = await serve(answering(data))
    for _ in range(2):
        response = await transport.send(ask(peer.origin(), method))
        assert response.status == status
        assert all(name == name.lower() for name, _ in response.headers)
        assert not any(name == b"link" for name, _ in response.headers)
        assert await whole(response) == body
        assert await response.chunk() == b""
    assert len(peer.talks) == (1 if kept else 2)


async def test_head_has_no_body(transport: Transport, serve: Serve) -> None:
    peer = await serve(answering(OK + b"content-length: 500\r\n\r\n"))
    for _ in range(2):
        response = await transport.send(ask(peer.origin(), "HEAD"))
        assert (response.status, await whole(response)) == (200, b"")
        assert (b"content-length", b"500") in response.headers


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_body_ends_with_the_connection(transport: Transport, serve: Serve, version: bytes) -> None:
    peer = await serve(answering(version + b" 200 OK\r\n\r\n", b"until ", b"the end", then_close=True))
    response = await transport.send(ask(peer.origin()))
    assert await whole(response) == b"until the end"


async def test_headers_keep_order_bytes_and_duplicates(transport: Transport, serve: Serve) -> None:
    head = b"Set-Cookie: a=1\r\nX-Odd: caf\xe9  \r\nSet-Cookie: b=2\r\nContent-Encoding: gzip\r\nX-Empty:\r\n"
    peer = await serve(answering(OK + head + b"content-length: 4\r\n\r\n\x1f\x8b\x00\x01"))
    response = await transport.send(ask(peer.origin()))
    assert response.headers == [
        (b"set-cookie", b"a=1"),
        (b"x-odd", b"caf\xe9"),
        (b"set-cookie", b"b=2"),
        (b"content-encoding", b"gzip"),
        (b"x-empty", b""),
        (b"content-length", b"4"),
    ]
    assert await whole(response) == b"\x1f\x8b\x00\x01", "content-encoding is not ours to undo"


async def test_redirect_is_an_answer(transport: Transport, serve: Serve) -> None:
    peer = await serve(answering(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"))
    response = await transport.send(ask(peer.origin(), "GET"))
    assert (response.status, await whole(response)) == (302, b"")
    assert len(peer.talks) == 1


BROKEN = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "both lengths": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, other order": OK + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "two lengths in one field": OK + b"content-length: 5, 6\r\n\r\nhello!",
    "signed length": OK + b"content-length: +5\r\n\r\nhello",
    "other transfer coding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "space before colon": OK + b"x-a : 1\r\ncontent-length: 0\r\n\r\n",
    "NUL in value": OK + b"x-a: a\0b\r\ncontent-length: 0\r\n\r\n",
    "no field name": OK + b": 1\r\ncontent-length: 0\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "huge header value": OK + b"x-a: " + b"a" * 300_000 + b"\r\ncontent-length: 0\r\n\r\n",
    "endless header value": OK + b"x-a: " + b"a" * 300_000,
    "too many headers": OK + b"x: y\r\n" * 300 + b"content-length: 0\r\n\r\n",
    "too many 1xx": b"HTTP/1.1 103 Early Hints\r\nlink: " + b"a" * 3000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("case", BROKEN)
async def test_broken_head(transport: Transport, serve: Serve, case: str, kind: Kind) -> None:
    """The peer did not speak HTTP/1.1: an error of one class, and the connection is closed at once."""
    data = BROKEN[case] * (60 if case == "too many 1xx" and kind.name == "pool" else 1)
    if case == "too many 1xx" and kind.name != "pool":
        data = BROKEN["endless header value"]

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(data)
        await talk.gone()

    peer = await serve(script)
    with pytest.raises(ProtocolBroken) as caught:
        await transport.send(ask(peer.origin()))
    assert caught.value.sent
    assert "aaaa" not in str(caught.value), "an error does not repeat the peer's bytes"
    await (await peer.talk()).ended.wait()


async def test_obsolete_line_folding(transport: Transport, serve: Serve, kind: Kind) -> None:
    """RFC 9112 section 5.2: a user agent replaces obs-fold by spaces or rejects the message."""
    peer = await serve(answering(OK + b"x-a: one\r\n two\r\ncontent-length: 0\r\n\r\n", then_close=True))
    if kind.refuses_obs_fold:
        with pytest.raises(ProtocolBroken):
            await transport.send(ask(peer.origin()))
    else:
        response = await transport.send(ask(peer.origin()))
        assert (b"x-a", b"one two") in response.headers
        await whole(response)


BROKEN_BODIES = {
    "chunk size not hex": b"5\r\nhello\r\nzz\r\n",
    "negative chunk size": b"5\r\nhello\r\n-1\r\n",
    "chunk size overflow": b"5\r\nhello\r\n" + b"f" * 25 + b"\r\n",
    "chunk longer than its size": b"5\r\nhello!!\r\n0\r\n\r\n",
    "endless chunk size line": b"5\r\nhello\r\n1;" + b"e" * 300_000,
    "endless trailers": b"5\r\nhello\r\n0\r\nx: " + b"t" * 300_000,
}


@pytest.mark.parametrize("case", BROKEN_BODIES)
async def test_broken_chunks(transport: Transport, serve: Serve, case: str) -> None:
    """However far a broken body is delivered, it never ends as if it were whole."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(OK + b"transfer-encoding: chunked\r\n\r\n")
        await talk.say(BROKEN_BODIES[case])
        await talk.gone()

    peer = await serve(script)
    response = await transport.send(ask(peer.origin()))
    with pytest.raises(ProtocolBroken):
        await whole(response)
    response.close()
    await (await peer.talk()).ended.wait()


async def test_extensions_that_dwarf_the_data(transport: Transport, serve: Serve, kind: Kind) -> None:
    """CVE-2023-39326: many chunks, each with a large extension around one byte of data."""
    chunk = b"1;" + b"e" * 4000 + b"\r\nx\r\n"

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(OK + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(100):
            await talk.say(chunk)
        await talk.say(b"0\r\n\r\n")
        await talk.gone()

    peer = await serve(script)
    response = await transport.send(ask(peer.origin()))
    if kind.bounds_extensions:
        with pytest.raises(ProtocolBroken):
            await whole(response)
    else:
        assert await whole(response) == b"x" * 100
        await transport.aclose()
    await (await peer.talk()).ended.wait()


async def test_one_byte_chunks_are_fine(transport: Transport, serve: Serve) -> None:
    """The bound on overhead must not hit a stream of very small chunks."""
    peer = await serve(answering(OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 20_000, b"0\r\n\r\n"))
    response = await transport.send(ask(peer.origin()))
    assert await whole(response) == b"x" * 20_000


CUT = {
    "nothing": b"",
    "inside the status line": b"HTTP/1.1 20",
    "inside the head": OK + b"content-le",
    "only a 100": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("case", CUT)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_cut_before_the_head(transport: Transport, serve: Serve, case: str, reset: bool, method: str) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(CUT[case])
        if reset:
            talk.reset()

    peer = await serve(script)
    with pytest.raises(Disconnected) as caught:
        await transport.send(ask(peer.origin(), method))
    assert caught.value.sent
    assert len(peer.talks) == 1, "a first use of a connection is never repeated"


@pytest.mark.parametrize(
    "head",
    [OK + b"content-length: 10\r\n\r\nhello", OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"],
    ids=["content-length", "chunked"],
)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_cut_inside_the_body(transport: Transport, serve: Serve, head: bytes, reset: bool) -> None:
    """A body that is cut short is an error, never a short body."""
    delivered = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(head)
        await delivered.wait()
        if reset:
            talk.reset()

    peer = await serve(script)
    response = await transport.send(ask(peer.origin()))
    assert await response.chunk() == b"hello"
    delivered.set()
    with pytest.raises(Disconnected):
        await response.chunk()
    with pytest.raises(Disconnected):
        await response.chunk()
    response.close()


async def test_bytes_after_the_response(transport: Transport, serve: Serve, kind: Kind) -> None:
    """Bytes that nobody asked for must not answer the next request (response splitting)."""
    extra = OK + b"content-length: 6\r\n\r\nforged"

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(OK + b"content-length: 4\r\n\r\nreal" + (extra if talk.number == 0 else b""))
        await talk.request()
        await talk.say(OK + b"content-length: 4\r\n\r\nreal")

    peer = await serve(script)
    assert await whole(await transport.send(ask(peer.origin()))) == b"real"
    answer = await whole(await transport.send(ask(peer.origin())))
    assert answer == (b"real" if kind.distrusts_extra_bytes else b"forged")


async def test_bytes_on_an_idle_connection(transport: Transport, serve: Serve) -> None:
    """A response that came before its request is not its answer: the connection is dropped."""
    used = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(OK + b"content-length: 4\r\n\r\nreal")
        if talk.number == 0:
            await used.wait()
            await talk.say(OK + b"content-length: 6\r\n\r\nforged")
            used.clear()
        await talk.gone()

    peer = await serve(script)
    assert await whole(await transport.send(ask(peer.origin()))) == b"real"
    used.set()
    while used.is_set():
        await asyncio.sleep(0)
    assert await whole(await transport.send(ask(peer.origin()))) == b"real"
    assert len(peer.talks) == 2
    await transport.aclose()
