"""Keeping, queueing, interrupting and giving back connections; staleness and the one safe retry."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.errors import ConnectFailed, Disconnected
from gateway.seams import Origin, Timeouts, Transport
from tests.conformance.transport.hostile import Kind, Peer, Talk, ask, until, whole

Serve = Callable[..., Awaitable[Peer]]
HI = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


async def polite(talk: Talk) -> None:
    while True:
        talk.heard.append(await talk.request())
        await talk.say(HI)


async def test_connections_are_kept(transport: Transport, serve: Serve) -> None:
    peer = await serve(polite)
    for _ in range(5):
        assert await whole(await transport.send(ask(peer.origin()))) == b"hi"
    assert len(peer.talks) == 1


async def test_origins_do_not_share_connections(transport: Transport, serve: Serve) -> None:
    """Different options to one host are different pools: a client certificate must not leak across providers."""
    peer = await serve(polite)
    await whole(await transport.send(ask(peer.origin())))
    await whole(await transport.send(ask(peer.origin(max_idle=7))))
    assert len(peer.talks) == 2


async def test_idle_connections_expire(transport: Transport, serve: Serve) -> None:
    peer = await serve(polite)
    origin = peer.origin(idle_seconds=0.05)
    await whole(await transport.send(ask(origin)))
    first = peer.talks[0]
    if not first.ended.is_set():
        await asyncio.sleep(0.06)
    await whole(await transport.send(ask(origin)))
    assert len(peer.talks) == 2
    await first.ended.wait()


async def test_no_more_idle_connections_than_allowed(transport: Transport, serve: Serve) -> None:
    peer = await serve(polite)
    origin = peer.origin(max_idle=2)
    for response in await asyncio.gather(*(transport.send(ask(origin)) for _ in range(6))):
        await whole(response)
    await until(lambda: len(peer.running) <= 2)


@pytest.mark.parametrize("size", [1, 4])
async def test_many_requests_over_few_connections(transport: Transport, serve: Serve, size: int) -> None:
    peer = await serve(polite)
    origin = peer.origin(max_connections=size)

    async def one(number: int) -> bytes:
        return await whole(await transport.send(ask(origin, body=b"%d" % number)))

    assert await asyncio.gather(*(one(number) for number in range(20))) == [b"hi"] * 20
    assert len(peer.talks) <= size
    assert sorted(int(heard.body) for talk in peer.talks for heard in talk.heard) == list(range(20))


async def test_the_line_is_first_come_first_served(transport: Transport, serve: Serve) -> None:
    peer = await serve(polite)
    origin = peer.origin(max_connections=1)

    async def one(number: int) -> None:
        await whole(await transport.send(ask(origin, body=b"%d" % number)))

    await asyncio.gather(*(one(number) for number in range(10)))
    assert [heard.body for talk in peer.talks for heard in talk.heard] == [b"%d" % number for number in range(10)]


async def test_a_waiter_that_leaves_loses_no_slot(transport: Transport, serve: Serve) -> None:
    """Waiters interrupted at any moment, before or in the very turn they are served, leave the slot to the next."""
    release = asyncio.Event()

    async def script(talk: Talk) -> None:
        while True:
            await talk.request()
            await release.wait()
            await talk.say(HI)

    peer = await serve(script)
    origin = peer.origin(max_connections=1)

    async def one() -> bytes:
        return await whole(await transport.send(ask(origin)))

    first = asyncio.ensure_future(one())
    await peer.talk()
    waiting = [asyncio.ensure_future(one()) for _ in range(6)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[3].cancel()
    first.add_done_callback(lambda _: waiting[1].cancel())
    release.set()
    results = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert results[0] == b"hi"
    assert [results[number] for number in (3, 5, 6)] == [b"hi"] * 3
    assert await one() == b"hi"


async def test_cancelling_send_closes_the_connection(transport: Transport, serve: Serve) -> None:
    heard = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        heard.set()
        await talk.gone()

    peer = await serve(script)
    sending = asyncio.ensure_future(transport.send(ask(peer.origin(), timeouts=Timeouts(header=60))))
    talk = await peer.talk()
    await heard.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await talk.ended.wait()


async def test_cancelling_chunk_closes_the_connection(transport: Transport, serve: Serve) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        await talk.gone()

    peer = await serve(script)
    response = await transport.send(ask(peer.origin()))
    reading = asyncio.ensure_future(response.chunk())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await (await peer.talk()).ended.wait()
    response.close()


async def test_closing_early_closes_the_connection(transport: Transport, serve: Serve) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        await talk.gone()

    peer = await serve(script)
    response = await transport.send(ask(peer.origin()))
    response.close()
    response.close()
    await (await peer.talk()).ended.wait()
    with pytest.raises(Disconnected):
        await response.chunk()


async def test_cancelling_a_connect_leaves_nothing(transport: Transport, serve: Serve, kind: Kind) -> None:
    """Interrupted while TLS is being negotiated: the socket is closed, the slot is free."""

    enough = asyncio.Event()

    async def script(talk: Talk) -> None:
        await (talk.gone() if kind.closes_cancelled_handshakes else enough.wait())

    peer = await serve(script)
    origin = Origin("https", "127.0.0.1", peer.port, max_connections=1)
    for number in range(2):
        sending = asyncio.ensure_future(transport.send(ask(origin)))
        talk = await peer.talk(number)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        if kind.closes_cancelled_handshakes:
            await talk.ended.wait()
    enough.set()


async def test_a_reader_that_pauses_stops_the_peer(transport: Transport, serve: Serve) -> None:
    """Back-pressure: what is not read is not taken from the peer, and all of it comes in the end."""
    total = 64 * 2**20
    written = 0

    async def script(talk: Talk) -> None:
        nonlocal written
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while written < total:
            await talk.say(b"x" * 65_536)
            written += 65_536

    peer = await serve(script)
    response = await transport.send(ask(peer.origin()))
    stalled = -1
    while stalled != written:
        stalled = written
        await asyncio.sleep(0.05)
    assert written < total / 2
    received = 0
    while data := await response.chunk():
        received += len(data)
        assert len(data) < 2**20
    assert received == total
    response.close()


async def test_a_large_body_arrives_unharmed(transport: Transport, serve: Serve) -> None:
    body = bytes(range(256)) * 8192

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for at in range(0, len(body), 10_007):
            part = body[at : at + 10_007]
            await talk.say(b"%x\r\n%b\r\n" % (len(part), part))
        await talk.say(b"0\r\n\r\n")
        await talk.gone()

    peer = await serve(script)
    assert await whole(await transport.send(ask(peer.origin()))) == body
    await transport.aclose()


async def test_a_kept_connection_that_was_closed_is_not_used(transport: Transport, serve: Serve) -> None:
    """EOF came while idle: the next request goes over a new connection, whatever its method."""
    peer = await serve(lambda talk: _serve_once(talk))
    for number in range(3):
        assert await whole(await transport.send(ask(peer.origin()))) == b"hi"
        await peer.talks[number].ended.wait()
    assert [len(talk.heard) for talk in peer.talks] == [1, 1, 1]


async def _serve_once(talk: Talk) -> None:
    talk.heard.append(await talk.request())
    await talk.say(HI)


def dying_on_second(first_only: bool = True, reset: bool = False) -> Callable[[Talk], Awaitable[None]]:
    """Serves one request on a connection, reads the second one, and hangs up without a word."""

    async def script(talk: Talk) -> None:
        talk.heard.append(await talk.request())
        await talk.say(HI)
        talk.heard.append(await talk.request())
        if talk.number and first_only:
            await talk.say(HI)
            await talk.gone()
        elif reset:
            talk.reset()

    return script


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_idempotent_request_on_a_stale_connection_is_repeated_once(
    transport: Transport, serve: Serve, method: str
) -> None:
    """RFC 9110 section 9.2.2."""
    peer = await serve(dying_on_second())
    for _ in range(2):
        assert await whole(await transport.send(ask(peer.origin(), method))) == b"hi"
    assert [len(talk.heard) for talk in peer.talks] == [2, 1]


async def test_post_that_was_read_is_never_repeated(transport: Transport, serve: Serve) -> None:
    """The peer took the request and hung up: it may have acted on it. RFC 9112 section 9.3.1."""
    peer = await serve(dying_on_second())
    assert await whole(await transport.send(ask(peer.origin()))) == b"hi"
    with pytest.raises(Disconnected) as caught:
        await transport.send(ask(peer.origin()))
    assert caught.value.sent
    assert [len(talk.heard) for talk in peer.talks] == [2]


async def test_reset_after_post_is_never_repeated(transport: Transport, serve: Serve) -> None:
    """A reset proves nothing about what was read before it."""
    peer = await serve(dying_on_second(reset=True))
    assert await whole(await transport.send(ask(peer.origin()))) == b"hi"
    with pytest.raises(Disconnected):
        await transport.send(ask(peer.origin()))
    assert [len(talk.heard) for talk in peer.talks] == [2]


async def test_repeated_once_only(transport: Transport, serve: Serve) -> None:
    """The new connection dies as well: that is the peer's answer."""

    async def script(talk: Talk) -> None:
        talk.heard.append(await talk.request())
        if talk.number == 0:
            await talk.say(HI)
            talk.heard.append(await talk.request())

    peer = await serve(script)
    assert await whole(await transport.send(ask(peer.origin(), "GET"))) == b"hi"
    with pytest.raises(Disconnected):
        await transport.send(ask(peer.origin(), "GET"))
    assert [len(talk.heard) for talk in peer.talks] == [2, 1]


