"""Configuration, reload and providers over HTTP."""

from pathlib import Path

import httpx
import pytest
import yaml

from gateway.admin.state import url_of
from gateway.routing.table import Target
from gateway.seams import Origin
from tests.gateway.admin.fakes import FakeWorld


def edit(world: FakeWorld, **changes: object) -> None:
    file = Path(world.configuration.snapshot.source)
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}))


async def test_the_configuration_in_force(admin: httpx.AsyncClient, world: FakeWorld) -> None:
    answer = await admin.get("/admin/v1/config")
    shown = answer.json()
    assert shown["hash"] == world.configuration.snapshot.hash
    assert shown["loaded_at"] == "2023-11-14T22:13:20Z"
    assert shown["source"] == world.configuration.snapshot.source
    assert shown["last_error"] is None
    assert shown["models"] == ["gpt-4o-mini", "local/*"]
    assert "canary" not in answer.text


async def test_reload(admin: httpx.AsyncClient, world: FakeWorld) -> None:
    old = world.configuration.snapshot.hash
    edit(world, models={"only": {"targets": [{"provider": "openai", "model": "gpt-4o"}]}})
    answer = await admin.post("/admin/v1/reload")
    assert answer.status_code == 200
    result = answer.json()
    assert (result["old_hash"], result["new_hash"]) == (old, world.configuration.snapshot.hash)
    assert result["changed"] is True
    assert any("models" in line for line in result["difference"])
    assert result["signalled"] == 0
    assert (await admin.post("/admin/v1/reload")).json()["changed"] is False


async def test_a_bad_file_changes_nothing_but_the_error(admin: httpx.AsyncClient, world: FakeWorld) -> None:
    old = world.configuration.snapshot
    edit(world, modells={})
    answer = await admin.post("/admin/v1/reload")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_configuration")
    assert "modells" in answer.json()["error"]["message"]
    assert world.configuration.snapshot is old
    assert "modells" in (await admin.get("/admin/v1/config")).json()["last_error"]


async def test_providers(admin: httpx.AsyncClient, world: FakeWorld) -> None:
    provider = world.configuration.snapshot.routes.exact["gpt-4o-mini"].targets[0].provider
    world.origin = provider.origin
    world.health.answered(Target(provider, "gpt-4o-mini"), 401, None, world.clock.monotonic())
    answer = await admin.get("/admin/v1/providers")
    assert "canary" not in answer.text
    found = {shown["name"]: shown for shown in answer.json()["providers"]}
    assert found["openai"] == {
        "name": "openai",
        "dialect": "openai",
        "base_url": "https://api.openai.example/v1",
        "transport": "pool",
        "credential_down": True,
        "pool": {"open": 3, "idle": 2, "in_use": 1, "waiting": 4},
        "open_circuits": [],
    }
    assert (found["local"]["credential_down"], found["local"]["pool"]) == (False, None)


def test_every_provider_of_a_route_is_known(world: FakeWorld) -> None:
    assert [provider.name for provider in world.configuration.snapshot.routes.providers()] == ["local", "openai"]


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        (Origin("https", "a.example", 443), "https://a.example"),
        (Origin("https", "a.example", 80), "https://a.example:80"),
        (Origin("http", "127.0.0.1", 9000), "http://127.0.0.1:9000"),
        (Origin("http", "::1", 80), "http://[::1]"),
    ],
)
def test_origins_as_urls(origin: Origin, url: str) -> None:
    assert url_of(origin) == url
