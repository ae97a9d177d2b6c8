"""First looks are taken together, and a database that is away keeps nobody waiting long."""

import asyncio
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import text

from gateway import beside
from gateway.clock import ManualClock, SystemClock
from gateway.ledger.posting import post
from gateway.ledger.store import open_engine, writing
from gateway.limits.memory import MemoryStore
from gateway.limits.program import Clause, LimitProgram
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.stores import open_store
from gateway.quota import Bound, Calendar, Charge, Rule
from gateway.settings.snapshot import LedgerOptions, LimitOptions
from gateway.tasks import TaskGroup
from tests.gateway.ledger.helpers import end
from tests.gateway.limits.helpers import apart, until
from tests.support.ledgers import ready_ledger
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
        snapshot=SimpleNamespace(limit_options=LimitOptions(store="redis://127.0.0.1:9"), ledger=None),
        clock=SystemClock(),
        workers=1,
        draining=False,
    )
    await beside.open_limits(world)  # pyright: ignore
    await world.limits.aclose()
    ((event, reason),) = said
    assert event == "limit_store_away"
    assert reason


async def test_a_store_that_has_lost_its_counters_is_counted_again(
    monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer, tmp_path: Path
) -> None:
    """And it is said, once: not of a store that is new, and not of a ledger that is away in between."""
    monkeypatch.setattr(beside, "STORE_TURN", 0.01)
    monkeypatch.setattr(beside, "STORE_TURN_SOON", 0.01)
    said: list[str] = []
    monkeypatch.setattr(beside, "alert", lambda event, **fields: said.append(event))
    rule = Rule(id="teams.search.budget", measure="usd", amount=10**12, window=Calendar("year"))
    bound = Bound(rule, rule.id)
    ledger = LedgerOptions(url=f"sqlite:///{tmp_path}/x.db", journal=str(tmp_path / "journal"))
    ready_ledger(ledger.url)
    engine, clock = open_engine(ledger.url), SystemClock()
    url = apart(redis_server.url)
    store = cast(SharedStore, open_store(url, clock=clock, worker="w", patience=5.0, restored=True))
    world = SimpleNamespace(
        snapshot=SimpleNamespace(limits=LimitProgram([Clause(rule=rule)])), clock=clock, limits=store, journal=None
    )
    watch = asyncio.create_task(beside.watch_store(world, store, ledger, engine))  # pyright: ignore
    await until(lambda: store.gauges().up, "it to be ready")
    assert said == [], "nothing was spent yet"
    with writing(engine) as connection:
        post(connection, [end(received_ns=clock.now_ns(), finished_ns=clock.now_ns(), cost_nanos=5)], clock.now_ns())
        connection.execute(text("ALTER TABLE journal_segments RENAME TO away"))
    for key in cast("list[bytes]", redis_server.ask("KEYS", f"{store.prefix}:*")):
        redis_server.ask("DEL", key)
    await until(lambda: said and not store.gauges().up, "the loss to be noticed, and the ledger to be missed")
    assert said == ["limit_store_not_recounted"]
    with writing(engine) as connection:
        connection.execute(text("ALTER TABLE away RENAME TO journal_segments"))
    await until(lambda: store.gauges().up, "it to be ready again")
    await until(lambda: said[1:], "it to be said")
    assert said[1:] == ["limit_store_lost_counters"]
    assert (await store.levels([bound]))[0].used == 5
    watch.cancel()
    await store.aclose()
    engine.dispose()


async def test_eviction_is_asked_of_every_new_connection_and_seldom_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was asked every second of every worker, and hardly ever changes."""
    said: list[str] = []
    monkeypatch.setattr(beside, "alert", lambda _event, policy: said.append(policy))
    clock, asked, now = ManualClock(), [], SimpleNamespace(connections=1, policy="allkeys-lru")

    async def eviction() -> str:
        asked.append(now.policy)
        return now.policy

    store = SimpleNamespace(gauges=lambda: now, eviction=eviction)
    evictions = beside.Evictions(store, clock)  # pyright: ignore
    for _ in range(500):
        await evictions.look()
        clock.advance(1)
    assert asked == said == ["allkeys-lru"]
    now.connections, now.policy = 2, ""
    await evictions.look()
    assert asked == ["allkeys-lru", ""]
    now.policy = "volatile-lru"
    clock.advance(beside.EVICTION_LOOK)
    await evictions.look()
    assert said == ["allkeys-lru", "volatile-lru"]


async def test_limits_in_memory_need_no_store() -> None:
    store = MemoryStore(SimpleNamespace(now_ns=lambda: 1, monotonic=lambda: 1.0))  # pyright: ignore
    world = SimpleNamespace(snapshot=SimpleNamespace(limit_options=LimitOptions()), limits=store)
    await beside.open_limits(world)  # pyright: ignore
    assert world.limits is store


async def test_windows_of_a_clock_that_was_false_are_counted_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A year ahead, and back: a month's budget is what the ledger says of it, not what was spent a year later."""
    monkeypatch.setattr(beside, "CLOCK_LOOK", 0.005)
    said: list[tuple[str, int]] = []
    monkeypatch.setattr(beside, "alert", lambda event, **fields: said.append((event, fields["seconds"])))
    rule = Rule(id="teams.search.budget", measure="usd", amount=10**12, window=Calendar("month"))
    bound = Bound(rule, rule.id)
    ledger = LedgerOptions(url=f"sqlite:///{tmp_path}/x.db", journal=str(tmp_path / "journal"))
    ready_ledger(ledger.url)
    engine, clock = open_engine(ledger.url), ManualClock()
    with writing(engine) as connection:
        post(connection, [end(received_ns=clock.now_ns(), finished_ns=clock.now_ns(), cost_nanos=5)], clock.now_ns())
    store = MemoryStore(clock)
    snapshot = SimpleNamespace(limits=LimitProgram([Clause(rule=rule)]))
    tasks = TaskGroup(lambda name, error: said.append((name, 0)))
    world = SimpleNamespace(snapshot=snapshot, clock=clock, limits=store, journal=None, tasks=tasks)
    watch = asyncio.create_task(beside.watch_clock(world, store, ledger))  # pyright: ignore
    await asyncio.sleep(0)
    year = 366 * 86_400
    for by, held in ((year, 0), (-year, 5)):
        await store.admit(f"spent{by}", [bound], Charge(nanos=3), 60.0)
        store.settle(f"spent{by}", Charge(nanos=3))
        clock._now_ns += by * 10**9
        await until(lambda: len(said) == (1 if by > 0 else 2), "it to be noticed")  # noqa: B023
        while (await store.levels([bound]))[0].used != held:
            await asyncio.sleep(0.005)
    assert said == [("limit_clock_set", year), ("limit_clock_set", -year)]
    watch.cancel()
    await tasks.close()
    engine.dispose()
