"""Adjustments get in force, and out of it, in every worker within a second; and a log that was cut off is noticed."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.clock import ManualClock, SystemClock
from gateway.errors import LedgerError
from gateway.ledger.adjustments import AdjustmentStore, StoredAdjustment
from gateway.ledger.audit import Head, read_anchor
from gateway.ledger.store import open_engine
from gateway.settings.adjustments_watch import AdjustmentWatch, LedgerAdjustments
from gateway.settings.looking import keep_looking
from gateway.settings.reload import Configuration
from gateway.tasks import TaskGroup
from tests.support.ledgers import ready_ledger

TREE = "prices: off\nteams: {t: {budget: {amount: 10 USD}}}\n"
HOUR = 3600 * 10**9


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def configuration(write: Callable[..., Path], minimal: str, clock: ManualClock) -> Configuration:
    return Configuration(write(minimal + TREE), clock=clock, env={})


class Store:
    """Adjustments that can be away, and counts how often they are read."""

    def __init__(self) -> None:
        self.adjustments: list[StoredAdjustment] = []
        self.number = 1
        self.away = False
        self.reads = 0

    def head(self) -> Head:
        if self.away:
            raise LedgerError("away")
        return Head(self.number, f"{self.number:064d}")

    def live(self) -> list[StoredAdjustment]:
        self.reads += 1
        return self.adjustments

    def add(self, extra: int, from_ns: int, until_ns: int) -> None:
        self.number += 1
        self.adjustments.append(
            StoredAdjustment(
                id=f"a{self.number}", bound_key="teams.t.budget", kind="raise", extra=extra, from_ns=from_ns,
                until_ns=until_ns, reason="x", made_by="cli:a",
            )
        )  # fmt: skip


def amount(configuration: Configuration) -> int:
    limits = configuration.snapshot.limits
    assert limits is not None
    return limits.known("t")[0].rule.amount // 10**9


def test_they_are_only_read_when_something_changed(configuration: Configuration, clock: ManualClock) -> None:
    store = Store()
    watch = AdjustmentWatch(configuration, store, clock)
    before = configuration.snapshot
    assert not watch.look()
    assert not watch.look()
    assert store.reads == 1
    assert configuration.snapshot is before, "nothing to adjust: nothing is made anew"
    store.add(5 * 10**9, clock.now_ns(), clock.now_ns() + HOUR)
    assert watch.look()
    assert not watch.look()
    assert (store.reads, amount(configuration)) == (2, 15)


def test_beginnings_and_ends_need_no_database(configuration: Configuration, clock: ManualClock) -> None:
    """One made by a host whose clock is ahead begins when ours is there; all end by the clock."""
    store = Store()
    watch = AdjustmentWatch(configuration, store, clock)
    now = clock.now_ns()
    store.add(1 * 10**9, now, now + HOUR)
    store.add(2 * 10**9, now + 2 * 10**9, now + 2 * HOUR)
    watch.look()
    store.away = True
    found = [amount(configuration)]
    for seconds in (1, 1, 3597, 1, 3600):
        clock.advance(seconds)
        watch.look()
        found.append(amount(configuration))
    assert found == [11, 11, 13, 13, 12, 10]
    assert watch.failed


def test_a_reload_keeps_them(
    configuration: Configuration, clock: ManualClock, write: Callable[..., Path], minimal: str
) -> None:
    store = Store()
    store.add(5 * 10**9, clock.now_ns(), clock.now_ns() + HOUR)
    AdjustmentWatch(configuration, store, clock).look()
    write(minimal + TREE.replace("10 USD", "20 USD"))
    assert configuration.reload("test").ok
    assert amount(configuration) == 25
    write(minimal + "prices: off\nteams: {t: {}}\n")
    assert configuration.reload("test").ok
    assert configuration.snapshot.limits is None
    configuration.set_adjustments(())


def test_a_log_that_was_cut_off_is_noticed(
    configuration: Configuration, clock: ManualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    watch = AdjustmentWatch(configuration, store, clock, tmp_path / "journal")
    store.number = 7
    watch.look()
    assert read_anchor(tmp_path / "journal") == store.head()
    store.number = 5
    with caplog.at_level(logging.WARNING, "tollway"):
        watch.look()
    assert [record.message for record in caplog.records] == ["audit_log_changed"]
    store.number = 8
    watch.look()
    assert read_anchor(tmp_path / "journal") == store.head()


async def test_within_a_second_with_the_real_store(write: Callable[..., Path], minimal: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    ready_ledger(url)
    clock = SystemClock()
    engine = open_engine(url)
    store = AdjustmentStore(engine, clock)
    configuration = Configuration(write(minimal + TREE), clock=clock, env={})
    watch = AdjustmentWatch(configuration, LedgerAdjustments(engine, clock), clock, tmp_path)
    tasks = TaskGroup(lambda _name, _error: None)
    tasks.start(keep_looking([watch]), "adjustments")
    made = store.add(
        bound_key="teams.t.budget", kind="raise", extra=5 * 10**9, until_ns=clock.now_ns() + HOUR, reason="x",
        actor="cli:a", limit=10**10,
    )  # fmt: skip

    async def becomes(wanted: int) -> float:
        begun = clock.monotonic()
        async with asyncio.timeout(60):
            while amount(configuration) != wanted:
                await asyncio.sleep(0.005)
        return clock.monotonic() - begun

    assert await becomes(15) < 30
    store.end(made.id, reason="x", actor="cli:a")
    assert await becomes(10) < 30
    await tasks.close()
