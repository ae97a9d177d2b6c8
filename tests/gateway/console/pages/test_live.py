import asyncio

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from gateway.console.pages.live import MOST, Live
from gateway.console.pulse import Heart
from gateway.console.render import Renderer
from gateway.console.session import LIFETIME, Sessions
from gateway.console.visit import COOKIE, Visit
from gateway.errors import Overloaded
from tests.gateway.admin.fakes import FakeWorld


def visit_of(world: FakeWorld) -> Visit:
    sessions = Sessions(b"k" * 32)
    admin = world.configuration.snapshot.admin_keys[0]
    cookie = sessions.begin(admin, world.clock.now_ns())
    found = sessions.read(cookie, world.configuration.snapshot, world.clock.now_ns())
    assert found is not None
    scope = {"type": "http", "headers": [(b"cookie", f"{COOKIE}={cookie}".encode())], "path": "/console/live"}
    return Visit(world, Request(scope), admin, found[0], sessions, Renderer())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.console.pages.live.STEP", 0.004)


async def test_the_state_is_told_at_once_and_when_it_changes(world: FakeWorld):
    answer = await Live(Heart(world)).stream(visit_of(world))
    assert isinstance(answer, StreamingResponse)
    assert answer.headers["content-type"] == "text/event-stream"
    events = aiter(answer.body_iterator)
    assert await anext(events) == b"retry: 3000\n\n"
    first = await anext(events)
    assert isinstance(first, bytes)
    assert first.startswith(b"event: state\ndata: ")
    assert await anext(events) == b":\n\n"
    world.live.add("one")
    world.clock.advance(5)
    changed = await anext(events)
    assert isinstance(changed, bytes)
    assert msgspec.json.decode(changed.split(b"data: ")[1])["in_flight"] == 1


@pytest.mark.parametrize("end", ["draining", "session over", "too long"])
async def test_it_ends_with_the_gateway_and_with_the_session(world: FakeWorld, end: str):
    """So that a gateway that leaves need not wait for pages that are open."""
    answer = await Live(Heart(world)).stream(visit_of(world))
    assert isinstance(answer, StreamingResponse)
    events = aiter(answer.body_iterator)
    await anext(events)
    await anext(events)
    if end == "draining":
        world.draining = True
    else:
        world.clock.advance(LIFETIME if end == "session over" else 601)
    left = [event async for event in events]
    assert left == []


async def test_there_are_at_most_so_many(world: FakeWorld):
    live = Live(Heart(world))
    open_ = [await live.stream(visit_of(world)) for _ in range(MOST)]
    iterators = [aiter(each.body_iterator) for each in open_ if isinstance(each, StreamingResponse)]
    await asyncio.gather(*(anext(each) for each in iterators))
    with pytest.raises(Overloaded):
        await live.stream(visit_of(world))
    world.draining = True
    for each in iterators:
        assert [event async for event in each] == []
    assert await live.stream(visit_of(world))
