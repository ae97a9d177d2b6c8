"""A worker's leases on a real server: when they are taken, how they end, and that nothing is lost on the way."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.limits.shared.address import parse_address
from gateway.limits.shared.lease import Terms
from gateway.limits.shared.redis_open import SharedStore
from gateway.quota import NOTHING, Admitted, Bound, Charge, Decision, Refused, Rolling, Smooth
from tests.gateway.limits.helpers import LIFE, PATIENT, apart, budget, holds, opened, until
from tests.support.redis_servers import RedisServer, running

ONE = Charge(nanos=1)


@contextlib.asynccontextmanager
async def leasing(
    url: str, *, hot: float = 0.0, share: float = 0.2, patience: float = PATIENT
) -> AsyncIterator[SharedStore]:
    terms = Terms(share=share, hot=hot, tick=0.005)
    store = SharedStore(parse_address(apart(url)), SystemClock(), "w", 1, patience, lambda up, reason: None, terms)
    try:
        await until(lambda: store.up, "the store to reach its server")
        yield store
    finally:
        await store.aclose()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always") as started:
        yield started


async def ask(store: SharedStore, hold: str, *bounds: Bound, charge: Charge = ONE) -> Decision:
    now = store.admit_now(hold, bounds, charge, LIFE)
    return now if now is not None else await store.admit(hold, bounds, charge, LIFE)


async def lease(store: SharedStore, *bounds: Bound) -> None:
    """Ask for something, until the worker has a lease."""
    leases = store.leases
    assert leases is not None
    first = f"first-{uuid.uuid4().hex}"
    await ask(store, first, *bounds)
    store.settle(first, NOTHING)
    await until(lambda: leases.many >= len(bounds), "a lease")


async def leased(
    store: SharedStore, make: Callable[[], tuple[Bound, ...]], charge: Charge = ONE, seconds: float = LIFE
) -> tuple[tuple[Bound, ...], Decision]:
    """What a lease admits as "a" without asking, and its bounds: on a busy machine a lease may be over before it is
    used, and then it is tried with others."""
    async with asyncio.timeout(60):
        while True:
            bounds = make()
            await lease(store, *bounds)
            if (decision := store.admit_now("a", bounds, charge, seconds)) is not None:
                return bounds, decision
            await asyncio.sleep(0)


async def test_what_is_leased_is_admitted_without_asking(redis_server: RedisServer) -> None:
    def made() -> tuple[Bound, ...]:
        return budget(1000, group="t:x"), budget(100, measure="requests", window=Rolling(60), group="t:y")

    async with leasing(redis_server.url) as store:
        (money, turns), decision = await leased(store, made)
        assert isinstance(decision, Admitted)
        assert decision.requests is not None
        # 98: the lease was there before the store had heard that the first request came to nothing.
        assert decision.requests.bound == turns
        assert decision.requests.remaining in (98, 99)
        assert store.admit_now("a", (money, turns), ONE, LIFE) == decision
        await holds(store, money, 0, 1)
        store.settle("a", Charge(nanos=3))
        store.settle("a", Charge(nanos=3))
        await holds(store, money, 3)
        await holds(store, turns, 1)
        assert store.gauges().leased == 1


async def test_what_is_cold_is_asked_for(redis_server: RedisServer) -> None:
    async with leasing(redis_server.url, hot=1e9) as store:
        bound = budget(1000)
        for number in range(5):
            assert isinstance(await ask(store, str(number), bound), Admitted)
        assert store.gauges().leased == 0


async def test_what_has_become_cold_is_given_back(redis_server: RedisServer) -> None:
    bound = budget(1000)
    async with leasing(redis_server.url) as store, opened(redis_server.url) as watching:
        await lease(store, bound)
        await ask(store, "long", bound)
        leases = store.leases
        assert leases is not None
        await until(lambda: not leases.many, "the lease to end")
        await holds(watching, bound, 0, 1)
        store.settle("long", ONE)
        await holds(watching, bound, 1)


async def test_rates_and_what_counts_on_them_are_asked_for(redis_server: RedisServer) -> None:
    rate, money = budget(600, measure="requests", window=Smooth(60, 10)), budget(1000)
    async with leasing(redis_server.url) as store:
        for number in range(5):
            assert isinstance(await ask(store, str(number), rate, money), Admitted)
        assert store.gauges().leases == 0


async def test_everything_is_spent_before_anything_is_refused(redis_server: RedisServer) -> None:
    """One worker's own slice is no reason to refuse it."""
    bound = budget(40)
    async with leasing(redis_server.url) as store:
        admitted = 0
        while isinstance(await ask(store, f"n{admitted}", bound), Admitted):
            store.settle(f"n{admitted}", ONE)
            admitted += 1
        assert admitted == 40
        await holds(store, bound, 40)


