"""What goes out: heads, bodies in both framings, back-pressure, and answers that come before the body is over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.errors import Disconnected, ProtocolBroken
from gateway.seams import Transport
from tests.conformance.transport.hostile import Kind, Peer, Talk, ask, until, whole

Serve = Callable[..., Awaitable[Peer]]
HI = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


async def chunks(*data: bytes) -> AsyncIterator[bytes]:
    for part in data:
        await asyncio.sleep(0)
        yield part


async def echo(talk: Talk) -> None:
    """Remembers what it heard (on the talk's peer) and says hi."""
    while True:
        heard = await talk.request()
        talk.writer.write(HI)
        talk.heard.append(heard)


async def test_head_is_what_was_asked_and_no_more(transport: Transport, serve: Serve) -> None:
    """Host and framing are added; no user-agent, accept, accept-encoding or connection field is."""
    peer = await serve(echo)
    target = b"/v1/a%20b/%E2%82%AC;x=1?q=%2F&empty=&z"
    await whole(await transport.send(ask(peer.origin(), target=target, headers=[(b"x-b", b"2"), (b"x-a", b"caf\xe9")])))
    heard = (await peer.talk()).heard[0]
    assert heard.line == b"POST " + target + b" HTTP/1.1"
    assert {name.lower() for name, _ in heard.headers} == {b"host", b"x-b", b"x-a", b"content-length"}
    assert heard.header(b"host") == b"127.0.0.1:%d" % peer.port
    assert heard.header(b"x-a") == b"caf\xe9"
    assert heard.body == b"{}"


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT"])
async def test_empty_body(transport: Transport, serve: Serve, method: str) -> None:
    """RFC 9110 section 8.6: a method that anticipates content says `content-length: 0`."""
    peer = await serve(echo)
    await whole(await transport.send(ask(peer.origin(), method, body=b"")))
    heard = (await peer.talk()).heard[0]
    assert heard.header(b"content-length") == (b"0" if method in ("POST", "PUT") else None)
    assert heard.header(b"transfer-encoding") is None


@pytest.mark.parametrize("size", [1, 65_536, 65_537, 3_000_000])
async def test_bytes_body(transport: Transport, serve: Serve, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    peer = await serve(echo)
    for _ in range(2):
        assert await whole(await transport.send(ask(peer.origin(), body=body[:size]))) == b"hi"
    assert [heard.body == body[:size] for heard in (await peer.talk()).heard] == [True, True]


@pytest.mark.parametrize("length", [None, 11], ids=["chunked", "content-length"])
async def test_streamed_body(transport: Transport, serve: Serve, length: int | None) -> None:
    """Chunks travel in the framing asked for; empty ones do not end the body; the connection is kept."""
    peer = await serve(echo)
    for _ in range(2):
        body = chunks(b"hello", b"", b" ", b"world")
        assert await whole(await transport.send(ask(peer.origin(), body=body, content_length=length))) == b"hi"
    assert len(peer.talks) == 1
    for heard in peer.talks[0].heard:
        assert heard.body == b"hello world"
        assert heard.header(b"transfer-encoding") == (b"chunked" if length is None else None)
        assert heard.header(b"content-length") == (None if length is None else b"11")


@pytest.mark.parametrize("length", [3, 100], ids=["longer", "shorter"])
async def test_streamed_body_of_another_length(transport: Transport, serve: Serve, length: int) -> None:
    """Never a byte more than declared, and never a clean end after fewer."""
    peer = await serve(echo)
    with pytest.raises(ProtocolBroken) as caught:
        await transport.send(ask(peer.origin(), body=chunks(b"hello", b"world"), content_length=length))
    assert caught.value.sent
    await (await peer.talk()).ended.wait()
    assert [len(heard.body) for heard in peer.talks[0].heard] == []


async def test_an_error_of_the_body_is_the_callers(transport: Transport, serve: Serve) -> None:
    """The iterator's own exception comes back as it is, and the half-sent request is cut."""

    class ClientLeftError(Exception):
        pass

    async def body() -> AsyncIterator[bytes]:
        yield b"hello"
        raise ClientLeftError

    peer = await serve(echo)
    with pytest.raises(ClientLeftError):
        await transport.send(ask(peer.origin(), body=body()))
    await (await peer.talk()).ended.wait()
    assert peer.talks[0].heard == []


INJECTIONS = {
    "CRLF in value": {"headers": [(b"x-a", b"1\r\nx-evil: 1")]},
    "LF in value": {"headers": [(b"x-a", b"1\nx-evil: 1")]},
    "CR in value": {"headers": [(b"x-a", b"1\rx")]},
    "NUL in value": {"headers": [(b"x-a", b"1\0")]},
    "CRLF in name": {"headers": [(b"x-a: 1\r\nx-evil", b"1")]},
    "colon in name": {"headers": [(b"x-a: 1", b"1")]},
    "empty name": {"headers": [(b"", b"1")]},
    "space in target": {"target": b"/v1/x HTTP/1.1\r\nx-evil: 1"},
    "CRLF in target": {"target": b"/v1/x\r\nx-evil:1"},
    "empty target": {"target": b""},
    "space in method": {"method": "GET /evil"},
    "content-length given": {"headers": [(b"content-length", b"0")]},
    "transfer-encoding given": {"headers": [(b"transfer-encoding", b"chunked")]},
    "host given": {"headers": [(b"host", b"evil.test")]},
    "connection given": {"headers": [(b"connection", b"close")]},
}


@pytest.mark.parametrize("case", INJECTIONS)
async def test_injection_is_refused(transport: Transport, serve: Serve, case: str) -> None:
    """A request that would change its own framing is refused before a connection is used; values are not repeated."""
    peer = await serve(echo)
    with pytest.raises(ProtocolBroken) as caught:
        await transport.send(ask(peer.origin(), **INJECTIONS[case]))
    assert not caught.value.sent
    assert "evil" not in str(caught.value)
    assert peer.talks == []


async def test_early_response(transport: Transport, serve: Serve, kind: Kind) -> None:
    """RFC 9112 section 9.5: an answer before the body is over is the answer; the rest of the body is not sent, and the
    connection is not used again."""
    sent = 0
    answered = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b"x" * 1000
            if sent == 3:
                await answered.wait()

    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.say(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")
        if not kind.answers_early:
            answered.set()
        await talk.gone()

    peer = await serve(script)
    response = await transport.send(ask(peer.origin(), body=body()))
    assert response.status == 413
    assert await whole(response) == b"big"
    if kind.answers_early:
        assert sent == 3
        await (await peer.talk()).ended.wait()
    else:
        assert sent == 1000
        await transport.aclose()


async def test_early_response_that_streams(transport: Transport, serve: Serve, kind: Kind) -> None:
    """Stopping the request does not stop the answer: it is read to its end, however long after."""
    more, answered = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await answered.wait()
        yield b"y"

    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
        if not kind.answers_early:
            answered.set()
        await more.wait()
        await talk.say(b"world")
        await talk.gone()

    peer = await serve(script)
    response = await transport.send(ask(peer.origin(), body=body()))
    assert await response.chunk() == b"hello"
    more.set()
    assert await whole(response) == b"world"
    if not kind.answers_early:
        await transport.aclose()
    await (await peer.talk()).ended.wait()


async def test_a_bytes_body_that_is_not_taken(transport: Transport, serve: Serve, kind: Kind) -> None:
    """The same for a large body in one piece: an answer comes while most of it is still in our buffer."""

    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.say(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await talk.gone()

    peer = await serve(script)
    response = await transport.send(ask(peer.origin(), body=b"x" * 50_000_000))
    assert (response.status, await whole(response)) == (413, b"big")
    if not kind.answers_early:
        await transport.aclose()
    await (await peer.talk()).ended.wait()
    assert len(peer.talks) == 1


async def test_a_streamed_body_waits_for_the_peer(transport: Transport, serve: Serve) -> None:
    """Back-pressure: a peer that does not read stops the iterator long before 64 MiB are buffered."""
    read_on = asyncio.Event()
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1024):
            sent += 65_536
            yield b"x" * 65_536

    async def script(talk: Talk) -> None:
        await talk.head()
        await read_on.wait()
        await talk.reader.readexactly(sent_total)
        await talk.say(HI)

    sent_total = 1024 * 65_536
    peer = await serve(script)
    sending = asyncio.ensure_future(transport.send(ask(peer.origin(), body=body(), content_length=sent_total)))
    await peer.talk()
    stalled = -1
    while stalled != sent:
        stalled = sent
        await asyncio.sleep(0.05)
    assert 0 < sent < 32 * 2**20
    read_on.set()
    assert await whole(await sending) == b"hi"
    assert sent == sent_total


async def test_the_peer_leaves_during_the_body(transport: Transport, serve: Serve) -> None:
    """The iterator is not pulled any further once nobody listens."""
    release = asyncio.Event()
    pulled = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal pulled
        while True:
            pulled += 1
            yield b"x" * 100
            await asyncio.sleep(0)
            if pulled == 5:
                release.set()

    async def script(talk: Talk) -> None:
        await talk.head()
        await release.wait()
        talk.reset()

    peer = await serve(script)
    with pytest.raises(Disconnected):
        await transport.send(ask(peer.origin(), body=body()))
    seen = pulled
    await until(lambda: not peer.running)
    assert pulled == seen
