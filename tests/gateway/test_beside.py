"""First looks are taken together, and a database that is away keeps nobody waiting long."""

import asyncio
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from gateway import beside
from gateway.clock import SystemClock
from gateway.ledger.posting import post
from gateway.ledger.store import ensure_schema, open_engine, writing
from gateway.limits.memory import MemoryStore
from gateway.limits.program import Clause, LimitProgram
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.stores import open_store
from gateway.quota import Bound, Calendar, Rule
from gateway.settings.snapshot import LedgerOptions, LimitOptions
from tests.gateway.ledger.helpers import end
from tests.support.redis_servers import RedisServer


async def test_first_looks_are_taken_together() -> None:
    """Each waits for the others: one after the other they would never end."""
    together = threading.Barrier(3, timeout=60)
    await asyncio.wait_for(beside._looked(together.wait, together.wait, together.wait), 60)


async def test_a_look_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "FIRST_LOOK", 0.05)
    back, seen = threading.Event(), []

    def hangs() -> None:
        back.wait(60)

    began = time.monotonic()
    await beside._looked(hangs, lambda: seen.append(1))
    assert time.monotonic() - began < 30
    assert seen == [1]
    back.set()


async def test_a_look_that_fails_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        await beside._looked(lambda: 1 // 0)


async def test_a_start_without_its_store_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "STORE_LOOKS", 1)
    said: list[tuple[str, str]] = []
    monkeypatch.setattr(beside, "alert", lambda event, **fields: said.append((event, fields["reason"])))
    world = SimpleNamespace(
        snapshot=SimpleNamespace(limit_options=LimitOptions(store="redis://127.0.0.1:9")),
        clock=SystemClock(),
        workers=1,
        draining=False,
    )
    await beside.open_limits(world)  # pyright: ignore
    await world.limits.aclose()
    ((event, reason),) = said
    assert event == "limit_store_away"
    assert reason


async def test_a_store_that_has_lost_its_counters_is_said(
    monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Once, when the ledger knows better: not of a store that is new, and not of one that was rebuilt."""
    monkeypatch.setattr(beside, "STORE_LOST", 0.01)
    said: list[int] = []
    monkeypatch.setattr(beside, "alert", lambda event, **fields: said.append(fields["counters"]))
    rule = Rule(id="teams.search.budget", measure="usd", amount=10**12, window=Calendar("year"))
    ledger = LedgerOptions(url=f"sqlite:///{tmp_path}/x.db", journal=str(tmp_path / "journal"))
    ensure_schema(ledger.url)
    engine, clock = open_engine(ledger.url), SystemClock()
    store = cast(SharedStore, open_store(redis_server.url, clock=clock, worker="w", patience=5.0))
    world = SimpleNamespace(
        snapshot=SimpleNamespace(limits=LimitProgram([Clause(rule=rule)])), clock=clock, limits=store
    )
    watch = asyncio.create_task(beside.watch_store(world, store, ledger, engine))  # pyright: ignore
    mark = f"{store.prefix}:{{g}}:kept"

    async def marked() -> None:
        async with asyncio.timeout(60):
            while redis_server.ask("GET", mark) is None:
                await asyncio.sleep(0.01)

    await marked()
    assert said == [], "nothing was spent yet"
    with writing(engine) as connection:
        post(connection, [end(received_ns=clock.now_ns(), cost_nanos=5)], clock.now_ns())
    redis_server.ask("FLUSHALL")
    await marked()
    assert said == [1]
    await store.put(Bound(rule, rule.id), 5)
    redis_server.ask("DEL", mark)
    await marked()
    assert said == [1], "rebuilt"
    watch.cancel()
    await store.aclose()
    engine.dispose()


async def test_limits_in_memory_need_no_store() -> None:
    store = MemoryStore(SimpleNamespace(now_ns=lambda: 1, monotonic=lambda: 1.0))  # pyright: ignore
    world = SimpleNamespace(snapshot=SimpleNamespace(limit_options=LimitOptions()), limits=store)
    await beside.open_limits(world)  # pyright: ignore
    assert world.limits is store
