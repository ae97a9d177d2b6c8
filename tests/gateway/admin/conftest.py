"""Worlds with a real configuration and a real SQLite ledger, and clients of their admin API."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import yaml

from gateway.clock import ManualClock
from gateway.ledger.journal import Journal
from gateway.settings.reload import Configuration
from tests.gateway.admin.fakes import FakeWorld, client_of, written


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., FakeWorld]:
    """Builds a world of the usual configuration with some sections replaced."""

    def make(**changes: object) -> FakeWorld:
        file = tmp_path / "gateway.yaml"
        file.write_text(yaml.safe_dump({**written(tmp_path), **changes}))
        clock = ManualClock()
        configuration = Configuration(file, clock=clock)
        journal = None
        if configuration.snapshot.ledger is not None:
            journal = Journal(tmp_path / "journal", clock=clock, fsync_interval=0)
        return FakeWorld(configuration, clock, journal)

    return make


@pytest.fixture
def world(make_world: Callable[..., FakeWorld]) -> FakeWorld:
    return make_world()


@pytest.fixture
async def admin(world: FakeWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(world) as client:
        yield client
