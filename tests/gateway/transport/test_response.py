"""The reader's side of a response, with a connection that only remembers."""

import asyncio
import math

import pytest

from gateway.errors import Disconnected, HeaderTimeout
from gateway.seams import Late
from gateway.transport.response import PooledResponse


class Remembers:
    """Implements `response.Flow`."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.before = 0.0

    def wait(self, response: PooledResponse, before: float) -> "asyncio.Future[bool]":
        self.before = before
        response.waiter = asyncio.get_running_loop().create_future()
        return response.waiter

    def drained(self, response: PooledResponse) -> None:
        self.events.append("drained")

    def retire(self) -> None:
        self.events.append("retired")


@pytest.fixture
def flow() -> Remembers:
    return Remembers()


@pytest.fixture
def response(flow: Remembers) -> PooledResponse:
    return PooledResponse(flow, False, 60.0, math.inf)


async def test_what_is_buffered_comes_as_one_piece_at_once(response: PooledResponse, flow: Remembers) -> None:
    response.parts += [b"a", b"b", b"c"]
    response.size = 3
    reading = response.chunk()
    with pytest.raises(StopIteration) as done:
        reading.send(None)
    assert done.value.value == b"abc"
    assert response.size == 0
    assert flow.events == ["drained"]


async def test_late_and_again(response: PooledResponse, flow: Remembers) -> None:
    reading = asyncio.ensure_future(response.chunk(5.0))
    await asyncio.sleep(0)
    assert flow.before == 5.0
    response.wake(True)
    with pytest.raises(Late):
        await reading
    reading = asyncio.ensure_future(response.chunk())
    await asyncio.sleep(0)
    assert flow.before == math.inf
    response.parts.append(b"x")
    response.wake(False)
    response.wake(True)
    assert await reading == b"x"


async def test_buffered_bytes_come_before_the_error(response: PooledResponse) -> None:
    response.parts.append(b"x")
    response.error = HeaderTimeout("over")
    assert await response.chunk() == b"x"
    for _ in range(2):
        with pytest.raises(HeaderTimeout):
            await response.chunk()


async def test_close_is_idempotent_and_final(response: PooledResponse, flow: Remembers) -> None:
    response.parts.append(b"x")
    response.close()
    response.close()
    assert flow.events == ["retired"]
    with pytest.raises(Disconnected):
        await response.chunk()


async def test_close_after_the_end_leaves_the_connection_alone(response: PooledResponse, flow: Remembers) -> None:
    response.complete = True
    response.close()
    assert flow.events == []
    assert await response.chunk() == b""


async def test_cancelled_reader_closes(response: PooledResponse, flow: Remembers) -> None:
    reading = asyncio.ensure_future(response.chunk())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert flow.events == ["retired"]
