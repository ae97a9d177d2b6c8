"""A process tells the ledger what it has put in force, also when the database was away meanwhile."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.clock import ManualClock
from gateway.ledger.config_history import ConfigEvent, ConfigHistory, Origin
from gateway.ledger.store import open_engine
from gateway.settings import history
from gateway.settings.history import Historian, origin_of, tell_now
from gateway.settings.reload import Configuration
from gateway.tasks import TaskGroup
from tests.support.ledgers import ready_ledger


@pytest.fixture
def path(write: Callable[..., Path], minimal: str) -> Path:
    return write(minimal.replace("api_key: k", "api_key: canary") + "prices: off\n")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def configuration(path: Path, clock: ManualClock) -> Configuration:
    return Configuration(path, clock=clock, env={})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.db")
    yield engine
    engine.dispose()


def events(engine: Engine, path: Path) -> list[ConfigEvent]:
    return ConfigHistory(engine, str(path)).list()[::-1]


async def test_start_change_and_refusal(
    configuration: Configuration, engine: Engine, clock: ManualClock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "every configuration put in force … Refused candidates are events too"; the tables come later than the start."""
    monkeypatch.setattr(history, "AGAIN", 0.01)
    historian = Historian(configuration, engine, clock)
    historian.follow()
    tasks = TaskGroup(lambda name, error: None)
    tasks.start(historian.run(), "tell")
    async with asyncio.timeout(60):
        while not historian.failures:
            await asyncio.sleep(0.01)
    ready_ledger(f"sqlite:///{path.parent}/ledger.db")
    path.write_text(path.read_text() + "server: {drain: 10s}\n")
    assert (await asyncio.to_thread(configuration.reload, "file change")).ok
    path.write_text(path.read_text() + "bogus: 1\n")
    assert not (await asyncio.to_thread(configuration.reload, "SIGHUP")).ok
    found: list[ConfigEvent] = []
    async with asyncio.timeout(60):
        while len(found) < 3:
            await asyncio.sleep(0.01)
            found = await asyncio.to_thread(events, engine, path)
    await tasks.close()
    assert [(each.version, each.cause) for each in found] == [(1, "start"), (2, "file change"), (0, "SIGHUP")]
    assert found[1].changes == ["server: added"]
    assert "unknown key 'bogus'" in found[2].error
    kept = ConfigHistory(engine, str(path)).find(2)
    assert kept is not None
    assert kept.files is not None
    assert "drain: 10s" in kept.files[0].text
    assert b"canary" not in (path.parent / "ledger.db").read_bytes()


def test_who_asked_is_told_at_once(
    configuration: Configuration, engine: Engine, clock: ManualClock, path: Path
) -> None:
    ready_ledger(f"sqlite:///{path.parent}/ledger.db")
    path.write_text(path.read_text() + "# a comment counts for the text\n")
    result = configuration.reload("admin key ops")
    origin = Origin("reload", "key:ops")
    assert tell_now(configuration, engine, clock, origin, result)
    assert not tell_now(configuration, engine, clock, origin, result)
    (event,) = events(engine, path)
    assert (event.actor, event.cause, event.hash) == ("key:ops", "reload", configuration.snapshot.hash)


def test_reasons_of_reloads() -> None:
    assert origin_of("file change") == Origin("file change")
    assert origin_of("admin key ops") == Origin("reload", "key:ops")
    assert origin_of("rollback to version 3 by admin key ops") == Origin("rollback to version 3", "key:ops")


def test_a_text_that_cannot_be_masked_is_not_kept(
    configuration: Configuration, engine: Engine, clock: ManualClock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(written: object) -> None:
        raise RuntimeError("canary")

    ready_ledger(f"sqlite:///{path.parent}/ledger.db")
    monkeypatch.setattr(history, "kept_files", broken)
    assert tell_now(configuration, engine, clock, Origin("start"), None)
    found = ConfigHistory(engine, str(path)).find(1)
    assert found is not None
    assert found.files is None
