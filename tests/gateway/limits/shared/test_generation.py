"""Who finds a store empty begins a generation; the cut is when the last of those who knew another one lost that."""

from collections.abc import AsyncIterator

import pytest

from gateway.clock import ManualClock
from gateway.limits.shared.generation import CORRECTED, FIRST_TERM, Generations
from gateway.limits.shared.redis_open import SharedStore
from tests.gateway.limits.helpers import opened
from tests.support.redis_servers import RedisServer

T0 = 1_700_000_000 * 10**9
SECOND = 10**9


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[SharedStore]:
    async with opened(redis_server.url) as made:
        yield made


class Workers:
    """Some, of one clock."""

    def __init__(self, store: SharedStore, redis: RedisServer) -> None:
        self.store, self.redis, self.clock = store, redis, ManualClock(T0)

    def start(self, name: str, ledger: str = "1") -> Generations:
        made = Generations(self.store.ask, self.store.prefix, self.clock, name)
        made.ledger = ledger
        return made

    def lose(self, *groups: str) -> None:
        for group in groups or ("g",):
            for kept in ("generation", "recounting:1", "recounting:2", "kept"):
                self.redis.ask("DEL", f"{self.store.prefix}:{{{group}}}:{kept}")


@pytest.fixture
def workers(store: SharedStore, redis_server: RedisServer) -> Workers:
    return Workers(store, redis_server)


async def finish(one: Generations) -> list[str]:
    turns = await one.turns()
    await one.ready([(group, each) for group, each in turns.items() if not each.own])
    return sorted(turns)


def cut(one: Generations, group: str = "g") -> float:
    return (one._known[group].cut_ns - T0) / SECOND


async def test_one_of_all_restores_and_all_wait_for_it(workers: Workers) -> None:
    one, other = workers.start("a"), workers.start("b")
    assert not await one.look()
    assert not await other.look()
    assert await other.turns() != {}
    assert await one.turns() == {}, "it is the other's"
    await other.ready(other._known.items())
    assert await one.look()
    assert await other.look()


async def test_the_cut_is_when_the_last_lost_it(workers: Workers) -> None:
    early, late, idle = workers.start("a"), workers.start("b"), workers.start("c")
    for each in (early, late, idle):
        await each.look()
    await finish(early)
    for each in (early, late, idle):
        assert await each.look()
    workers.clock.advance(10)
    early.lost()
    workers.clock.advance(1)
    late.lost()
    late.lost()
    workers.lose()
    workers.clock.advance(20)
    new = workers.start("new")
    await early.look()
    assert cut(early) == 10
    await late.look()
    await new.look()
    await early.look()
    assert cut(early) == cut(late) == cut(new) == 11
    await idle.look()
    await early.look()
    assert cut(early) == 31, "who only saw that it is another one; never later than it began"


async def test_a_worker_that_knew_none_answers_since_its_start(workers: Workers) -> None:
    fresh = workers.start("a")
    workers.clock.advance(5)
    await fresh.look()
    assert cut(fresh) == 0


async def test_a_generation_of_another_ledger(workers: Workers) -> None:
    """Who lost the store waits for its own ledger, and is the one to tell it; who joins waits for nothing."""
    one, other = workers.start("a", "1"), workers.start("b", "2")
    await one.look()
    await finish(one)
    assert await other.look(), "it joins"
    assert await finish(other) == ["g"]
    workers.lose()
    assert not await one.look()
    assert not await other.look()
    assert await finish(one) == ["g"]
    assert await one.look()
    assert not await other.look()
    other.ledger = ""
    assert await other.look(), "it does not know its own"
    other.ledger = "2"
    assert await finish(other) == ["g"]
    assert await other.look()


async def test_corrections_become_rare_and_end(workers: Workers) -> None:
    one = workers.start("a")
    await one.look()
    await finish(one)
    await one.look()
    key = f"{workers.store.prefix}:{{g}}:recounting:1"
    assert 0 < int(str(workers.redis.ask("PTTL", key))) <= FIRST_TERM * 1000
    workers.clock.advance(100)
    workers.redis.ask("DEL", key)
    assert await finish(one) == ["g"]
    assert 90_000 < int(str(workers.redis.ask("PTTL", key))) <= 100_000
    workers.clock.advance(CORRECTED)
    workers.redis.ask("DEL", key)
    assert await finish(one) == []


async def test_places_of_a_cluster_are_lost_apart(workers: Workers) -> None:
    one = workers.start("a")
    one.groups = ("g", "t:x", "t:y")
    await one.look()
    assert await finish(one) == ["g", "t:x", "t:y"]
    assert await one.look()
    workers.lose("t:x")
    assert not await one.look()
    assert one.waiting() == ["t:x"]


async def test_a_store_of_earlier_gateways_is_taken_over(workers: Workers) -> None:
    workers.redis.ask("SET", f"{workers.store.prefix}:{{g}}:kept", 1)
    one = workers.start("a")
    one.groups = ("t:x",)
    assert await one.look()
    assert await one.turns() == {}
