"""The trial behind "the books never await": an exchange interrupted wherever it can wait is settled once and recorded
once.

The road is the real one: a `Link`, a `World` and its `Pool` against a provider on a socket, all in this process. A
counter stands before every step of an exchange's coroutine, so that each run interrupts at the next suspension.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import gateway.delivery as delivery_module
import gateway.exchange as exchange_module
from gateway.app import App
from gateway.client import Client
from gateway.clock import SystemClock
from gateway.facts import Exchange
from gateway.link import Link
from gateway.ride import Live, StopReason
from gateway.server import build_world
from gateway.settings.reload import Configuration
from gateway.wire.head import Head
from gateway.world import World
from tests.gateway.ledger.helpers import journal_lines
from tests.support.raw import STREAM_HEAD, USAGE, chunk, delta, raw_server, read_request, sse
from tests.support.served import configuration

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
ANSWER = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }
).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
"""Provider's answers, and what the client sends, come in pieces with a turn of the loop between them."""


class Books:
    """What was settled and recorded, by exchange."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settled: dict[str, int] = {}
        self.recorded: dict[str, int] = {}
        for module, name in (
            (delivery_module, "settle_answer"),
            (exchange_module, "settle_stream"),
            (exchange_module, "estimate_unanswered"),
        ):
            monkeypatch.setattr(module, name, self._counted(getattr(module, name)))
        record = World.record

        def counted(world: World, x: Exchange) -> None:
            self.recorded[x.id] = self.recorded.get(x.id, 0) + 1
            record(world, x)

        monkeypatch.setattr(World, "record", counted)

    def _counted(self, real: Callable[..., None]) -> Callable[..., None]:
        def settle(x: Exchange, *rest: object) -> None:
            self.settled[x.id] = self.settled.get(x.id, 0) + 1
            real(x, *rest)

        return settle


class Watched:
    """An exchange's coroutine as a ride or task steps it, stopped when it comes to rest for the `at`-th time."""

    def __init__(self, coro: Any, live: Live, at: int, how: str, reason: StopReason) -> None:
        self.coro = coro
        self.live = live
        self.at = at
        self.how = how
        self.reason: StopReason = reason
        self.rests = 0

    def send(self, value: object) -> object:
        return self._rested(self.coro.send(value))

    def throw(self, error: BaseException) -> object:
        return self._rested(self.coro.throw(error))

    def _rested(self, waited: object) -> object:
        self.rests += 1
        if self.rests == self.at:
            if self.how == "while running":
                self.live.stop(self.reason)
            else:
                asyncio.get_running_loop().call_soon(self.live.stop, self.reason)
        return waited


class Road(App):
    """The application; of the exchanges it serves the `number`-th since `watch` is watched."""

    number = 0
    at = 0
    how = ""
    reason: StopReason = "client_left"
    watched: Watched | None = None

    def watch(self, number: int, at: int, how: str, reason: StopReason) -> None:
        self.number, self.at, self.how, self.reason, self.watched = number, at, how, reason, None

    def road(self, client: Client, head: Head | None, live: Live) -> Any:
        coro = super().road(client, head, live)
        self.number -= 1
        if self.number:
            return coro
        self.watched = Watched(coro, live, self.at, self.how, self.reason)
        return self.watched


