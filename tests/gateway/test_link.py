"""One connection on a transport that records: whose turn it is, and which heads are known."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from gateway.cycle import Cycle
from gateway.link import LINGER, Link
from gateway.ride import Ride, Signal
from gateway.settings.snapshot import ServerOptions
from gateway.wire.head import Head

OPTIONS = ServerOptions(header_timeout=1000, body_timeout=1000)


class Transport:
    """What a connection does to its socket."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = self.aborted = self.paused = self.ended = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default


class AtOnce:
    """An outbox that keeps nothing waiting."""

    def write(self, transport: Transport, data: bytes) -> None:
        transport.write(data)

    def flush(self) -> None: ...


class App:
    """A road that reads the body, waits until the test says so, and answers with it."""

    def __init__(self) -> None:
        self.begun: list[tuple[Cycle, Head | None]] = []
        self.bodies: list[bytes] = []
        self.gates: list[Signal[None]] = []
        self.immediate = False
        self.world = SimpleNamespace(outbox_of=lambda loop: AtOnce())

    async def road(self, cycle: Cycle, head: Head | None, live: Ride) -> None:
        gate: Signal[None] = Signal()
        self.begun.append((cycle, head))
        self.gates.append(gate)
        body = cycle.take(1 << 30)
        if body is None:
            body = await cycle.read(1 << 30)
        self.bodies.append(body)
        if not self.immediate:
            await gate
        await cycle.answer(200, [(b"content-length", b"%d" % len(body))], body)


class Side:
    """A link with its transport and application."""

    def __init__(self) -> None:
        self.app = App()
        self.state = SimpleNamespace(connections=set(), tasks=set(), total_requests=0, default_headers=[])
        config: Any = SimpleNamespace(loaded_app=self.app)
        state: Any = self.state
        self.link = Link(config, state, {}, asyncio.get_running_loop())
        self.transport = Transport()
        transport: Any = self.transport
        self.link.connection_made(transport)
        self.parsed: list[bytes] = []
        parse = self.link._parse

        def noted(data: bytes) -> None:
            self.parsed.append(data)
            parse(data)

        self.link._parse = noted

    def feed(self, *data: bytes) -> None:
        for piece in data:
            self.link.data_received(piece)

    def answers(self) -> list[bytes]:
        """The bodies of the answers so far; they hold no line ends."""
        return [part.split(b"\r\n\r\n", 1)[1] for part in self.transport.written.split(b"HTTP/1.1 200 OK\r\n")[1:]]


@pytest.fixture
async def side() -> Side:
    return Side()


def post(body: bytes, key: bytes = b"k", path: bytes = b"/v1/chat/completions", more: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
        path,
        key,
        len(body),
        more,
        body,
    )


async def turn() -> None:
    """Let the loop do what was put off to its next turn, and what that puts off."""
    for _ in range(4):
        await asyncio.sleep(0)


# -- turns -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False], ids=["a known head", "the parser"])
async def test_a_request_that_comes_between_an_answer_and_the_next_ones_start_waits_its_turn(
    side: Side, known: bool
) -> None:
    """ "Pipelined requests wait their turn." The next one is started a turn of the loop after an answer; what is read
    in that turn must not pass it by: the client would take its answer for the other's."""
    side.feed(post(b"a"))
    side.feed(post(b"b") + post(b"c"))
    side.app.gates[0].fire(None)
    await turn()
    assert not side.transport.paused, "taking a body resumes reading, though another request waits"
    side.app.gates[1].fire(None)
    side.feed(post(b"d") if known else post(b"d", more=b"x-other: 1\r\n"))
    assert len(side.app.begun) == 2
    for number in (2, 3):
        await turn()
        assert len(side.app.begun) == number + 1
        side.app.gates[number].fire(None)
    assert side.app.bodies == side.answers() == [b"a", b"b", b"c", b"d"]


async def test_two_thousand_pipelined_requests_are_answered_in_order_without_recursion(side: Side) -> None:
    side.app.immediate = True
    bodies = [b"%d" % number for number in range(2000)]
    side.feed(b"".join(post(body) for body in bodies))
    for _ in bodies:
        await asyncio.sleep(0)
    assert side.answers() == bodies


