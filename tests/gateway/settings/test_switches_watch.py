"""Switches get in force, and out of it, in every worker within a second; also while the database is away."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.clock import ManualClock, SystemClock
from gateway.errors import LedgerError
from gateway.ledger.audit import Head
from gateway.ledger.store import open_engine
from gateway.ledger.switches import StoredSwitch, SwitchStore
from gateway.settings.looking import INTERVAL, keep_looking
from gateway.settings.reload import Configuration
from gateway.settings.switches_watch import LedgerSwitches, SwitchWatch
from gateway.tasks import TaskGroup
from tests.support.ledgers import ready_ledger

HOUR = 3600 * 10**9


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def configuration(write: Callable[..., Path], minimal: str, clock: ManualClock) -> Configuration:
    return Configuration(write(minimal + "prices: off\n"), clock=clock, env={})


class Store:
    """Switches that can be away, and counts how often they are read."""

    def __init__(self) -> None:
        self.switches: list[StoredSwitch] = []
        self.number = 1
        self.away = False
        self.reads = 0

    def head(self) -> Head:
        if self.away:
            raise LedgerError("away")
        return Head(self.number, f"{self.number:064d}")

    def live(self) -> list[StoredSwitch]:
        self.reads += 1
        return self.switches

    def stop(self, team: str, from_ns: int, until_ns: int | None) -> None:
        self.number += 1
        self.switches.append(
            StoredSwitch(
                id=f"s{self.number}", kind="stop", scope="team", name=team, value="", reason="x", made_by="cli:a",
                from_ns=from_ns, until_ns=until_ns,
            )
        )  # fmt: skip


def names(configuration: Configuration) -> list[str]:
    found = configuration.snapshot.switches
    return [] if found is None else [each.name for each in found.all]


def test_published_when_set_and_when_over(configuration: Configuration, clock: ManualClock) -> None:
    store = Store()
    watch = SwitchWatch(configuration, store, clock)
    watch.look()
    assert configuration.snapshot.switches is None
    store.stop("t", clock.now_ns(), clock.now_ns() + HOUR)
    assert watch.look()
    assert names(configuration) == ["t"]
    assert not watch.look()
    assert store.reads == 2, "read again only when the audit log moved"
    assert configuration.reload("test").ok
    assert names(configuration) == ["t"]
    clock.advance(3600.0)
    assert watch.look()
    assert configuration.snapshot.switches is None


def test_the_last_known_switches_stay_while_the_database_is_away(
    configuration: Configuration, clock: ManualClock, tmp_path: Path
) -> None:
    """They end in their time all the same; and a worker that starts meanwhile knows them from the file."""
    store = Store()
    store.stop("t", clock.now_ns(), clock.now_ns() + HOUR)
    SwitchWatch(configuration, store, clock, tmp_path).look()
    configuration.set_switches([])
    store.away = True
    watch = SwitchWatch(configuration, store, clock, tmp_path)
    watch.recall()
    watch.look()
    assert watch.failed
    assert names(configuration) == ["t"]
    clock.advance(3600.0)
    watch.look()
    assert names(configuration) == []


def test_a_broken_or_unwritable_file_stops_nobody(
    configuration: Configuration, clock: ManualClock, tmp_path: Path
) -> None:
    (tmp_path / "switches.json").write_text("{")
    (tmp_path / "file").write_text("")
    for directory in (tmp_path, tmp_path / "file"):
        store = Store()
        store.stop("t", clock.now_ns(), None)
        watch = SwitchWatch(configuration, store, clock, directory)
        watch.recall()
        assert watch.look()
        assert names(configuration) == ["t"]


async def test_in_force_within_a_second(configuration: Configuration, tmp_path: Path) -> None:
    """Set in a real ledger; seen two looks later at most."""
    url, clock = f"sqlite:///{tmp_path}/ledger.db", SystemClock()
    ready_ledger(url)
    engine = open_engine(url)
    watch = SwitchWatch(configuration, LedgerSwitches(engine, clock), clock)
    assert INTERVAL <= 0.4
    tasks = TaskGroup(lambda _name, error: pytest.fail(str(error)))
    tasks.start(keep_looking([watch], 0.01), "watch")
    fields = {"kind": "stop", "scope": "team", "name": "t", "value": "", "reason": "x", "actor": "cli:a"}
    SwitchStore(engine, clock).set(until_ns=None, **fields)
    async with asyncio.timeout(60):
        while not names(configuration):
            await asyncio.sleep(0.005)
    await tasks.close()
    engine.dispose()
