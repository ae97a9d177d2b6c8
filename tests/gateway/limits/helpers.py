"""What tests of the shared store have in common: rules, a store that is up, and waiting for something to come true."""

import asyncio
import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable

from gateway.clock import SystemClock
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.stores import open_store
from gateway.quota import Bound, Calendar, Measure, Rule, StoreFailure, Window

YEAR = Calendar("year")
LIFE = 600.0
PATIENT = 20.0
"""Seconds a store of a test waits that is not about its patience."""


def budget(
    amount: int,
    *,
    measure: Measure = "usd",
    window: Window | None = YEAR,
    name: str = "",
    group: str = "",
    on_store_failure: StoreFailure = "local",
    **rule: object,
) -> Bound:
    """A bound on a counter nobody else has."""
    name = name or uuid.uuid4().hex[:12]
    made = Rule(id=name, measure=measure, amount=amount, window=window, on_store_failure=on_store_failure, **rule)
    return Bound(made, name, group or f"t:{name}")


class States:
    """What a store said of its servers."""

    def __init__(self) -> None:
        self.seen: list[tuple[bool, str, float]] = []

    def __call__(self, up: bool, reason: str) -> None:
        self.seen.append((up, reason, time.monotonic()))


async def until(there: Callable[[], object], what: str, limit: float = 60.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + limit
    while not there():
        assert time.monotonic() < end, f"waited {limit:g} s in vain for {what}"
        await asyncio.sleep(0.005)


def apart(url: str) -> str:
    """The URL with a key prefix of the running test's own, unless it has one."""
    if "prefix=" in url:
        return url
    name = hashlib.sha256(os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0].encode()).hexdigest()[:12]
    return f"{url}{'&' if '?' in url else '?'}prefix={name}"


@contextlib.asynccontextmanager
async def opened(
    url: str, *, patience: float = PATIENT, workers: int = 1, worker: str = "", states: States | None = None
) -> AsyncIterator[SharedStore]:
    """A store that has reached its servers. Tests that share a server keep apart by the names of their keys."""
    store = open_store(
        apart(url),
        clock=SystemClock(),
        worker=worker or uuid.uuid4().hex,
        workers=workers,
        patience=patience,
        on_state=states,
    )
    assert isinstance(store, SharedStore)
    try:
        await until(lambda: store.up, "the store to reach its server")
        yield store
    finally:
        await store.aclose()


async def holds(store: SharedStore, bound: Bound, used: int, reserved: int = 0) -> None:
    """Wait until a counter holds this."""
    seen = (-1, -1)
    end = time.monotonic() + 60
    while seen != (used, reserved):
        assert time.monotonic() < end, f"the counter is at {seen}, not at {(used, reserved)}"
        level = (await store.levels([bound]))[0]
        seen = level.used, level.reserved
        await asyncio.sleep(0.005)
