"""Two gateways on one Redis behind a network that stalls, breaks and comes back, and on one that
fails over: "no crash, no stuck request, overrun within the stated bound, recovery without operator". With leases."""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.served.test_limits_shared import LONGEST, PRICE, Pair, counted, pair, play
from tests.support.redis_servers import replicated, running, sentinel
from tests.support.scripted import Scripted, scripted
from tests.support.served import wait_for
from tests.support.stalling_proxy import StallingProxy

BUDGET = Decimal("0.252")
"""1,200 answers."""
UNHEARD = BUDGET / 20
"""What a worker may not have heard of the other's when the store goes away: its lease. Once for each outage."""


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with scripted(play) as started:
        yield started
        assert started.failures == []


class Partition:
    """A proxy in a thread of its own, so that it works while a test waits."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._proxy = StallingProxy(port)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.start(), self._loop).result(60)
        self.url = f"redis://127.0.0.1:{self._proxy.port}"

    def stall(self) -> None:
        """Nothing passes, and nobody is told so."""
        self._loop.call_soon_threadsafe(self._proxy.stall)

    def cut(self) -> None:
        """Connections break, and new ones are refused."""

        def act() -> None:
            self._proxy.refusing = True
            self._proxy.cut()

        self._loop.call_soon_threadsafe(act)

    def heal(self) -> None:
        def act() -> None:
            self._proxy.refusing = False
            self._proxy.cut()
            self._proxy.flow()

        self._loop.call_soon_threadsafe(act)

    def close(self) -> None:
        self.heal()
        asyncio.run_coroutine_threadsafe(self._proxy.stop(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)


@contextmanager
def partitioned(port: int) -> Iterator[Partition]:
    partition = Partition(port)
    try:
        yield partition
    finally:
        partition.close()


class Pressing:
    """Clients that ask one request after the other."""

    def __init__(self, both: Pair) -> None:
        self.both = both

    async def answered(self, more: int) -> None:
        """Until so many more were answered."""
        wanted = self.both.statuses.total() + more
        while self.both.statuses.total() < wanted:
            await asyncio.sleep(0.01)

    async def exhausted(self) -> None:
        """Until the budget is used up."""
        while not self.both.statuses[402]:
            await asyncio.sleep(0.01)

    async def store(self, state: str) -> None:
        """Until the last that every gateway said of its store is that it is `away`, or `up`."""
        while set(await asyncio.to_thread(self.states)) != {state}:
            await asyncio.sleep(0.05)

    def states(self) -> list[str]:
        told = (re.findall(r'"limit_store_(away|up)"', log) for log in self.both.logs())
        return [each[-1] if each else "" for each in told]


@asynccontextmanager
async def pressing(both: Pair, clients: int = 12) -> AsyncIterator[Pressing]:
    over = asyncio.Event()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=LONGEST, limits=limits) as client, asyncio.timeout(240):

        async def press(number: int) -> None:
            while not over.is_set():
                await both.ask(client, number)
                number += 1

        running = [asyncio.ensure_future(press(number)) for number in range(clients)]
        yield Pressing(both)
        over.set()
        await asyncio.gather(*running)


def well(both: Pair, outages: int) -> Decimal:
    """Nothing crashed or got stuck, and the budget holds; what was spent. On a machine that pauses, a worker may lose
    the store more often than a test takes it away: each time it has not heard of what the other had leased."""
    lost = Counter(both.said())["limit_store_away"]
    assert lost >= 2 * outages, "both noticed every outage"
    outages += lost - 2 * outages
    assert set(both.statuses) <= {200, 402}
    assert both.slowest < LONGEST
    assert not {"defect", "background_task_failed", "worker_died"} & set(both.said())
    spent = both.spent()
    assert spent == both.statuses[200] * PRICE <= BUDGET + outages * UNHEARD
    return spent


async def test_a_network_that_stalls_and_one_that_breaks(tmp_path: Path, provider: Scripted) -> None:
    """A partition without a word, in which no request waits for Redis longer than 50 ms, and one with resets."""
    with (
        running(tmp_path / "redis") as redis,
        partitioned(redis.port) as network,
        pair(tmp_path, provider, network.url, BUDGET, workers=1, lease="5%") as both,
    ):
        async with pressing(both) as press:
            await press.answered(200)
            network.stall()
            await press.store("away")
            await press.answered(50)
            network.heal()
            await press.store("up")
            network.cut()
            await press.store("away")
            await press.answered(50)
            network.heal()
            await press.store("up")
            await press.exhausted()
        spent = well(both, 2)
        wait_for(lambda: counted(redis) == spent, "the counter to hold what the books say")


async def test_a_replica_takes_over(tmp_path: Path, provider: Scripted) -> None:
    """The master is killed; a sentinel promotes its replica, and the gateways find it by themselves. What the replica
    had not heard of when the master died is at most what was under way, and what was settled with it."""
    with (
        replicated(tmp_path / "redis") as (master, replica),
        sentinel(tmp_path / "sentinel", master) as watching,
        pair(
            tmp_path, provider, f"redis+sentinel://127.0.0.1:{watching.port}/tollway", BUDGET, workers=1, lease="5%"
        ) as both,
    ):
        async with pressing(both) as press:
            await press.answered(150)
            await asyncio.to_thread(master.stop)
            await press.store("away")
            await press.store("up")
            await press.answered(50)
        spent = well(both, 1)
        wait_for(lambda: abs(counted(replica) - spent) <= 24 * PRICE, "the replica to hold what was spent")
