"""Redis stalled, cut off and flushed of its scripts at random moments: what was spent is counted, each request once."""

import asyncio
import random

import pytest

from gateway.limits.shared.redis_open import SharedStore
from gateway.quota import NOTHING, Admitted, Bound, Charge
from tests.gateway.limits.helpers import LIFE, budget, holds, opened, until
from tests.support.redis_servers import RedisServer
from tests.support.stalling_proxy import StallingProxy, stalling

REQUESTS = 400


class Requests:
    """A load of requests that end in every way; `spent` is what they truly took."""

    def __init__(self, store: SharedStore, bound: Bound, seed: int) -> None:
        self.store = store
        self.bound = bound
        self.chance = random.Random(seed)
        self.spent = 0
        self.slowest = 0.0
        self.degraded = 0

    async def one(self, name: str) -> None:
        begun = asyncio.get_running_loop().time()
        decision = await self.store.admit(name, [self.bound], Charge(nanos=self.chance.randrange(100)), LIFE)
        self.slowest = max(self.slowest, asyncio.get_running_loop().time() - begun)
        assert isinstance(decision, Admitted)
        self.degraded += decision.degraded
        for _ in range(self.chance.randrange(3)):
            await asyncio.sleep(self.chance.random() * 0.03)
            await self.store.extend(name, Charge(requests=0, nanos=self.chance.randrange(50)), LIFE)
        actual = self.chance.randrange(200) if self.chance.random() < 0.9 else 0
        self.spent += actual
        for _ in range(self.chance.choice((1, 1, 1, 2))):
            self.store.settle(name, Charge(nanos=actual) if actual else NOTHING)

    async def interrupted(self, name: str) -> None:
        """Cancelled while it waits to be admitted, and settled with nothing."""
        task = asyncio.ensure_future(self.store.admit(name, [self.bound], Charge(nanos=70), LIFE))
        await asyncio.sleep(self.chance.random() * 0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.store.settle(name, NOTHING)


async def disturb(proxy: StallingProxy, server: RedisServer, chance: random.Random, over: asyncio.Event) -> None:
    while not over.is_set():
        await asyncio.sleep(chance.random() * 0.15)
        match chance.randrange(4):
            case 0:
                proxy.stall()
                await asyncio.sleep(chance.random() * 0.3)
                proxy.flow()
            case 1:
                proxy.cut()
            case 2:
                proxy.stall()
                await asyncio.sleep(chance.random() * 0.1)
                proxy.cut()
                proxy.flow()
            case _:
                server.ask("SCRIPT", "FLUSH")
    proxy.flow()


@pytest.mark.parametrize("seed", range(2))
async def test_each_request_is_counted_once_whatever_happens_to_the_server(
    redis_server: RedisServer, seed: int
) -> None:
    """Settled exactly once by hold; what was let through without Redis is entered there when it is back."""
    bound, chance, over = budget(10**9), random.Random(seed), asyncio.Event()
    async with (
        stalling(redis_server.port) as proxy,
        opened(f"redis://127.0.0.1:{proxy.port}", patience=0.05) as store,
        opened(redis_server.url) as watching,
    ):
        load = Requests(store, bound, seed)
        disturbance = asyncio.ensure_future(disturb(proxy, redis_server, chance, over))
        running: list[asyncio.Future[None]] = []
        for number in range(REQUESTS):
            kind = load.interrupted if chance.random() < 0.1 else load.one
            running.append(asyncio.ensure_future(kind(f"{bound.key}-{number}")))
            await asyncio.sleep(chance.random() * 0.008)
        await asyncio.gather(*running)
        over.set()
        await disturbance
        await until(lambda: store.up and not len(store.arrears), "everything to be told")
        await holds(watching, bound, load.spent)
        assert load.degraded > 0
        assert store.arrears.dropped == 0