async def test_reading_rests_while_requests_wait_and_goes_on_after_them(side: Side) -> None:
    side.feed(post(b"a"), post(b"b"))
    assert side.transport.paused
    side.app.gates[0].fire(None)
    await turn()
    assert not side.transport.paused


# -- known heads -------------------------------------------------------------------------------------------------------


def finish(side: Side) -> None:
    for gate in side.app.gates:
        gate.fire(None)


async def test_the_same_head_again_is_not_parsed_and_shares_what_is_known_of_it(side: Side) -> None:
    side.feed(post(b"one"))
    finish(side)
    side.feed(post(b"another, longer"))
    finish(side)
    (first, _), (second, head) = side.app.begun
    assert len(side.parsed) == 1
    assert head is not None
    assert head is first.parsed
    assert (second.method, second.path, second.query, second.headers) == (
        first.method,
        first.path,
        first.query,
        first.headers,
    )
    assert second.length == 15
    assert side.answers() == [b"one", b"another, longer"]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
async def test_its_body_may_come_in_pieces_and_be_followed_by_the_next(side: Side, size: int) -> None:
    side.app.immediate = True
    side.feed(post(b"one"))
    second, third = post(b"second " * 20), post(b"third")
    at = second.index(b"\r\n\r\n") + 4
    side.feed(second[:at])
    rest = second[at:] + third
    side.feed(*(rest[start : start + size] for start in range(0, len(rest), size)))
    await turn()
    assert side.answers() == [b"one", b"second " * 20, b"third"]


async def test_a_head_in_pieces_is_the_parsers(side: Side) -> None:
    side.app.immediate = True
    side.feed(post(b"one"))
    again = post(b"two")
    side.feed(*(again[start : start + 1] for start in range(len(again))))
    await turn()
    assert side.answers() == [b"one", b"two"]
    assert len(side.parsed) > 2


async def test_a_body_that_never_becomes_whole_is_a_client_that_left(side: Side) -> None:
    side.feed(post(b"one"))
    finish(side)
    side.feed(post(b"second")[:-2])
    ride = side.link.ride
    assert ride is not None
    side.link.connection_lost(None)
    await turn()
    assert ride.reason == "client_left"
    assert side.app.bodies == [b"one"]
    assert side.state.connections == set()


async def test_bytes_due_after_an_early_answer_are_no_request(side: Side) -> None:
    side.feed(post(b"one"))
    finish(side)
    second = post(b"POST /v1/x HTTP/1.1\r\n")
    at = second.index(b"\r\n\r\n") + 4
    side.feed(second[: at + 2])
    cycle = side.link.cycle
    assert cycle is not None
    cycle.response_started = cycle.response_complete = True
    side.feed(second[at + 2 :])
    assert len(side.app.begun) == 2
    assert len(side.parsed) == 1
    assert cycle.body == [], "and nobody keeps them"


NOT_KEPT: dict[str, Callable[[bytes], bytes]] = {
    "http/1.0": lambda data: data.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "an expectation": lambda data: data.replace(b"host:", b"expect: 100-continue\r\nhost:"),
    "connection: close": lambda data: data.replace(b"host:", b"connection: close\r\nhost:"),
    "not below /v1/": lambda data: data.replace(b"/v1/chat", b"/v2/chat"),
    "chunked": lambda data: data.replace(b"content-length: 3", b"transfer-encoding: chunked").replace(
        b"one", b"3\r\none\r\n0\r\n\r\n"
    ),
    "GET": lambda data: data.replace(b"POST", b"GET"),
}


@pytest.mark.parametrize("change", NOT_KEPT.values(), ids=NOT_KEPT)
async def test_heads_with_any_peculiarity_are_not_kept(side: Side, change: Callable[[bytes], bytes]) -> None:
    """ "Only heads without any peculiarity are kept: HTTP/1.1, POST below /v1/, kept alive, one content-length, no
    expectation." """
    side.app.immediate = True

    async def behind(scope: object, receive: object, send: object) -> None: ...

    side.app.behind = behind  # type: ignore[attr-defined]
    side.feed(change(post(b"one")))
    await turn()
    assert side.link._known is None


