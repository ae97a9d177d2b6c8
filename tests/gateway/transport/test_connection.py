"""The connection protocol without sockets: any splitting of the bytes is the same response, and timers are exact."""

import asyncio
import itertools
import math
import socket
import threading
import time
from dataclasses import dataclass, field

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import DeadlineExceeded, HeaderTimeout, ProtocolBroken, TollwayError
from gateway.seams import Late
from gateway.transport.connection import Connection
from gateway.transport.limits import Limits
from gateway.transport.response import PooledResponse

OK = b"HTTP/1.1 200 OK\r\n"


@dataclass
class Wire(asyncio.Transport):
    """A transport that remembers what was done to it."""

    written: list[bytes] = field(default_factory=list)
    aborted: bool = False
    paused: bool = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


@dataclass
class Keeper:
    events: list[str] = field(default_factory=list)

    def released(self, connection: Connection) -> None:
        self.events.append("released")

    def retired(self, connection: Connection) -> None:
        self.events.append("retired")

    def vanished(self, connection: Connection) -> None:
        self.events.append("vanished")


def connected(loop: asyncio.AbstractEventLoop, **limits: float) -> tuple[Connection, Wire, Keeper]:
    keeper, wire = Keeper(), Wire()
    connection = Connection(loop, keeper, Limits(**limits), 55.0)
    connection.connection_made(wire)
    return connection, wire, keeper


def asked(connection: Connection, header: float = 60.0, deadline: float = math.inf) -> PooledResponse:
    response = connection.begin(False, header, deadline)
    connection.hand_over(response, [b"request"])
    return response


async def outcome(pieces: list[bytes]) -> tuple[object, ...]:
    """Everything a caller can see of a response that came in these pieces, and what became of the connection."""
    connection, wire, keeper = connected(asyncio.get_running_loop())
    response = asked(connection)
    body = b""
    for piece in pieces:
        if not wire.aborted:
            connection.data_received(piece)
        if response.parts:
            body += await response.chunk()
    if not wire.aborted:
        connection.eof_received()
    error: object = None
    try:
        while data := await response.chunk():
            body += data
    except TollwayError as raised:
        error = type(raised)
    return response.status, response.headers, body if error is None else None, error, "released" in keeper.events


MESSAGES = st.sampled_from(
    [
        OK + b"Content-Length: 11\r\nX-A:  b \r\n\r\nhello world",
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nx-t: 1\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\na: b\r\n\r\n" + OK + b"content-length: 2\r\n\r\nhi",
        b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi",
        OK + b"content-length: 20\r\n\r\ncut short",
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhi",
        OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        OK + b"x: folded\r\n value\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        OK + b"transfer-encoding: gzip\r\n\r\nzipped",
        OK + b"x: " + b"y" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n",
        OK + b"x: y\r\n" * 257 + b"content-length: 0\r\n\r\n",
    ]
)


@settings(deadline=None, max_examples=150)
@given(message=MESSAGES, cuts=st.lists(st.integers(0, 400), max_size=12))
def test_any_splitting_is_the_same_response(message: bytes, cuts: list[int]) -> None:
    """RFC 9112 section 2.2: a message is a sequence of octets; where TCP cuts it means nothing."""
    at = sorted({cut % len(message) for cut in cuts} | {0, len(message)})
    pieces = [message[start:end] for start, end in itertools.pairwise(at)]
    assert asyncio.run(outcome(pieces)) == asyncio.run(outcome([message]))


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300), st.integers(0, 3))
def test_noise_never_hangs_and_never_passes(noise: bytes, kind: int) -> None:
    """Whatever comes: an answer that ends or an error of our family, and the connection is not kept by mistake."""
    start = [b"", OK, OK + b"content-length: 3\r\n\r\n", OK + b"transfer-encoding: chunked\r\n\r\n"][kind]
    status, _, body, error, _ = asyncio.run(outcome([start, noise] if start else [noise]))
    assert error is not None or status
    if kind == 2 and error is None:
        assert body == noise[:3]


