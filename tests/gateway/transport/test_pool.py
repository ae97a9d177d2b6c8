"""What only our own pool promises: proof before a POST is repeated, order of reuse, figures, and no leak on any
interruption."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.errors import ConnectFailed, Disconnected, HeaderTimeout, PoolTimeout, ProtocolBroken
from gateway.seams import Origin, Timeouts, UpstreamRequest
from gateway.transport.limits import Limits
from gateway.transport.pool import OriginStats, Pool
from gateway.transport.response import PooledResponse
from gateway.transport.staleness import Socket
from tests.conformance.transport.hostile import Peer, Talk, ask, until, whole

HI = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


async def polite(talk: Talk) -> None:
    while True:
        talk.heard.append(await talk.request())
        await talk.say(HI)


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool(Limits(probe_after=0.0))
    yield made
    assert [line for line in made.stats() if line.in_use or line.waiting] == []
    await made.aclose()
    assert made.stats() == []


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = await Peer(polite).start()
    yield made
    await made.stop()
    assert not made.failures


class BlockingServer:
    """A provider on a thread: it can close a connection while our event loop is not looking."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        self.requests = 0
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while connection.recv(65_536).endswith(b"{}"):
                self.requests += 1
                connection.sendall(HI)

    def close_first(self) -> None:
        """Close as an idle time-out would: at once, from outside of the thread that reads."""
        self.connections[0].shutdown(socket.SHUT_RDWR)
        self.connections[0].close()

    def origin(self) -> Origin:
        return Origin("http", "127.0.0.1", self.listener.getsockname()[1])


@pytest.fixture
def blocking() -> Iterator[BlockingServer]:
    server = BlockingServer()
    yield server
    server.listener.close()
    for connection in server.connections:
        connection.close()
    server.thread.join(0.1)


async def test_eof_that_the_loop_has_not_seen_is_found_before_use(pool: Pool, blocking: BlockingServer) -> None:
    assert await whole(await pool.send(ask(blocking.origin()))) == b"hi"
    blocking.close_first()
    assert await whole(await pool.send(ask(blocking.origin()))) == b"hi"
    assert blocking.requests == 2


def close_after_the_look(monkeypatch: pytest.MonkeyPatch, server: BlockingServer) -> list[int]:
    """The server's first connection ends when we have looked at it and not yet written; what was seen at each look."""
    look = Socket.acknowledged
    looks: list[int] = []

    def look_then_close(self: Socket) -> int:
        looks.append(look(self))
        if len(looks) == 1:
            server.close_first()
        return looks[-1]

    monkeypatch.setattr(Socket, "acknowledged", look_then_close)
    return looks


