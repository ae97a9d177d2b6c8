"""The shared store when its server is killed, silent, cut off, or forgets: nobody waits, nothing is lost or doubled."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from gateway.clock import SystemClock
from gateway.limits.shared.packing import counter_name, script
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.stores import is_up, open_store
from gateway.quota import NOTHING, Admitted, Bound, Calendar, Charge, Refused, Rolling, Smooth, Standing
from tests.gateway.limits.helpers import LIFE, States, apart, budget, holds, opened, until
from tests.support.redis_servers import RedisServer, running
from tests.support.stalling_proxy import stalling

PATIENCE = 0.05
TRIALS = 20
"""At most: the first that shows what is promised is enough."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """One that may be killed; it keeps its data, so that a restart is a restart."""
    with running(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always") as started:
        yield started


def spending(nanos: int) -> Charge:
    return Charge(nanos=nanos)


async def waits(store: SharedStore, bound: Bound, name: str, times: int) -> list[float]:
    """Seconds each of so many admissions in a row took."""
    took: list[float] = []
    for number in range(times):
        begun = time.monotonic()
        await store.admit(f"{name}-{number}", [bound], spending(1), LIFE)
        took.append(time.monotonic() - begun)
    return took


async def test_killed_and_restarted_nothing_is_lost_and_nobody_is_needed(server: RedisServer) -> None:
    states, bound = States(), budget(1000)
    async with opened(server.url, patience=PATIENCE, states=states) as store:
        await store.admit("before", [bound], spending(100), LIFE)
        await store.admit("across", [bound], spending(50), LIFE)
        store.settle("before", spending(90))
        await holds(store, bound, 90, 50)
        server.stop()
        await until(lambda: not store.up, "the store to notice")
        took = await waits(store, bound, "during", 20)
        assert median(took) < PATIENCE, "nobody waits for a server that is known to be away"
        for number in range(15):
            store.settle(f"during-{number}", spending(2))
        store.settle("across", spending(40))
        server.start()
        await until(lambda: store.up and not len(store.arrears), "recovery")
        for number in range(15, 20):
            store.settle(f"during-{number}", spending(3))
        await holds(store, bound, 90 + 40 + 15 * 2 + 5 * 3)
    assert [up for up, _, _ in states.seen[:3]] == [True, False, True]


async def test_a_silent_server_is_noticed_and_costs_no_request_more_than_the_patience(server: RedisServer) -> None:
    """Twice what is promised, and once in several trials, for a busy machine; test_node has the sum of its parts."""
    best = []

    def kept() -> bool:
        return min(wait for wait, _ in best) <= 2 * PATIENCE and min(noticed for _, noticed in best) <= 2 * 0.25

    async with stalling(server.port) as proxy:
        states, bound = States(), budget(10**6)
        async with opened(f"redis://127.0.0.1:{proxy.port}", patience=PATIENCE, states=states) as store:
            for trial in range(TRIALS):
                await until(lambda: store.up, "recovery")
                proxy.stall()
                begun = time.monotonic()
                took = await waits(store, bound, f"trial-{trial}", 10)
                await until(lambda: not store.up, "the store to notice")
                best.append((max(took), states.seen[-1][2] - begun))
                proxy.cut()
                proxy.flow()
                if len(best) >= 2 and kept():
                    break
            await until(lambda: store.up, "recovery")
            assert store.gauges().silences >= 2
    assert kept(), best


async def test_an_idle_store_notices_too(server: RedisServer) -> None:
    best = []
    async with stalling(server.port) as proxy:
        states = States()
        async with opened(f"redis://127.0.0.1:{proxy.port}", states=states) as store:
            for _ in range(TRIALS):
                await until(lambda: store.up, "recovery")
                proxy.stall()
                begun = time.monotonic()
                await until(lambda: not store.up, "the store to notice")
                best.append(states.seen[-1][2] - begun)
                proxy.cut()
                proxy.flow()
                if best[-1] <= 2 * 0.25:
                    break
    assert min(best) <= 2 * 0.25


async def test_what_was_let_through_while_an_answer_was_late_counts_once(server: RedisServer) -> None:
    """The admission arrives after all, when its request was decided without it: it is one hold, settled once."""
    bound = budget(1000)
    async with (
        stalling(server.port) as proxy,
        opened(server.url) as watching,
        opened(f"redis://127.0.0.1:{proxy.port}", patience=PATIENCE) as store,
    ):
        proxy.stall()
        decision = await store.admit("late", [bound], spending(100), LIFE)
        assert isinstance(decision, Admitted)
        assert decision.degraded
        proxy.flow()
        await until(lambda: store.up and store.remote.ready("g"), "recovery")
        store.settle("late", spending(30))
        await holds(watching, bound, 30)
        store.settle("late", spending(30))
        assert not await store.extend("late", spending(1), LIFE)
        await holds(watching, bound, 30)


@pytest.mark.parametrize("kind", ["closed", "open", "local"])
async def test_each_rule_says_what_happens_without_the_store(server: RedisServer, kind: str) -> None:
    bound = budget(1000, on_store_failure=kind)
    async with opened(server.url, patience=PATIENCE, workers=4) as store:
        store.workers = 4
        server.stop()
        await until(lambda: not store.up, "the store to notice")
        store.workers = 4
        decisions = [await store.admit(str(number), [bound], spending(100), LIFE) for number in range(4)]
        admitted = [decision for decision in decisions if isinstance(decision, Admitted)]
        refused = [decision for decision in decisions if isinstance(decision, Refused)]
        assert len(admitted) == {"closed": 0, "open": 4, "local": 2}[kind]
        assert all(decision.degraded for decision in admitted)
        assert all(decision.store_away == (kind == "closed") and decision.bound == bound for decision in refused)
        assert store.gauges().alone == 4


async def test_a_share_begins_with_what_the_fleet_had_used(server: RedisServer) -> None:
    bound = budget(1000)
    async with opened(server.url) as store:
        await store.admit("a", [bound], spending(600), LIFE)
        store.settle("a", spending(600))
        await holds(store, bound, 600)
        store.workers = 2
        server.stop()
        await until(lambda: not store.up, "the store to notice")
        assert isinstance(await store.admit("b", [bound], spending(200), LIFE), Admitted)
        assert isinstance(await store.admit("c", [bound], spending(1), LIFE), Refused)


async def test_live_workers_are_counted(redis_server: RedisServer) -> None:
    url = f"{redis_server.url}?prefix=counted"
    async with opened(url) as one:
        async with opened(url), opened(url):
            await until(lambda: one.workers == 3, "three workers")
        await until(lambda: one.workers == 1, "the others to have left")


async def test_scripts_that_are_flushed_are_loaded_again(server: RedisServer) -> None:
    bound = budget(10**6)
    async with opened(server.url) as store:

        async def one(number: int) -> None:
            assert isinstance(await store.admit(str(number), [bound], spending(2), LIFE), Admitted)
            store.settle(str(number), spending(1))

        for start in range(0, 100, 10):
            asked = asyncio.gather(*(one(start + number) for number in range(10)))
            server.ask("SCRIPT", "FLUSH")
            await asked
        await holds(store, bound, 100)
        assert store.gauges().alone == 0
        assert store.gauges().connections == 1


async def test_a_settlement_that_overtakes_its_admission(redis_server: RedisServer) -> None:
    """A request that is interrupted settles with nothing while its admission is on its way, or before."""
    bound = budget(1000)
    async with opened(redis_server.url) as store:
        on_its_way = [asyncio.ensure_future(store.admit(f"r{n}", [bound], spending(10), LIFE)) for n in range(20)]
        await asyncio.sleep(0)
        for number in range(20):
            store.settle(f"r{number}", NOTHING)
        await asyncio.gather(*on_its_way)
        await holds(store, bound, 0)
        store.settle("early", NOTHING)
        assert isinstance(await store.admit("early", [bound], spending(10), LIFE), Admitted)
        await holds(store, bound, 0)


async def test_a_hold_nobody_settles_is_given_back_and_counted(redis_server: RedisServer) -> None:
    bound = budget(1000)
    async with opened(redis_server.url) as store:
        await store.admit("lost", [bound], spending(400), 0.05)
        await holds(store, bound, 0)
        assert store.gauges().expired == 1
        store.settle("lost", spending(70))
        await holds(store, bound, 70)


async def test_a_server_that_lost_everything_is_told_what_was_under_way(server: RedisServer) -> None:
    bound = budget(1000)
    async with opened(server.url, patience=PATIENCE) as store:
        for hold in "ab":
            await store.admit(hold, [bound], spending(400), LIFE)
        server.stop()
        await until(lambda: not store.up, "the store to notice")
        for kept in (server.directory / "appendonlydir").iterdir():
            kept.unlink()
        store.settle("a", spending(300))
        server.start()
        await until(lambda: store.up, "recovery")
        await holds(store, bound, 300, 400)
        store.settle("b", spending(200))
        await holds(store, bound, 500)


async def test_a_server_that_cannot_be_written_to_counts_as_away(server: RedisServer) -> None:
    states, bound = States(), budget(1000)
    async with opened(server.url, patience=PATIENCE, states=states) as store:
        server.ask("CONFIG", "SET", "maxmemory", "1")
        decision = await store.admit("a", [bound], spending(4), LIFE)
        assert isinstance(decision, Admitted)
        assert decision.degraded
        await until(lambda: not store.up, "the store to notice")
        assert "OOM" in states.seen[-1][1]
        server.ask("CONFIG", "SET", "maxmemory", "0")
        store.settle("a", spending(3))
        await until(lambda: store.up, "recovery")
        await holds(store, bound, 3)


async def test_rolling_windows_leave_by_the_server_s_clock(redis_server: RedisServer) -> None:
    bound = budget(2, measure="requests", window=Rolling(1))
    async with opened(redis_server.url) as store:
        begun = time.monotonic()
        admitted = 0
        async with asyncio.timeout(60):
            while admitted < 5:
                admitted += isinstance(
                    await store.admit(f"n{admitted}-{time.monotonic()}", [bound], Charge(), 5), Admitted
                )
                await asyncio.sleep(0.01)
        took = time.monotonic() - begun
    assert 2 <= took < 30, "two in any second, so that the fifth has to wait for two of them"


def test_the_scripts_are_in_the_package() -> None:
    assert script("turn.lua").startswith(b"-- What one worker asks")


async def test_a_rate_of_nothing_lets_nothing_through(redis_server: RedisServer) -> None:
    shut = budget(0, measure="requests", window=Smooth(60, 5))
    warned = budget(0, measure="requests", window=Smooth(60, 5), when_exhausted="warn")
    async with opened(redis_server.url) as store:
        refused = await store.admit("a", [shut], Charge(), LIFE)
        assert isinstance(refused, Refused)
        assert (refused.retry_after, refused.available) == (None, 0)
        assert await store.admit("b", [warned], Charge(), LIFE) == Admitted(
            requests=Standing(warned, 0, 0, 0.0), over=(warned,)
        )


async def test_an_unusual_error_costs_a_request_and_not_the_connection(redis_server: RedisServer) -> None:
    """Somebody else's key stands where a counter should."""
    bound, other = budget(100), budget(100)
    async with opened(f"{redis_server.url}?prefix=foreign") as store:
        redis_server.ask("SET", counter_name("foreign", bound), "not ours")
        decision = await store.admit("a", [bound], Charge(nanos=1), LIFE)
        assert isinstance(decision, Admitted)
        assert decision.degraded
        assert store.up
        assert (store.gauges().errors, store.gauges().connections) == (1, 1)
        assert "WRONGTYPE" in store.gauges().last_error
        decision = await store.admit("b", [other], Charge(nanos=1), LIFE)
        assert isinstance(decision, Admitted)
        assert not decision.degraded