async def test_one_write_and_one_wait() -> None:
    connection, wire, keeper = connected(asyncio.get_running_loop())
    response = connection.begin(False, 60.0, math.inf)
    waiting = connection.hand_over(response, [b"request"])
    assert wire.written == [b"request"]
    connection.data_received(OK + b"content-length: 2\r\n\r\nhi")
    assert waiting.done()
    assert keeper.events == ["released"], "given back before the caller has read it"
    assert await response.chunk() == b"hi"
    assert await response.chunk() == b""
    response.close()
    assert keeper.events == ["released"]


async def test_reading_stops_and_starts_with_the_buffer() -> None:
    connection, wire, _ = connected(asyncio.get_running_loop(), high_water=1000)
    response = asked(connection)
    connection.data_received(OK + b"content-length: 5000\r\n\r\n" + b"x" * 1000)
    assert not wire.paused
    connection.data_received(b"x")
    assert wire.paused
    assert len(await response.chunk()) == 1001
    assert not wire.paused
    response.close()


@pytest.mark.parametrize("case", ["head in progress", "paused write", "extra bytes", "extra newline and line"])
async def test_any_doubt_closes(case: str) -> None:
    """A connection is kept only when both messages were whole and nothing was left over."""
    connection, wire, keeper = connected(asyncio.get_running_loop())
    response = connection.begin(False, 60.0, math.inf)
    if case == "paused write":
        connection.pause_writing()
    if case != "head in progress":
        connection.hand_over(response, [b"request"])
    extra = {"extra bytes": b"H", "extra newline and line": b"\r\nHTTP/1.1 200"}.get(case, b"")
    connection.data_received(OK + b"content-length: 2\r\n\r\nhi" + extra)
    assert keeper.events == ["retired"]
    assert wire.aborted
    assert await response.chunk() == b"hi"
    assert await response.chunk() == b""


async def test_bytes_while_idle_close() -> None:
    connection, wire, keeper = connected(asyncio.get_running_loop())
    asked(connection)
    connection.data_received(OK + b"content-length: 0\r\n\r\n")
    connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert keeper.events == ["released", "retired"]
    assert wire.aborted
    assert not connection.usable(0.0)


async def test_deadline_with_nobody_waiting() -> None:
    """A slow reader does not keep the provider's connection beyond the deadline; what came can still be read."""
    loop = asyncio.get_running_loop()
    connection, wire, _ = connected(loop)
    response = asked(connection, deadline=loop.time() + 0.02)
    connection.data_received(OK + b"content-length: 9\r\n\r\nabc")
    while not wire.aborted:
        await asyncio.sleep(0.001)
    assert await response.chunk() == b"abc"
    with pytest.raises(DeadlineExceeded):
        await response.chunk()


async def test_header_clock_waits_for_a_paused_write() -> None:
    """The time-out runs from when the peer's TCP has taken the request."""
    loop = asyncio.get_running_loop()
    connection, wire, _ = connected(loop)
    response = connection.begin(False, 0.02, math.inf)
    connection.pause_writing()
    waiting = connection.hand_over(response, [b"large"])
    await asyncio.sleep(0.05)
    assert not waiting.done()
    connection.resume_writing()
    await waiting
    assert isinstance(response.error, HeaderTimeout)
    assert wire.aborted


async def test_a_writer_is_released_by_the_end() -> None:
    connection, _, _ = connected(asyncio.get_running_loop())
    response = connection.begin(False, 60.0, math.inf)
    connection.pause_writing()
    assert not connection.write(b"x")
    writing = asyncio.ensure_future(connection.writable())
    await asyncio.sleep(0)
    connection.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
    await writing
    assert response.error is not None