async def test_post_proven_unread_is_repeated(
    pool: Pool, blocking: BlockingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The close crosses our request on the wire: it comes after the look and before the write. RFC 9112 section
    9.3.1."""
    assert await whole(await pool.send(ask(blocking.origin()))) == b"hi"
    looks = close_after_the_look(monkeypatch, blocking)
    assert await whole(await pool.send(ask(blocking.origin()))) == b"hi"
    assert blocking.requests == 2
    assert looks[0] == looks[1] > 0
    assert len(blocking.connections) == 2


async def test_post_without_proof_is_not_repeated(
    pool: Pool, blocking: BlockingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, on a system that does not count acknowledgements."""
    assert await whole(await pool.send(ask(blocking.origin()))) == b"hi"

    def close_and_know_nothing(self: Socket) -> int:
        blocking.close_first()
        return 0

    monkeypatch.setattr(Socket, "acknowledged", close_and_know_nothing)
    with pytest.raises(Disconnected) as caught:
        await pool.send(ask(blocking.origin()))
    assert caught.value.sent
    assert blocking.requests == 1


async def test_the_retry_uses_a_new_connection(pool: Pool) -> None:
    """Other kept connections may be as stale as the first."""
    served = 0

    async def script(talk: Talk) -> None:
        nonlocal served
        await talk.request()
        await talk.say(HI)
        served += 1
        await talk.request()

    peer = await Peer(script).start()
    first, second = await asyncio.gather(pool.send(ask(peer.origin())), pool.send(ask(peer.origin())))
    await whole(first)
    await whole(second)
    assert await whole(await pool.send(ask(peer.origin(), "GET"))) == b"hi"
    assert len(peer.talks) == 3
    await peer.stop()


async def test_the_retry_uses_a_new_connection_even_from_the_line(pool: Pool) -> None:
    """The slot went to whoever waited; what comes back has served before, so it is not used for the retry."""

    async def script(talk: Talk) -> None:
        talk.heard.append(await talk.request())
        await talk.say(HI)
        talk.heard.append(await talk.request())
        if talk.number:
            await talk.say(HI)

    peer = await Peer(script).start()
    origin = peer.origin(max_connections=1)
    assert await whole(await pool.send(ask(origin, "GET"))) == b"hi"
    retried, waiting = (asyncio.ensure_future(pool.send(ask(origin, "GET"))) for _ in range(2))
    assert await whole(await waiting) == b"hi"
    assert await whole(await retried) == b"hi"
    assert [len(talk.heard) for talk in peer.talks] == [2, 1, 1]
    await peer.stop()


async def test_a_retry_that_cannot_connect_says_what_was_sent(pool: Pool) -> None:
    """The first try may have reached the peer: the second's failure to connect must not claim that nothing was sent."""
    servers: list[asyncio.Server] = []

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(HI)
        await talk.request()
        servers[0].close()

    peer = await Peer(script).start()
    assert peer.server is not None
    servers.append(peer.server)
    assert await whole(await pool.send(ask(peer.origin(), "GET"))) == b"hi"
    with pytest.raises(ConnectFailed) as caught:
        await pool.send(ask(peer.origin(), "GET"))
    assert caught.value.sent
    await peer.stop()


async def test_those_who_gave_up_leave_the_line(pool: Pool, peer: Peer) -> None:
    """A provider that hangs must not collect the waiters that timed out on it."""
    origin = peer.origin(max_connections=1)
    go = asyncio.Event()

    async def held(talk: Talk) -> None:
        await talk.request()
        await go.wait()
        await talk.say(HI)

    peer.script = held
    first = asyncio.ensure_future(pool.send(ask(origin)))
    await peer.talk()
    waiters = [pool.send(ask(origin, timeouts=Timeouts(queue=0.01))) for _ in range(5)]
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(result) for result in results] == [PoolTimeout] * 5
    assert len(pool._sites[origin]._slots._line) == 0
    go.set()
    await whole(await first)


async def test_newest_idle_connection_first(pool: Pool, peer: Peer) -> None:
    responses = await asyncio.gather(*(pool.send(ask(peer.origin())) for _ in range(3)))
    for response in responses:
        await whole(response)
    before = [len(talk.heard) for talk in peer.talks]
    for _ in range(4):
        await whole(await pool.send(ask(peer.origin())))
    grown = [len(talk.heard) - count for talk, count in zip(peer.talks, before, strict=True)]
    assert sorted(grown) == [0, 0, 4]


async def test_stats(pool: Pool, peer: Peer) -> None:
    origin = peer.origin(max_connections=2)
    await whole(await pool.send(ask(origin)))
    assert pool.stats() == [OriginStats(origin, open=1, idle=1, in_use=0, waiting=0)]
    go = asyncio.Event()

    async def held(talk: Talk) -> None:
        await talk.request()
        await go.wait()
        await talk.say(HI)
        await talk.gone()

    peer.script = held
    busy = Origin(**{name: getattr(origin, name) for name in origin.__struct_fields__} | {"max_idle": 3})
    running = [asyncio.ensure_future(pool.send(ask(busy))) for _ in range(5)]
    await until(lambda: len(peer.talks) == 3)
    assert pool.stats()[1] == OriginStats(busy, open=2, idle=0, in_use=2, waiting=3)
    peer.script = polite
    go.set()
    for task in running[:2]:
        await whole(await task)
    for task in running[2:]:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await until(lambda: all(line.in_use == 0 for line in pool.stats()))


