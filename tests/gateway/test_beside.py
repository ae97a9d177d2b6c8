"""First looks are taken together, and a database that is away keeps nobody waiting long."""

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from gateway import beside
from gateway.clock import SystemClock
from gateway.limits.memory import MemoryStore
from gateway.settings.snapshot import LimitOptions


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


async def test_limits_in_memory_need_no_store() -> None:
    store = MemoryStore(SimpleNamespace(now_ns=lambda: 1, monotonic=lambda: 1.0))  # pyright: ignore
    world = SimpleNamespace(snapshot=SimpleNamespace(limit_options=LimitOptions()), limits=store)
    await beside.open_limits(world)  # pyright: ignore
    assert world.limits is store