@pytest.fixture
async def provider() -> AsyncIterator[Any]:
    """Answers each request in small pieces, stream or not."""

    async def handler(state: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, sent = await read_request(reader)
            if sent and json.loads(sent).get("stream"):
                events = [delta("one"), delta("two"), delta("three", "stop"), USAGE, "[DONE]"]
                pieces = [STREAM_HEAD, *(chunk(sse(event)) for event in events), b"0\r\n\r\n"]
            else:
                pieces = [HEAD[:20], HEAD[20:], ANSWER[:30], ANSWER[30:]]
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                for _ in range(3):
                    await asyncio.sleep(0)

    async with raw_server(handler) as state:
        yield state


class Place:
    """A world with its server's socket."""

    def __init__(self, world: World, road: Road, server: asyncio.Server, state: SimpleNamespace) -> None:
        self.world = world
        self.road = road
        self.state = state
        self.port = server.sockets[0].getsockname()[1]

    async def quiet(self) -> None:
        """Returns when no exchange is under way and every task has ended."""
        async with asyncio.timeout(60):
            while self.world.live or self.state.tasks or self.state.connections:
                await asyncio.sleep(0)


ONE_CONNECTION = {"max_connections": 1}
ONE_PLACE = {"max_connections": 2, "capacity": {"concurrent": 1, "queue": 5, "wait": "60s"}}


@pytest.fixture
async def place(tmp_path: Path, provider: Any, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """`request.param`: options of every provider."""
    written = configuration(provider.url, tmp_path)
    for each in written["providers"].values():
        each.update(request.param)
    config = tmp_path / "gateway.yaml"
    config.write_text(yaml.safe_dump(written))
    world = build_world(Configuration(config, clock=SystemClock()))
    await asyncio.to_thread(world.tokens.load, "gpt-4o-mini")

    async def behind(scope: object, receive: object, send: object) -> None:
        raise AssertionError("nothing but the road is asked")

    road = Road(world, behind)
    app: Any = SimpleNamespace(loaded_app=road)
    state: Any = SimpleNamespace(connections=set(), tasks=set(), total_requests=0, default_headers=[])
    server = await asyncio.get_running_loop().create_server(lambda: Link(app, state, {}), "127.0.0.1", 0)
    yield Place(world, road, server, state)
    server.close()
    await world.aclose()


async def send(port: int, pieces: list[bytes]) -> None:
    """One client on a connection of its own: sends, reads what comes until the gateway closes or has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await reader.read()
    except ConnectionError:
        pass  # it was interrupted, and its connection cut
    finally:
        writer.close()


def asked(stream: bool, pieces: int = 1) -> list[bytes]:
    body = json.dumps({**ASK, "stream": stream}).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-search\r\nconnection: close\r\n"
        b"content-length: %d\r\n\r\n" % len(body)
    )
    if pieces == 1:
        return [head + body]
    size = len(body) // pieces + 1
    return [head, *(body[at : at + size] for at in range(0, len(body), size))]


LIMITS = pytest.mark.parametrize("place", [ONE_CONNECTION, ONE_PLACE], indirect=True, ids=["connection", "place"])
CASES: dict[str, tuple[list[list[bytes]], int]] = {
    "unary": ([asked(False)], 1),
    "stream": ([asked(True)], 1),
    "slow body": ([asked(False, 4)], 1),
    "waiting for another": ([asked(False), asked(False)], 2),
    "a stream waiting for another": ([asked(True), asked(True)], 2),
}


@LIMITS
@pytest.mark.parametrize("reason", ["client_left", "shutdown"])
@pytest.mark.parametrize("how", ["while running", "at rest"])
@pytest.mark.parametrize("case", CASES)
async def test_one_settlement_and_one_record_wherever_it_is_interrupted(
    place: Place, monkeypatch: pytest.MonkeyPatch, case: str, how: str, reason: StopReason
) -> None:
    """Rule 3 of the road: "The books never await: settle and record are synchronous". A provider that was at work is
    settled exactly once, nothing is settled twice, everything is recorded once, and no connection and no place at a
    provider stays taken. Requests that must wait do so for a connection, or for a place at a provider of limited
    capacity."""
    clients, watched = CASES[case]
    books = Books(monkeypatch)
    at = 0
    interrupted: set[str] = set()
    while True:
        at += 1
        place.road.watch(watched, at, how, reason)
        async with asyncio.TaskGroup() as group:
            for pieces in clients:
                group.create_task(send(place.port, pieces))
        await place.quiet()
        ride = place.road.watched
        assert ride is not None
        assert [line for line in place.world.pool.stats() if line.in_use or line.waiting] == []
        assert [each.provider for each in place.world.turnstiles if each.in_use or each.waiting] == []
        if ride.rests < at:
            break
    turnstiles = list(place.world.turnstiles)
    assert any(sum(each.waits) for each in turnstiles) is (bool(turnstiles) and len(clients) == 2)
    assert at > {"unary": 3, "stream": 5, "slow body": 5}.get(case, 4), "it comes to rest more often than that"
    assert len(books.recorded) == at * len(clients)
    assert set(books.recorded.values()) == {1}
    assert set(books.settled.values()) == {1}
    place.world.journal.flush()
    lines = journal_lines(place.world.journal.directory)
    starts = [line["id"] for line in lines if line["t"] == "start"]
    ends = [line for line in lines if line["t"] == "end"]
    assert len(starts) == len(set(starts))
    assert sorted(str(line["id"]) for line in ends) == sorted(books.recorded)
    assert set(starts) <= set(books.recorded)
    for line in ends:
        at_work = bool(line.get("attempts"))
        assert (line["id"] in books.settled) is at_work, line
        assert ("usage" in line) is at_work
        interrupted.add(str(line["outcome"]))
    assert interrupted == {"ok", reason}


PASSED = b"GET /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-search\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("place", [ONE_PLACE], indirect=True, ids=["place"])
@pytest.mark.parametrize("how", ["while running", "at rest"])
async def test_what_is_passed_through_takes_a_place_and_gives_it_back_wherever_it_is_interrupted(
    place: Place, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """An operation that is not read is work for the provider as any other."""
    books = Books(monkeypatch)
    at = 0
    while True:
        at += 1
        place.road.watch(2, at, how, "client_left")
        async with asyncio.TaskGroup() as group:
            group.create_task(send(place.port, [PASSED]))
            group.create_task(send(place.port, [PASSED]))
        await place.quiet()
        assert [(each.in_use, each.waiting) for each in place.world.turnstiles] == [(0, 0)]
        ride = place.road.watched
        assert ride is not None
        if ride.rests < at:
            break
    assert at > 3
    assert len(books.recorded) == 2 * at
    (turnstile,) = place.world.turnstiles
    assert sum(turnstile.waits) > 0