async def test_an_origin_without_connections_is_forgotten(pool: Pool, peer: Peer) -> None:
    """Each reload may bring new origins; the old ones must not pile up."""
    for number in range(5):
        await whole(await pool.send(ask(peer.origin(idle_seconds=0.02, max_idle=number + 1))))
    await until(lambda: pool.stats() == [])
    assert len(peer.talks) == 5


@pytest.mark.parametrize("option", [{"proxy": "http://127.0.0.1:1"}, {"http2": True}])
async def test_what_the_pool_cannot_speak_is_refused(pool: Pool, peer: Peer, option: dict[str, object]) -> None:
    """A proxy is never passed by silently."""
    with pytest.raises(ConnectFailed, match="httpx"):
        await pool.send(ask(peer.origin(**option)))
    assert peer.talks == []


@pytest.mark.parametrize("place", [0, 1], ids=["served", "in line"])
@pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "streamed"])
async def test_interrupted_at_any_turn(pool: Pool, peer: Peer, streamed: bool, place: int) -> None:
    """Cancel a request after each possible number of event-loop turns, with others waiting for its only slot: nothing
    leaks, and the pool serves the next."""
    origin = peer.origin(max_connections=1)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield b"x"

    def request() -> UpstreamRequest:
        return ask(origin, body=body() if streamed else b"{}")

    async def one() -> bytes:
        return await whole(await pool.send(request()))

    finished = False
    turns = 0
    while not finished:
        tasks = [asyncio.ensure_future(one()) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks[place].cancel()
        async with asyncio.timeout(60):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        finished = results.pop(place) == b"hi"
        assert results == [b"hi", b"hi"]
        assert [(line.in_use, line.waiting) for line in pool.stats()] == [(0, 0)]
        turns += 1
    assert turns > 3


# -- asked without a coroutine -----------------------------------------------------------------------------------------


async def test_a_request_is_asked_at_once_on_an_idle_connection(pool: Pool, peer: Peer) -> None:
    origin = peer.origin()
    await whole(await pool.send(ask(origin)))
    asked = pool.ask(ask(origin, target=b"/v1/again"))
    assert asked is not None
    response, head_came = asked
    assert not await head_came
    assert (response.head_done, response.whole()) == (True, b"hi")
    assert peer.talks[0].heard[1].line == b"POST /v1/again HTTP/1.1"
    assert len(peer.talks) == 1


async def test_nothing_is_asked_where_nothing_is_idle(pool: Pool, peer: Peer) -> None:
    """`ask`: "None: there is none, `send` it." Nothing is written then, and no connection taken."""
    origin = peer.origin()
    assert pool.ask(ask(origin)) is None, "an origin that is not known"
    assert pool.stats() == []
    await whole(await pool.send(ask(origin)))
    first = pool.ask(ask(origin))
    assert first is not None
    assert pool.ask(ask(origin)) is None, "its only connection is in use"
    await first[1]
    assert pool.ask(ask(origin, deadline=asyncio.get_running_loop().time())) is None, "its time is over"
    assert pool.stats() == [OriginStats(origin, open=1, idle=1, in_use=0, waiting=0)]
    assert len(peer.talks[0].heard) == 2


async def test_asking_raises_what_sending_raises(pool: Pool, peer: Peer) -> None:
    await whole(await pool.send(ask(peer.origin())))
    with pytest.raises(ProtocolBroken):
        pool.ask(ask(peer.origin(), target=b"/a b"))
    assert pool.stats()[0].idle == 1


async def test_a_connection_found_closed_is_asked_nothing(pool: Pool, blocking: BlockingServer) -> None:
    await whole(await pool.send(ask(blocking.origin())))
    blocking.close_first()
    assert pool.ask(ask(blocking.origin())) is None
    assert await whole(await pool.send(ask(blocking.origin()))) == b"hi"


async def asked_and_failed(pool: Pool, request: UpstreamRequest) -> PooledResponse:
    """As the forward stage asks."""
    asked = pool.ask(request)
    assert asked is not None
    response, head_came = asked
    await head_came
    assert not response.head_done
    return await pool.failed(request, response)


async def test_what_was_asked_on_a_stale_connection_is_repeated_once(pool: Pool) -> None:
    async def script(talk: Talk) -> None:
        talk.heard.append(await talk.request())
        await talk.say(HI)
        talk.heard.append(await talk.request())
        if talk.number > 1:
            await talk.say(HI)

    peer = await Peer(script).start()
    await whole(await pool.send(ask(peer.origin(), "GET")))
    assert await whole(await asked_and_failed(pool, ask(peer.origin(), "GET"))) == b"hi"
    assert [len(talk.heard) for talk in peer.talks] == [2, 1]
    with pytest.raises(Disconnected):
        await asked_and_failed(pool, ask(peer.origin(), "POST"))
    assert [len(talk.heard) for talk in peer.talks] == [2, 2], "a POST that may have been read is not repeated"
    await peer.stop()


async def test_a_retry_that_fails_too_is_the_last(pool: Pool) -> None:
    async def script(talk: Talk) -> None:
        talk.heard.append(await talk.request())
        if not talk.number:
            await talk.say(HI)
            talk.heard.append(await talk.request())

    peer = await Peer(script).start()
    await whole(await pool.send(ask(peer.origin(), "GET")))
    with pytest.raises(Disconnected) as caught:
        await asked_and_failed(pool, ask(peer.origin(), "GET"))
    assert caught.value.sent
    assert [len(talk.heard) for talk in peer.talks] == [2, 1]
    await peer.stop()


async def test_a_post_asked_and_proven_unread_is_repeated(
    pool: Pool, blocking: BlockingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await whole(await pool.send(ask(blocking.origin()))) == b"hi"
    close_after_the_look(monkeypatch, blocking)
    assert await whole(await asked_and_failed(pool, ask(blocking.origin()))) == b"hi"
    assert blocking.requests == 2


async def test_an_interrupted_ask_closes_its_connection_and_frees_its_slot(pool: Pool, peer: Peer) -> None:
    origin = peer.origin(max_connections=1)
    await whole(await pool.send(ask(origin)))

    asked = pool.ask(ask(origin))
    assert asked is not None
    response, head_came = asked

    async def wait() -> None:
        try:
            await head_came
        except BaseException:
            response.close()
            raise

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [(line.in_use, line.idle) for line in pool.stats()] in ([], [(0, 0)])
    assert await whole(await pool.send(ask(origin))) == b"hi"
    assert len(peer.talks) == 2


async def test_an_answer_that_comes_before_it_is_awaited_and_one_in_pieces(pool: Pool) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(HI)
        await talk.request()
        for at in range(len(HI)):
            await talk.say(HI[at : at + 1])
            await asyncio.sleep(0)
        await talk.request()
        await talk.say(HI)

    peer = await Peer(script).start()
    await whole(await pool.send(ask(peer.origin())))
    for _ in range(2):
        asked = pool.ask(ask(peer.origin()))
        assert asked is not None
        response, head_came = asked
        await until(lambda done=head_came.done: done())
        assert not await head_came
        assert response.head_done
        assert await whole(response) == b"hi"
    await peer.stop()


async def test_an_answer_before_the_request_was_taken_closes_the_connection(pool: Pool) -> None:
    """An early response: what is left of the request can no longer be told from a next one."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(HI)
        await talk.head()
        await talk.say(HI.replace(b"200 OK", b"413 Too Large"))
        await talk.gone()

    peer = await Peer(script).start()
    await whole(await pool.send(ask(peer.origin())))
    asked = pool.ask(ask(peer.origin(), body=b"x" * 50_000_000))
    assert asked is not None
    response, head_came = asked
    await head_came
    assert (response.status, await whole(response)) == (413, b"hi")
    assert pool.ask(ask(peer.origin())) is None
    await peer.stop()


async def test_no_answer_in_time_is_a_header_timeout(pool: Pool) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(HI)
        await talk.gone()

    peer = await Peer(script).start()
    await whole(await pool.send(ask(peer.origin(), "GET")))
    with pytest.raises(HeaderTimeout):
        await asked_and_failed(pool, ask(peer.origin(), "GET", timeouts=Timeouts(header=0.02)))
    assert len(peer.talks) == 1
    await peer.stop()
