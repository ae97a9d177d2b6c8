"""A turnstile lets in as many as there are places, wakes who is next, and loses no place to an interruption."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gateway.errors import AtCapacity
from gateway.limits.turnstile import Place, Turnstile, Turnstiles
from gateway.quota import Capacity
from gateway.ride import Ride


class Exchanges:
    """Owner of rides; each exchange enters, notes its place, and stays until it is told to go."""

    def __init__(self, turnstile: Turnstile) -> None:
        self.turnstile = turnstile
        self.inside: dict[str, Place] = {}
        self.refused: dict[str, AtCapacity] = {}
        self.interrupted: set[str] = set()
        self.rides: dict[str, Ride] = {}

    def adopted(self, task: "asyncio.Task[None]") -> None:
        raise AssertionError("waiting for a place makes no task")

    def ended(self, subject: object, error: BaseException | None) -> None:
        assert error is None

    def arrives(self, name: str, team: str = "a", weight: int = 1) -> Ride:
        ride = self.rides[name] = Ride(asyncio.get_running_loop(), self, name)
        ride.begin(self._exchange(name, team, weight))
        return ride

    async def _exchange(self, name: str, team: str, weight: int) -> None:
        try:
            place = self.turnstile.enter_now(team, weight, "interactive")
            self.inside[name] = place or await self.turnstile.enter(team, weight, "interactive")
        except AtCapacity as error:
            self.refused[name] = error
        except asyncio.CancelledError:
            self.interrupted.add(name)

    def leaves(self, name: str) -> None:
        self.inside.pop(name).leave()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


def made(**capacity: Any) -> Exchanges:
    return Exchanges(Turnstile("p", Capacity(**capacity), asyncio.get_running_loop().time))


async def test_who_leaves_wakes_who_is_next_on_the_loops_next_turn() -> None:
    there = made(concurrent=1)
    for name in "abc":
        there.arrives(name)
    assert set(there.inside) == {"a"}
    there.leaves("a")
    assert not there.inside, "not within the other exchange's own step"
    await until(lambda: "b" in there.inside)
    assert (there.turnstile.in_use, there.turnstile.waiting, there.turnstile.granted) == (1, 1, 2)
    there.leaves("b")
    await until(lambda: "c" in there.inside)
    there.leaves("c")
    assert there.turnstile.in_use == there.turnstile.waiting == 0
    assert sum(there.turnstile.waits) == 2


async def test_leaving_twice_gives_back_one_place() -> None:
    there = made(concurrent=2)
    there.arrives("a")
    there.arrives("b")
    place = there.inside["a"]
    place.leave()
    place.leave()
    assert there.turnstile.in_use == 1


async def test_who_waited_in_vain_is_told_and_not_served_later() -> None:
    there = made(concurrent=1, wait=0.01)
    there.arrives("a")
    there.arrives("b")
    there.arrives("c")
    await until(lambda: len(there.refused) == 2)
    assert str(there.refused["b"]) == "no place came free within 0.01 s"
    there.leaves("a")
    await asyncio.sleep(0)
    assert (there.turnstile.in_use, there.turnstile.waiting) == (0, 0)
    assert there.turnstile.refused == {"full": 0, "late": 2}


async def test_a_later_but_shorter_wait_ends_first() -> None:
    """After a reload waits may differ: the one timer is set for the first deadline."""
    there = made(concurrent=1, wait=60.0)
    there.arrives("a")
    there.arrives("b")
    there.turnstile.resize(Capacity(concurrent=1, wait=0.01))
    there.arrives("c")
    await until(lambda: "c" in there.refused)
    assert "b" not in there.refused


async def test_a_full_line_turns_away_and_says_when_to_come_back() -> None:
    there = made(concurrent=1, queue=1)
    for name in "abc":
        there.arrives(name)
    assert str(there.refused["c"]) == "the line is full"
    assert there.refused["c"].retry_after == 2.0
    assert there.turnstile.refused == {"full": 1, "late": 0}


async def test_a_flood_makes_room_in_a_full_line() -> None:
    there = made(concurrent=1, queue=2)
    for name in "abc":
        there.arrives(name, "noisy")
    there.arrives("d", "quiet")
    await until(lambda: there.refused)
    assert set(there.refused) == {"c"}
    assert there.turnstile.refused == {"full": 1, "late": 0}


async def test_who_leaves_while_waiting_gives_its_place_in_line_back() -> None:
    there = made(concurrent=1)
    for name in "abc":
        there.arrives(name)
    there.rides["b"].stop("client_left")
    assert there.interrupted == {"b"}
    assert there.turnstile.waiting == 1
    there.leaves("a")
    await until(lambda: "c" in there.inside)


async def test_who_leaves_between_being_given_a_place_and_running_on_passes_it_on() -> None:
    there = made(concurrent=1)
    for name in "abc":
        there.arrives(name)
    there.leaves("a")
    there.rides["b"].stop("client_left")
    assert there.interrupted == {"b"}
    await until(lambda: "c" in there.inside)
    there.leaves("c")
    assert there.turnstile.in_use == 0


async def test_a_task_waits_as_a_ride_does() -> None:
    there = made(concurrent=1)
    there.arrives("a")
    entering: Coroutine[Any, Any, Place] = there.turnstile.enter("b", 1, "interactive")
    served, cancelled = (
        asyncio.ensure_future(entering),
        asyncio.ensure_future(there.turnstile.enter("c", 1, "interactive")),
    )
    await until(lambda: there.turnstile.waiting == 2)
    cancelled.cancel()
    await until(cancelled.done)
    there.leaves("a")
    (await served).leave()
    assert (there.turnstile.in_use, there.turnstile.waiting) == (0, 0)


async def test_a_reload_opens_and_narrows_the_turnstile_without_losing_anybody() -> None:
    turnstiles = Turnstiles(asyncio.get_running_loop().time)
    turnstiles.resize({"p": Capacity(concurrent=1)})
    there = Exchanges(turnstiles.at("p"))
    for name in "abcdef":
        there.arrives(name)
    turnstiles.resize({"p": Capacity(concurrent=3)})
    await until(lambda: set(there.inside) == set("abc"))
    turnstiles.resize({"p": Capacity(concurrent=2)})
    there.leaves("a")
    await asyncio.sleep(0)
    assert set(there.inside) == set("bc")
    turnstiles.resize({"p": None})
    await until(lambda: set(there.inside) == set("bcdef"))
    assert turnstiles.at("p") is there.turnstile
    assert list(turnstiles) == [there.turnstile]


@pytest.mark.parametrize(("workers", "concurrent", "queue"), [(1, 10, 9), (3, 3, 3), (20, 1, 1)])
def test_each_worker_keeps_its_part_of_the_capacity(workers: int, concurrent: int, queue: int) -> None:
    """ "Rounded down, so that all together never pass the whole; but at least one place each"."""
    part = Capacity(concurrent=10, queue=9, queue_per_team=4, wait=2.0).part(workers)
    assert (part.concurrent, part.queue, part.wait) == (concurrent, queue, 2.0)
    assert part.queue_per_team == -(-4 // workers)
