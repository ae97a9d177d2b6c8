"""A console in front of a World with a real configuration and a real SQLite ledger, and people who are logged in."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import yaml

from gateway.admin.app import admin_app
from gateway.clock import ManualClock
from gateway.console.mount import Front
from gateway.ledger.journal import Journal
from gateway.settings.reload import Configuration
from tests.gateway.admin.fakes import FakeWorld, written


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., FakeWorld]:
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


def visitor(world: FakeWorld) -> httpx.AsyncClient:
    """A browser's worth of client: it keeps cookies, and follows nothing by itself."""
    transport = httpx.ASGITransport(Front(world, admin_app(world)), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


async def log_in(client: httpx.AsyncClient, role: str = "admin") -> httpx.Response:
    return await client.post("/console/login", data={"key": f"sk-{role}"})


def token_of(page: httpx.Response) -> str:
    """What the page's forms carry."""
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


async def post(client: httpx.AsyncClient, path: str, page: str = "/console/incidents", **fields: str) -> httpx.Response:
    """Post a form as the page at `page` would."""
    return await client.post(path, data={**fields, "token": token_of(await client.get(page))})


@pytest.fixture
async def admin(world: FakeWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(world) as client:
        await log_in(client)
        yield client


@pytest.fixture
async def viewer(world: FakeWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(world) as client:
        await log_in(client, "viewer")
        yield client
