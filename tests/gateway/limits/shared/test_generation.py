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
    one.together, one.groups = False, ("g", "t:x", "t:y")
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


async def test_what_is_left_of_a_place_goes_before_it_begins(workers: Workers) -> None:
    """Counters of all teams, and nothing else: not what conversations hold, nor what has another prefix."""
    prefix = workers.store.prefix
    left = [f"{prefix}:{{t:{team}}}:month:usd:pseudonyms" for team in range(50)] + [f"{prefix}:{{g}}:holds"]
    others = [f"{prefix}:{{c1}}:pseudonyms", f"{prefix}:{{g}}:workers", f"{prefix}2:{{g}}:holds"]
    for name in [*left, others[0], others[2]]:
        workers.redis.ask("HSET", name, "a", 1)
    one = workers.start("a")
    assert not await one.look()
    assert not workers.redis.ask("EXISTS", *left)
    assert workers.redis.ask("EXISTS", *others) == len(others)


async def test_who_clears_late_takes_nothing_from_who_has_begun(workers: Workers) -> None:
    one, late = workers.start("a"), workers.start("b")
    await one.look()
    name = f"{workers.store.prefix}:{{t:x}}:month:usd:x"
    workers.redis.ask("HSET", name, "t", 1)
    await late._clear("g", one._known["g"].id)
    assert workers.redis.ask("EXISTS", name)


async def test_a_place_that_knows_of_fewer_looks_was_set_back(workers: Workers) -> None:
    one, other = workers.start("a"), workers.start("b")
    for each in (one, other):
        await each.look()
    await finish(one)
    assert await one.look()
    assert await other.look()
    workers.redis.ask("DECR", f"{workers.store.prefix}:{{g}}:looks:b")
    assert await one.look(), "it knows of nothing"
    before = one._known["g"].id
    workers.clock.advance(3)
    assert not await other.look()
    assert not await one.look()
    assert one._known["g"].id == other._known["g"].id != before


async def test_a_user_who_may_not_look_for_keys_begins_without(workers: Workers) -> None:
    workers.redis.ask("HSET", f"{workers.store.prefix}:{{g}}:holds", "a", 1)
    workers.redis.ask("ACL", "SETUSER", "blind", "on", ">p", "~*", "+@all", "-scan")
    async with opened(workers.redis.url.replace("://", "://blind:p@")) as store:
        one = Generations(store.ask, store.prefix, workers.clock, "a")
        assert not await one.look()
        assert store.up


async def test_a_slot_of_a_cluster_is_cleared_by_itself(redis_cluster: list[RedisServer]) -> None:
    places = ",".join(f"127.0.0.1:{server.port}" for server in redis_cluster)
    async with opened(f"redis+cluster://{places}?prefix=cleared") as store:
        for team in ("x", "y"):
            await store.ask(f"t:{team}", [("HSET", f"cleared:{{t:{team}}}:month:usd:{team}", "t", 1)])
        one = Generations(store.ask, "cleared", ManualClock(T0), "a")
        one.together, one.groups = False, ("g", "t:x")
        await one.look()
        assert await store.ask("t:x", [("EXISTS", "cleared:{t:x}:month:usd:x")]) == [0]
        assert await store.ask("t:y", [("EXISTS", "cleared:{t:y}:month:usd:y")]) == [1]
