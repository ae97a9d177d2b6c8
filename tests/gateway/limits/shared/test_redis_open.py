"""The shared store put together: what it tells of itself, and how it takes its leave."""

import asyncio
from pathlib import Path

from gateway.clock import SystemClock
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.stores import log_in, open_store
from gateway.quota import Admitted, Charge
from tests.gateway.limits.helpers import LIFE, States, budget, holds, opened, until
from tests.support.redis_servers import RedisServer, free_port, running


async def test_gauges(redis_server: RedisServer) -> None:
    bound = budget(10**6)
    async with opened(redis_server.url) as store:
        await store.admit("a", [bound], Charge(nanos=1), LIFE)
        store.settle("a", Charge(nanos=1))
        await holds(store, bound, 1)
        gauges = store.gauges()
        assert (gauges.up, gauges.reason, gauges.outages, gauges.connections) == (True, "", 0, 1)
        assert gauges.operations >= 3
        assert (gauges.alone, gauges.owed, gauges.dropped, gauges.timeouts) == (0, 0, 0, 0)


async def test_a_store_that_never_comes_is_waited_for_by_nobody() -> None:
    states = States()
    store = open_store(f"redis://127.0.0.1:{free_port()}", clock=SystemClock(), worker="w", workers=2, on_state=states)
    assert isinstance(store, SharedStore)
    bound = budget(100)
    for number, fits in enumerate((True, True, False)):
        decision = await store.admit(str(number), [bound], Charge(nanos=25), LIFE)
        assert isinstance(decision, Admitted) == fits
    await until(lambda: "onnect" in store.gauges().reason, "the reason")
    assert states.seen == []
    assert store.gauges().alone == 3
    await store.aclose()


async def test_what_is_still_to_be_said_is_said(redis_server: RedisServer) -> None:
    bound = budget(10**6)
    async with opened(redis_server.url) as store:
        await asyncio.gather(*(store.admit(f"h{n}", [bound], Charge(nanos=3), LIFE) for n in range(200)))
        for number in range(200):
            store.settle(f"h{number}", Charge(nanos=2))
    async with opened(redis_server.url) as other:
        level = (await other.levels([bound]))[0]
        assert (level.used, level.reserved) == (400, 0)


async def test_a_worker_that_leaves_is_not_counted_any_more(redis_server: RedisServer) -> None:
    url = f"{redis_server.url}?prefix=leaving"
    async with opened(url, worker="stays"):
        async with opened(url, worker="leaves"):
            assert redis_server.ask("ZCARD", "leaving:{g}:workers") == 2
        assert redis_server.ask("ZRANGE", "leaving:{g}:workers", 0, -1) == [b"stays"]


async def test_a_server_that_may_drop_counters_is_told_of(tmp_path: Path) -> None:
    """Also to a user who may not ask for that by itself; and who may not at all is not troubled by it."""
    with running(tmp_path, "--maxmemory-policy", "volatile-lru") as redis:
        redis.ask("ACL", "SETUSER", "narrow", "on", ">p", "~*", "+@all", "-info")
        async with opened(redis.url) as store, opened(redis.url.replace("://", "://narrow:p@")) as narrow:
            assert await store.eviction() == "", "there is no bound that it could reach"
            redis.ask("CONFIG", "SET", "maxmemory", "100mb")
            assert await store.eviction() == "volatile-lru"
            assert await narrow.eviction() == ""
            assert narrow.up
            redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
            assert await store.eviction() == ""


async def test_a_worker_ends_though_its_server_goes_away_in_the_same_moment(redis_server: RedisServer) -> None:
    store = open_store(f"{redis_server.url}?prefix=ending", clock=SystemClock(), worker="w", restored=True)
    assert isinstance(store, SharedStore)
    await until(lambda: store.up, "the store to reach its server")
    await asyncio.sleep(0)
    store._changed.set()
    await asyncio.wait_for(store.aclose(), 30)


async def test_a_password_that_is_changed_meanwhile_is_taken_up(tmp_path: Path) -> None:
    """While it is connected, and after it was turned away; what the server does not accept is said, and lets nothing
    go."""
    states, bound = States(), budget(10**6)
    with running(tmp_path) as redis, running(tmp_path / "other") as elsewhere:
        redis.ask("ACL", "SETUSER", "gate", "on", ">one", "~*", "+@all")
        url = redis.url.replace("://", "://gate:%s@") + "?prefix=login"
        async with opened(url % "one", states=states) as store:
            redis.ask("ACL", "SETUSER", "gate", "<one", ">two")
            assert "WRONGPASS" in await log_in(store, url % "three")
            assert await log_in(store, url % "two") == ""
            assert await log_in(store, elsewhere.url) == await log_in(store, "memory://") == ""
            assert store.gauges().connections == 1
            redis.ask("ACL", "SETUSER", "gate", "resetpass", ">four")
            redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await until(lambda: "WRONGPASS" in store.gauges().reason, "the server to turn it away")
            assert isinstance(await store.admit("away", [bound], Charge(nanos=3), LIFE), Admitted)
            store.settle("away", Charge(nanos=3))
            assert await log_in(store, url % "four") == ""
            await until(lambda: store.up, "the store to be let in")
            await holds(store, bound, 3)
    assert not any(word in reason for _, reason, _ in states.seen for word in ("one", "two", "three", "four"))
