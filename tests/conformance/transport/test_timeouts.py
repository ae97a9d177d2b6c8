"""Each time-out with its own error, the deadline over all of them, and `Late`, which loses nothing."""

import asyncio
import contextlib
import math
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.errors import ConnectTimeout, DeadlineExceeded, HeaderTimeout, PoolTimeout
from gateway.seams import Late, Origin, Timeouts, Transport, UpstreamResponse
from tests.conformance.transport.hostile import Peer, Talk, ask, soon, until, whole

Serve = Callable[..., Awaitable[Peer]]
HI = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
SHORT = 0.08
"""Seconds of the time-out under test."""
LONGER = [SHORT * 2**number for number in range(8)]
"""Where something must have come before the time is over: a busy machine may need more of it."""
SLACK = 30.0
"""Seconds it may be late on a busy machine. How exact the pool is, is tested in tests/gateway/transport/."""


class Stopwatch:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()

    def check(self, seconds: float = SHORT) -> None:
        assert seconds - 0.005 <= self._loop.time() - self._since <= seconds + SLACK


async def silence(talk: Talk) -> None:
    await talk.gone()


async def slow_body(talk: Talk) -> None:
    await talk.request()
    await talk.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    await talk.gone()


async def test_header_timeout(transport: Transport, serve: Serve) -> None:
    peer = await serve(silence)
    watch = Stopwatch()
    with pytest.raises(HeaderTimeout) as caught:
        await transport.send(ask(peer.origin(), timeouts=Timeouts(header=SHORT)))
    watch.check()
    assert caught.value.sent
    await (await peer.talk()).ended.wait()


async def test_header_timeout_is_not_fed_by_1xx(transport: Transport, serve: Serve) -> None:
    """Informational responses are not the head."""

    async def script(talk: Talk) -> None:
        await talk.request()
        while True:
            await talk.say(b"HTTP/1.1 100 Continue\r\n\r\n")
            await asyncio.sleep(SHORT / 5)

    peer = await serve(script)
    with pytest.raises(HeaderTimeout):
        await transport.send(ask(peer.origin(), timeouts=Timeouts(header=SHORT)))


async def test_header_timeout_starts_after_the_request(transport: Transport, serve: Serve) -> None:
    """A slow upload is not the provider's slowness: it takes longer than the provider may."""

    async def body(patience: float) -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(patience / 5)
            yield b"x"

    async def script(talk: Talk) -> None:
        assert (await talk.request()).body == b"xxxxxx"
        await talk.say(HI)

    peer = await serve(script)
    for patience in LONGER:
        request = ask(peer.origin(), body=body(patience), timeouts=Timeouts(header=patience))
        with contextlib.suppress(HeaderTimeout):
            assert await whole(await transport.send(request)) == b"hi"
            return
    pytest.fail("it never had an answer")


async def test_deadline_before_the_head(transport: Transport, serve: Serve) -> None:
    peer = await serve(silence)
    for seconds in LONGER:
        watch = Stopwatch()
        with pytest.raises(DeadlineExceeded) as caught:
            await transport.send(ask(peer.origin(), deadline=soon(seconds)))
        watch.check(seconds)
        if caught.value.sent:
            break
    assert caught.value.sent
    await until(lambda: peer.talks and not peer.running)


async def test_deadline_during_an_upload(transport: Transport, serve: Serve) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    peer = await serve(silence)
    for seconds in LONGER:
        with pytest.raises(DeadlineExceeded) as caught:
            await transport.send(ask(peer.origin(), body=body(), deadline=soon(seconds)))
        if caught.value.sent:
            break
    assert caught.value.sent
    await until(lambda: peer.talks and not peer.running)


async def begun(transport: Transport, peer: Peer) -> tuple[UpstreamResponse, float]:
    """A response whose head came before its deadline, and the loop's time of that."""
    for seconds in LONGER:
        deadline = soon(seconds)
        with contextlib.suppress(DeadlineExceeded):
            return await transport.send(ask(peer.origin(), deadline=deadline)), deadline
    pytest.fail("no head came in time")