async def test_partial_answer_is_never_repeated(transport: Transport, serve: Serve, kind: Kind) -> None:
    """One response byte is an answer begun."""

    async def script(talk: Talk) -> None:
        talk.heard.append(await talk.request())
        await talk.say(HI)
        talk.heard.append(await talk.request())
        await talk.say(b"H")

    peer = await serve(script)
    assert await whole(await transport.send(ask(peer.origin(), "GET"))) == b"hi"
    if kind.sees_partial_answers:
        with pytest.raises(Disconnected):
            await transport.send(ask(peer.origin(), "GET"))
        assert len(peer.talks) == 1
    else:
        assert await whole(await transport.send(ask(peer.origin(), "GET"))) == b"hi"
        assert len(peer.talks) == 2


async def test_nobody_listens(transport: Transport, serve: Serve) -> None:
    peer = await serve(polite)
    await peer.stop()
    with pytest.raises(ConnectFailed, match="refused") as caught:
        await transport.send(ask(peer.origin()))
    assert not caught.value.sent


async def test_name_without_address(transport: Transport) -> None:
    """RFC 6761 section 6.4: `.invalid` never resolves."""
    with pytest.raises(ConnectFailed) as caught:
        await transport.send(ask(Origin("http", "nobody.invalid", 80), timeouts=Timeouts(connect=5)))
    assert not caught.value.sent


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".test", "no body.test"])
async def test_name_that_is_none(transport: Transport, host: str) -> None:
    with pytest.raises(ConnectFailed):
        await transport.send(ask(Origin("http", host, 80)))


