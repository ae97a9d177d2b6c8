"""Two gateways of two workers each on one Redis and one budget: what the books say in the end, and after an outage."""

import asyncio
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
import yaml

from gateway.limits.shared.packing import counter_name
from gateway.quota import Bound, Calendar, Rule
from tests.support.redis_servers import RedisServer, running
from tests.support.scripted import Scripted, Seen, Wire, scripted
from tests.support.served import Gateway, configuration, key_hash, wait_for

PRICE = Decimal("0.00021")
"""USD of every answer: 10 tokens read at 1 USD a million, 20 written at 10 USD."""
LONGEST = 60.0
"""Seconds after which a request counts as stuck, on a machine that others use too."""
USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}


def play(wire: Wire, seen: Seen) -> None:
    if not seen.json.get("stream"):
        message = {"role": "assistant", "content": "x"}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
        return wire.whole(json.dumps({**whole, "usage": USAGE}).encode())
    wire.open_stream()
    for _ in range(20):
        wire.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n')
    usage = json.dumps({"choices": [], "usage": USAGE}).encode()
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    wire.chunk(end + b"data: " + usage + b"\n\ndata: [DONE]\n\n")
    wire.end()


class Pair:
    """The two gateways, and one client of both."""

    def __init__(self, gateways: list[Gateway]) -> None:
        self.gateways = gateways
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0

    async def ask(self, client: httpx.AsyncClient, number: int) -> int:
        """One request, every other one streamed; its status, when its answer was whole."""
        streamed = bool(number // 2 % 2)
        body = {"model": "gpt-4o-mini", "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}
        begun = time.monotonic()
        answer = await client.post(
            self.gateways[number % 2].v1 + "/chat/completions",
            json={**body, "stream": streamed},
            headers={"authorization": "Bearer sk-search"},
        )
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.statuses[answer.status_code] += 1
        if answer.status_code == 402:
            assert answer.json()["error"]["code"] == "budget_exhausted"
        elif streamed:
            assert answer.text.endswith("data: [DONE]\n\n")
        return answer.status_code

    async def press(self, client: httpx.AsyncClient, number: int, over: asyncio.Event) -> None:
        """Ask one after the other, from `number` on, until it is over."""
        while not over.is_set():
            await self.ask(client, number)
            number += 1

    async def reached(self, served: int) -> None:
        """Wait until so many were served."""
        while self.statuses[200] < served:
            await asyncio.sleep(0.01)

    async def exhaust(self, client: httpx.AsyncClient) -> None:
        """Ask until the budget is used up."""
        number = 0
        while await self.ask(client, number) == 200:
            number += 1

    def spent(self) -> Decimal:
        """By the books of both, once they hold what every answer cost. More than that would be seen too."""
        answered = self.statuses[200]
        owed = answered * PRICE
        # Asking the books' tables first costs a thousandth of what a report costs, which is a process.
        wait_for(lambda: sum(each.booked() for each in self.gateways) >= answered, "every answer in the ledger")

        def booked() -> Decimal | None:
            totals = (Decimal(gateway.spend()["total"]["cost_usd"]) for gateway in self.gateways)
            found = sum(totals, Decimal(0))
            return found if found >= owed else None

        found = wait_for(booked, "every answer in the books")
        assert isinstance(found, Decimal)
        return found

    def said(self) -> list[str]:
        """Names of everything the gateways logged."""
        return re.findall(r'"event": ?"(\w+)"', "".join(self.logs()))

    def logs(self) -> list[str]:
        return [(gateway.data / "gateway.log").read_text() for gateway in self.gateways]

    def all_up(self) -> bool:
        """All four workers have the store, again if they lost it."""
        said = Counter(self.said())
        return said["limit_store_up"] == said["limit_store_away"] + 4


@contextmanager
def pair(
    directory: Path, provider: Scripted, store: str, budget: Decimal, workers: int = 2, **limits: str
) -> Iterator[Pair]:
    key = {"id": "search-dev", "hash": key_hash("sk-search")}

    def start(name: str) -> Gateway:
        data = directory / name
        data.mkdir()
        written = configuration(
            provider.url,
            data,
            prices={"models": [{"model": "gpt-*", "usd_per_million_tokens": {"input": "1", "output": "10"}}]},
            teams={"search": {"keys": [key], "budget": {"amount": f"{budget} USD", "per": "year"}}},
            limits={"store": store, **limits},
        )
        (data / "gateway.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
        return Gateway(data / "gateway.yaml", "--workers", str(workers))

    with ThreadPoolExecutor() as pool:
        starting = [pool.submit(start, name) for name in ("one", "other")]
        try:
            yield Pair([one.result() for one in starting])
        finally:
            for one in starting:
                if one.exception() is None:
                    one.result().stop(signal.SIGKILL)


def counted(redis: RedisServer) -> Decimal:
    """USD the budget's counter in Redis holds."""
    rule = Rule(id="teams.search.budget", measure="usd", amount=1, window=Calendar("year"))
    total = redis.ask("HGET", counter_name("tollway", Bound(rule, rule.id, "t:search")), "t")
    return Decimal(int(total or 0)) / 10**9 if isinstance(total, bytes) else Decimal(0)


@pytest.fixture
def provider() -> Iterator[Scripted]:
    with scripted(play) as started:
        yield started
        assert started.failures == []


async def test_one_budget_over_two_gateways_holds_to_the_nano_dollar(tmp_path: Path, provider: Scripted) -> None:
    """200 requests at once, half of them streams, each of which alone would fit: "never a nano-dollar too much"."""
    budget = Decimal("0.0105")
    with running(tmp_path / "redis") as redis, pair(tmp_path, provider, redis.url, budget, patience="5s") as both:
        async with httpx.AsyncClient(timeout=LONGEST, limits=httpx.Limits(max_connections=None)) as client:
            await asyncio.gather(*(both.ask(client, number) for number in range(200)))
            await both.exhaust(client)
            if "limit_store_away" in both.said():  # the machine was too busy; each worker had only its share meanwhile
                await asyncio.to_thread(wait_for, both.all_up, "the store")
                await both.exhaust(client)
        served = both.statuses[200]
        spent = both.spent()
        assert set(both.statuses) == {200, 402}
        assert spent == served * PRICE <= budget
        assert budget - spent < 4 * PRICE, "nothing that was reserved too much is kept"
        wait_for(lambda: counted(redis) == spent, "the counter to hold what the books say")


async def test_redis_is_killed_and_comes_back_while_they_serve(tmp_path: Path, provider: Scripted) -> None:
    """ "No crash, no stuck request, recovery without operator"; what was served meanwhile is counted afterwards. Redis
    keeps its data here; each worker has its share of what was left, so the budget holds through the outage."""
    budget = Decimal("0.42")
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    over = asyncio.Event()
    with running(tmp_path / "redis", *durable) as redis, pair(tmp_path, provider, redis.url, budget) as both:
        async with httpx.AsyncClient(timeout=LONGEST, limits=httpx.Limits(max_connections=None)) as client:
            pressing = [asyncio.ensure_future(both.press(client, number, over)) for number in range(20)]
            async with asyncio.timeout(240):
                await both.reached(100)
                await asyncio.to_thread(redis.stop)
                during = both.statuses[200]
                await both.reached(during + 100)
                await asyncio.to_thread(redis.start)
                while Counter(both.said())["limit_store_away"] < 4 or not both.all_up():
                    await asyncio.sleep(0.05)
                await both.reached(both.statuses[200] + 50)
                over.set()
                await asyncio.gather(*pressing)
        assert set(both.statuses) <= {200, 402}
        assert both.slowest < LONGEST
        said = Counter(both.said())
        assert said["limit_store_away"] >= 4, "every worker noticed"
        assert not {"defect", "background_task_failed", "worker_died"} & set(said)
        spent = both.spent()
        assert spent == both.statuses[200] * PRICE <= budget
        wait_for(lambda: counted(redis) == spent, "the counter to hold what the books say")


async def test_redis_comes_back_empty_while_they_serve(tmp_path: Path, provider: Scripted) -> None:
    """ "Recovery without operator": a Redis that has lost everything is told by the ledgers, once by each, so that a
    budget is not there to be spent a second time."""
    budget = Decimal("0.126")
    over = asyncio.Event()
    with running(tmp_path / "redis") as redis, pair(tmp_path, provider, redis.url, budget) as both:
        async with httpx.AsyncClient(timeout=LONGEST, limits=httpx.Limits(max_connections=None)) as client:
            pressing = [asyncio.ensure_future(both.press(client, number, over)) for number in range(20)]
            async with asyncio.timeout(240):
                await both.reached(200)
                await asyncio.to_thread(redis.stop)
                await asyncio.to_thread(redis.start)
                while Counter(both.said())["limit_store_away"] < 4 or not both.all_up():
                    await asyncio.sleep(0.05)
                over.set()
                await asyncio.gather(*pressing)
                await both.exhaust(client)
        assert set(both.statuses) == {200, 402}
        said = Counter(both.said())
        assert said["limit_store_lost_counters"] == 2, "of the two workers of each ledger one counted again"
        assert not {"defect", "background_task_failed", "worker_died", "limit_store_not_recounted"} & set(said)
        spent = both.spent()
        assert spent == both.statuses[200] * PRICE <= budget
        wait_for(lambda: spent <= counted(redis), "the counter to hold what the books say")
        assert counted(redis) <= spent + 20 * PRICE, "twice only what ended in the very moment it was lost"