class Stepping(SystemClock):
    """A machine whose wall clock is set."""

    def __init__(self) -> None:
        self.by_ns = 0
        self.now_ns = lambda: time.time_ns() + self.by_ns


@pytest.mark.parametrize("days", [3, 40, -3, -40])
async def test_windows_are_the_servers_whatever_the_hosts_clock_says(redis_server: RedisServer, days: int) -> None:
    """ "Redis time, not host time": a machine whose clock is set forward or back while it serves moves no window, for
    itself or for others."""
    clock = Stepping()
    bounds = [budget(1000, window=Calendar(unit, "Asia/Kolkata")) for unit in ("day", "month")]
    store = open_store(apart(redis_server.url), clock=clock, worker="w", patience=20.0)
    await until(lambda: is_up(store), "it to be there")
    assert isinstance(await store.admit("h1", bounds, Charge(nanos=600), 60.0), Admitted)
    before = await store.levels(bounds)
    clock.by_ns = days * 86_400 * 10**9
    for hold in ("h2", "h3"):
        refused = await store.admit(hold, bounds, Charge(nanos=600), 60.0)
        assert isinstance(refused, Refused)
        assert refused.retry_after is not None
        assert refused.retry_after <= 31 * 86_400
        assert await store.levels(bounds) == before
    await store.aclose()