async def test_a_failed_connect_frees_its_slot(transport: Transport, serve: Serve) -> None:
    peer = await serve(polite)
    await peer.stop()
    origin = peer.origin(max_connections=1)
    for _ in range(3):
        with pytest.raises(ConnectFailed):
            await transport.send(ask(origin))


async def test_a_closed_transport_refuses(transport: Transport, serve: Serve) -> None:
    peer = await serve(polite)
    await whole(await transport.send(ask(peer.origin())))
    await transport.aclose()
    with pytest.raises(ConnectFailed):
        await transport.send(ask(peer.origin()))
    await peer.talks[0].ended.wait()


async def test_closing_the_transport_ends_what_runs(transport: Transport, serve: Serve) -> None:
    """A request under way, one waiting in line and a half-read body all end, none hangs."""

    async def script(talk: Talk) -> None:
        await talk.request()
        if talk.number == 0:
            await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        await talk.gone()

    peer = await serve(script)
    origin = peer.origin(max_connections=2)
    half = await transport.send(ask(origin))
    running = asyncio.ensure_future(transport.send(ask(origin)))
    await peer.talk(1)
    waiting = asyncio.ensure_future(transport.send(ask(origin)))
    await asyncio.sleep(0.01)
    await transport.aclose()
    results = await asyncio.gather(running, waiting, return_exceptions=True)
    assert [type(result) for result in results] in ([Disconnected, ConnectFailed], [Disconnected, Disconnected])
    with pytest.raises(Disconnected):
        await whole(half)
    for talk in peer.talks:
        await talk.ended.wait()
