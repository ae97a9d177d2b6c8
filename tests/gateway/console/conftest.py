"""A console in front of a World with a real configuration and a real SQLite ledger, and people who are logged in."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.admin.app import admin_app
from gateway.console.mount import Front
from tests.gateway.admin.conftest import make_world, world
from tests.gateway.admin.fakes import FakeWorld

__all__ = ["admin", "make_world", "viewer", "world"]


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