async def test_two_workers_spend_all_and_no_more(redis_server: RedisServer) -> None:
    bound = budget(60)
    async with leasing(redis_server.url) as one, leasing(redis_server.url) as other:
        admitted, misses = 0, 0
        while misses < 40 and admitted <= 60:
            store = (one, other)[(admitted + misses) % 2]
            if isinstance(await ask(store, f"n{admitted}-{misses}", bound), Admitted):
                admitted, misses = admitted + 1, 0
            else:
                misses += 1
        assert admitted == 60


async def test_a_stream_that_grows_becomes_a_hold_of_the_store(redis_server: RedisServer) -> None:
    bound = budget(1000)
    async with leasing(redis_server.url) as store, opened(redis_server.url) as watching:
        await lease(store, bound)
        await ask(store, "stream", bound, charge=Charge(nanos=100))
        assert await store.extend("stream", Charge(nanos=700, requests=0), LIFE)
        assert not await store.extend("stream", Charge(nanos=700, requests=0), LIFE)
        store.settle("stream", Charge(nanos=650))
        await holds(store, bound, 650)
        await store.aclose()
        await holds(watching, bound, 650)


async def test_an_outage_is_bridged_by_what_is_free_and_told_afterwards(server: RedisServer) -> None:
    bound = budget(1000, on_store_failure="closed")
    async with leasing(server.url, patience=0.05) as store:
        await lease(store, bound)
        server.stop()
        await until(lambda: not store.up, "the store to notice")
        outcomes: list[Decision] = []
        while not outcomes or isinstance(outcomes[-1], Admitted):
            outcomes.append(await ask(store, f"n{len(outcomes)}", bound))
        refused = outcomes[-1]
        assert isinstance(refused, Refused)
        assert refused.store_away
        for number in range(len(outcomes) - 1):
            store.settle(f"n{number}", ONE)
        server.start()
        await until(lambda: store.up, "recovery")
        await holds(store, bound, len(outcomes) - 1)


async def test_a_killed_worker_leaves_its_lease_as_used(redis_server: RedisServer) -> None:
    """Never given back: it may have been spent."""
    bound = budget(1000)
    async with opened(redis_server.url) as watching:
        async with leasing(redis_server.url) as store:
            await lease(store, bound)
            leases = store.leases
            assert leases is not None
            free = leases.free(bound)
            for node in store.remote._fleet.nodes():
                await node.aclose()
        assert free > 0

        await holds(watching, bound, free)


async def test_nobody_settles_it(redis_server: RedisServer) -> None:
    """Given back after its time; counted when it is settled after all."""
    async with leasing(redis_server.url) as store:
        (bound,), _ = await leased(store, lambda: (budget(1000),), Charge(nanos=30), 0.01)
        await until(lambda: store.gauges().expired, "it to expire")
        await holds(store, bound, 0)
        store.settle("a", Charge(nanos=20))
        await holds(store, bound, 20)


async def test_another_limit_counts_at_once(redis_server: RedisServer) -> None:
    """A reload makes other bounds of the same counter: what was leased by the old ones is not spent by the new."""
    before = budget(1000, name="reloaded")
    after = budget(2, name="reloaded")
    async with leasing(redis_server.url) as store:
        await lease(store, before)
        await until(lambda: not store.gauges().leases, "the old lease to end")
        assert isinstance(await ask(store, "a", after, charge=Charge(nanos=2)), Admitted)
        assert isinstance(await ask(store, "b", after), Refused)
