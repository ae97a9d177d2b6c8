"""Streams that end together end one after the other, each in a turn of the event loop."""

import asyncio
import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.endings import GAP, Endings
from gateway.ride import Ride


class Turns:
    """Counts the turns of the running loop."""

    def __init__(self) -> None:
        self.seen = 0
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self.seen += 1
        asyncio.get_running_loop().call_soon(self._next)


class Nobody:
    """Owns rides that end well."""

    def adopted(self, task: "asyncio.Task[None]") -> None:
        raise AssertionError("an end needs no task")

    def ended(self, subject: Any, error: BaseException | None) -> None:
        assert error is None or isinstance(error, asyncio.CancelledError)


async def end(endings: Endings, number: int, turns: Turns, ended: list[tuple[int, int]]) -> None:
    await endings.turn()
    ended.append((number, turns.seen))


def ride(endings: Endings, number: int, turns: Turns, ended: list[tuple[int, int]]) -> Ride:
    """A stream at its end, as a connection's callbacks step it."""
    begun = Ride(asyncio.get_running_loop(), Nobody())
    begun.begin(end(endings, number, turns, ended))
    return begun


def test_the_first_in_a_turn_ends_at_once_and_the_others_one_a_turn():
    async def played() -> None:
        endings, turns, ended = Endings(lambda: 0.0, lambda: 1000), Turns(), list[tuple[int, int]]()
        for number in range(4):
            ride(endings, number, turns, ended)
        assert ended == [(0, 0)]
        while len(ended) < 4:
            await asyncio.sleep(0)
        assert [number for number, _ in ended] == [0, 1, 2, 3]
        seen = [turn for _, turn in ended]
        assert all(later > earlier for earlier, later in itertools.pairwise(seen))

        await asyncio.sleep(0)
        await asyncio.sleep(0)
        ride(endings, 4, turns, ended)
        assert ended[-1] == (4, turns.seen), "nobody waits after a row has been worked off"

    asyncio.run(played())


def test_a_request_that_comes_meanwhile_is_served_before_the_ends_that_wait():
    async def played() -> None:
        endings, turns, ended = Endings(lambda: 0.0, lambda: 1000), Turns(), list[tuple[int, int]]()
        for number in range(10):
            ride(endings, number, turns, ended)
        asyncio.get_running_loop().call_soon(lambda: ended.append((-1, turns.seen)))
        while len(ended) < 11:
            await asyncio.sleep(0)
        assert [number for number, _ in ended].index(-1) <= 2

    asyncio.run(played())


@given(st.integers(2, 200), st.integers(1, 60))
def test_a_row_in_which_more_end_than_are_under_way_is_worked_off_at_once(streams: int, under_way: int):
    """Each turn ends one, until as many have ended as are under way; then the next turn ends all that wait. All have
    their turn, in order."""

    async def played() -> None:
        endings, turns, ended = Endings(lambda: 0.0, lambda: under_way), Turns(), list[tuple[int, int]]()
        for number in range(streams):
            ride(endings, number, turns, ended)
        while len(ended) < streams:
            await asyncio.sleep(0)
        assert [number for number, _ in ended] == list(range(streams))
        alone = min(under_way, streams)
        assert [turn for _, turn in ended] == [*range(alone), *[alone] * (streams - alone)]

    asyncio.run(played())


@given(st.booleans())
def test_load_stays_load_until_there_was_a_pause(paused: bool):
    """`GAP` seconds without an end begin another row; rows that follow each other sooner are one."""

    async def played() -> None:
        clock = 0.0
        endings, turns, ended = Endings(lambda: clock, lambda: 4), Turns(), list[tuple[int, int]]()
        for number in range(6):
            ride(endings, number, turns, ended)
        for _ in range(12):
            await asyncio.sleep(0)
        assert len(ended) == 6
        clock += 2 * GAP if paused else GAP / 2
        for number in range(6, 10):
            ride(endings, number, turns, ended)
        while len(ended) < 10:
            await asyncio.sleep(0)
        first, *others = [turn for _, turn in ended[6:]]
        assert others == ([first + 1, first + 2, first + 3] if paused else [first + 1] * 3)

    asyncio.run(played())


def test_one_that_is_stopped_while_it_waits_keeps_no_other_from_its_turn():
    async def played() -> None:
        endings, turns, ended = Endings(lambda: 0.0, lambda: 1000), Turns(), list[tuple[int, int]]()
        begun = [ride(endings, number, turns, ended) for number in range(4)]
        begun[2].stop("client_left")
        while len(ended) < 3:
            await asyncio.sleep(0)
        assert [number for number, _ in ended] == [0, 1, 3]

    asyncio.run(played())


def test_a_task_waits_for_its_turn_as_well():
    async def played() -> None:
        endings, turns, ended = Endings(lambda: 0.0, lambda: 1000), Turns(), list[tuple[int, int]]()
        async with asyncio.timeout(60):
            await asyncio.gather(*(end(endings, number, turns, ended) for number in range(5)))
        assert [number for number, _ in ended] == [0, 1, 2, 3, 4]

    asyncio.run(played())