async def test_while_the_process_leaves_a_known_head_is_the_connections_last(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.app.immediate = True
    side.feed(post(b"one"))
    monkeypatch.setattr(Link, "leaving", True)
    side.feed(post(b"two"))
    assert len(side.parsed) == 1
    assert side.transport.closed
    assert b"connection: close" in side.transport.written


# -- an answer before the request's end --------------------------------------------------------------------------------


async def test_a_client_that_is_still_sending_is_read_without_looking_and_not_for_ever(side: Side) -> None:
    """RFC 9112 section 9.6: the server half-closes, and reads on until the client closes or a time is over."""
    side.app.immediate = True
    side.feed(b"POST /v1/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000\r\n\r\n{")
    cycle, _ = side.app.begun[0]
    await cycle.answer(413, [(b"content-length", b"2")], b"no")
    assert side.transport.ended
    assert not side.transport.closed
    parsed = len(side.parsed)
    side.feed(b"x" * 100_000, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (len(side.parsed), len(side.app.begun)) == (parsed, 1)
    now = asyncio.get_running_loop().time()
    side.link.sweep(now, OPTIONS)
    assert not side.transport.closed
    side.link.sweep(now + LINGER + 1, OPTIONS)
    assert side.transport.aborted


# -- bodies that come too slowly ---------------------------------------------------------------------------------------

SLOW = ServerOptions(header_timeout=10, body_timeout=30, body_rate=512)


async def swept(side: Side, rate: int, most: float, options: ServerOptions = SLOW) -> float:
    """Seconds until a body that comes with `rate` bytes a second, never pausing, is cut; `most`: it is not."""
    link = side.link
    now = start = link._swept_at
    while now - start < most and b"408" not in side.transport.written and not side.transport.closed:
        now += 0.5
        side.feed(b"x" * (rate // 2))
        link._heard_at = now
        link.sweep(now, options)
        await turn()
        if link.ride is not None and link.ride.reason is not None:
            break
    return now - start


@pytest.mark.parametrize(("rate", "cut_after"), [(2, 30.5), (256, 60.5), (500, 1280), (512, 3000), (2048, 3000)])
async def test_a_body_that_comes_too_slowly_is_cut(side: Side, rate: int, cut_after: float) -> None:
    """`server.body_rate`: after t seconds of waiting at least rate * (t - body_timeout) bytes have come."""
    side.feed(b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 900000000\r\n\r\n")
    assert await swept(side, rate, 3000) == pytest.approx(cut_after, abs=1.0)
    assert (side.link.ride is not None and side.link.ride.reason == "body_timeout") == (cut_after < 3000)


@pytest.mark.parametrize(("total", "cut_after"), [(3600.0, 3600.5), (0.0, 5000)])
async def test_a_body_that_keeps_to_its_rate_has_an_end_all_the_same(
    side: Side, total: float, cut_after: float
) -> None:
    """`server.body_total`: a whole body is waited for so long; 0: for ever."""
    side.feed(b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 900000000\r\n\r\n")
    options = msgspec.structs.replace(SLOW, body_total=total)
    assert await swept(side, 2048, 5000, options) == pytest.approx(cut_after, abs=1.0)
    assert (side.link.ride is not None and side.link.ride.reason == "body_timeout") == (total > 0)


async def test_time_in_which_the_gateway_does_not_read_is_not_counted(side: Side) -> None:
    """A provider that takes an upload slowly is no fault of the client."""
    side.feed(b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 900000000\r\n\r\n")
    side.link.flow.pause_reading()
    start = side.link._swept_at
    for second in range(1, 1000):
        side.link.sweep(start + second, SLOW)
    assert side.link.ride is not None
    assert side.link.ride.reason is None
    side.link.flow.resume_reading()
    side.link._heard_at = start + 1000
    side.link.sweep(start + 1000, SLOW)
    assert side.link.ride.reason is None


async def test_a_slow_body_of_the_application_behind_the_road_is_cut_too(side: Side) -> None:
    app: Any = side.app
    heard: list[str] = []

    async def behind(_scope: object, receive: Callable[[], Any], _send: object) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            pass
        heard.append(message["type"])

    app.behind = behind
    side.feed(b"POST /admin/v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
    assert await swept(side, 2, 100) == pytest.approx(30.5, abs=1.0)
    await turn()
    assert side.transport.written.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in side.transport.written
    assert (side.transport.closed, heard) == (True, ["http.disconnect"])