async def test_deadline_in_the_body(transport: Transport, serve: Serve) -> None:
    peer = await serve(slow_body)
    response, deadline = await begun(transport, peer)
    with pytest.raises(DeadlineExceeded):
        await response.chunk()
    assert -0.005 <= soon(0) - deadline <= SLACK
    with pytest.raises(DeadlineExceeded):
        await response.chunk()
    await until(lambda: not peer.running)


async def test_deadline_already_over(transport: Transport, serve: Serve) -> None:
    peer = await serve(silence)
    with pytest.raises(DeadlineExceeded) as caught:
        await transport.send(ask(peer.origin(), deadline=soon(-1)))
    assert not caught.value.sent
    assert peer.talks == []


async def test_deadline_beats_a_later_before(transport: Transport, serve: Serve) -> None:
    peer = await serve(slow_body)
    response, _ = await begun(transport, peer)
    with pytest.raises(DeadlineExceeded):
        await response.chunk(math.inf)


async def test_late_loses_nothing(transport: Transport, serve: Serve) -> None:
    """`Late` is a question answered "not yet": the same response is read on, any number of times."""
    go = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")
        for part in (b"hello", b"world"):
            await go.wait()
            go.clear()
            await talk.say(part)
        await talk.request()
        await talk.say(HI)

    peer = await serve(script)
    response = await transport.send(ask(peer.origin()))
    for expected in (b"hello", b"world"):
        for _ in range(2):
            watch = Stopwatch()
            with pytest.raises(Late):
                await response.chunk(soon(SHORT))
            watch.check()
        go.set()
        assert await response.chunk(math.inf) == expected
    assert await response.chunk(math.inf) == b""
    response.close()
    assert await whole(await transport.send(ask(peer.origin()))) == b"hi"
    assert len(peer.talks) == 1


async def test_before_in_the_past_still_takes_what_is_there(transport: Transport, serve: Serve) -> None:
    peer = await serve(slow_body)
    response = await transport.send(ask(peer.origin()))
    with pytest.raises(Late):
        await response.chunk(soon(-5))
    await peer.talks[0].say(b"5\r\nhello\r\n")
    assert await response.chunk(math.inf) == b"hello"
    response.close()


async def test_connect_timeout(transport: Transport) -> None:
    """A listener whose backlog is full never answers: nothing was sent."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = []
    try:
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        origin = Origin("http", "127.0.0.1", full.getsockname()[1])
        watch = Stopwatch()
        with pytest.raises(ConnectTimeout) as caught:
            await transport.send(ask(origin, timeouts=Timeouts(connect=SHORT)))
        watch.check()
        assert not caught.value.sent
        with pytest.raises(DeadlineExceeded) as caught_deadline:
            await transport.send(ask(origin, timeouts=Timeouts(connect=5), deadline=soon(SHORT)))
        assert not caught_deadline.value.sent
    finally:
        for sock in (full, *fillers):
            sock.close()


async def test_connect_timeout_covers_the_tls_handshake(transport: Transport, serve: Serve) -> None:
    """TCP answers, TLS does not."""
    peer = await serve(silence)
    origin = Origin("https", "127.0.0.1", peer.port)
    watch = Stopwatch()
    with pytest.raises(ConnectTimeout) as caught:
        await transport.send(ask(origin, timeouts=Timeouts(connect=0.2)))
    watch.check(0.2)
    assert not caught.value.sent


async def test_pool_timeout(transport: Transport, serve: Serve) -> None:
    peer = await serve(silence)
    origin = peer.origin(max_connections=1)
    first = asyncio.ensure_future(transport.send(ask(origin)))
    await peer.talk()
    watch = Stopwatch()
    with pytest.raises(PoolTimeout) as caught:
        await transport.send(ask(origin, timeouts=Timeouts(queue=SHORT)))
    watch.check()
    assert not caught.value.sent
    with pytest.raises(DeadlineExceeded):
        await transport.send(ask(origin, deadline=soon(SHORT)))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await until(lambda: not peer.running)