@pytest.mark.parametrize("policy", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_timers_are_exact_to_20_ms(policy: type) -> None:
    """Best of several tries, because the machine may be busy; the clock never fires early."""

    async def tries() -> list[float]:
        loop = asyncio.get_running_loop()
        connection, _, _ = connected(loop)
        response = asked(connection)
        connection.data_received(OK + b"content-length: 9\r\n\r\n")
        late: list[float] = []
        for wait in (0.005, 0.01, 0.02, 0.03, 0.05):
            due = loop.time() + wait
            with pytest.raises(Late):
                await response.chunk(due)
            late.append(loop.time() - due)
        response.close()
        return late

    with asyncio.Runner(loop_factory=policy) as runner:
        late = runner.run(tries())
    assert min(late) >= -0.002
    assert min(late) <= 0.02


def test_a_stalled_loop_does_not_blame_the_peer() -> None:
    """The process was busy while the bytes came in time: they are read before the time-out is judged. libuv runs timers
    before it reads sockets, so a callback that blocks between the two makes the order visible."""
    listener = socket.create_server(("127.0.0.1", 0))
    speak, spoken = threading.Event(), threading.Event()
    due = 0.0

    def serve() -> None:
        peer, _ = listener.accept()
        peer.recv(1000)
        peer.sendall(OK + b"content-length: 2\r\n\r\n")
        speak.wait(60)
        peer.sendall(b"hi")
        spoken.set()
        peer.recv(1)
        peer.close()

    def stall(bell: socket.socket) -> None:
        bell.recv(1)
        speak.set()
        spoken.wait(60)
        while time.monotonic() < due + 0.05:
            pass

    async def stalled() -> bytes:
        nonlocal due
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(loop, Keeper(), Limits(), 55.0), *listener.getsockname()
        )
        response = connection.begin(False, 60.0, math.inf)
        await connection.hand_over(response, [b"GET / HTTP/1.1\r\n\r\n"])
        ring, bell = socket.socketpair()
        bell.setblocking(False)
        due = loop.time() + 0.05
        loop.add_reader(bell, stall, bell)
        ring.send(b"x")
        data = await response.chunk(due)
        loop.remove_reader(bell)
        ring.close()
        bell.close()
        connection.retire()
        return data

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(stalled()) == b"hi"
    thread.join(60)
    listener.close()


async def test_error_texts_repeat_nothing_of_the_peer() -> None:
    for data in (b"HTTP/1.1 2x0 secret\r\n", OK + b"x-secret value\r\n\r\n", b"secret\r\n"):
        connection, _, _ = connected(asyncio.get_running_loop())
        response = asked(connection)
        connection.data_received(data)
        assert isinstance(response.error, ProtocolBroken)
        assert "secret" not in str(response.error)


async def test_whole_chunks_go_to_the_relay_and_everything_else_to_the_reader() -> None:
    connection, _, _ = connected(asyncio.get_running_loop())
    response = asked(connection)
    connection.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    taken: list[bytes] = []
    answers = [5.0]

    def relay(framed: bytes, start: int) -> float:
        if answers[0]:
            taken.append(framed[start:-2])
        return answers[0]

    response.offer(relay)
    reading = asyncio.ensure_future(response.chunk())
    await asyncio.sleep(0)
    connection.data_received(b"5\r\nhello\r\n")
    assert (taken, response.until, reading.done()) == ([b"hello"], 5.0, False)
    connection.data_received(b"3\r\nwor")
    assert await reading == b"wor"
    assert connection.data_received(b"5\r\nxxxxx\r\n") is None  # within a chunk, this is no chunk
    assert taken == [b"hello"]


async def test_a_relay_may_wake_its_reader_or_leave_a_chunk_to_it() -> None:
    connection, _, _ = connected(asyncio.get_running_loop())
    response = asked(connection)
    connection.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")
    assert await response.chunk() == b"a"
    verdicts = iter((0.0, -1.0))
    response.offer(lambda framed, start: next(verdicts))
    reading = asyncio.ensure_future(response.chunk())
    await asyncio.sleep(0)
    connection.data_received(b"1\r\nb\r\n")
    assert await reading == b"b"
    reading = asyncio.ensure_future(response.chunk())
    await asyncio.sleep(0)
    connection.data_received(b"1\r\nc\r\n")
    assert await reading == b""
    connection.data_received(b"1\r\nd\r\n0\r\n\r\n")
    assert await response.chunk() == b"d"
    assert response.complete
