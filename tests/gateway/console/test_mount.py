import builtins
from collections.abc import Mapping, Sequence

import pytest

from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import visitor


async def test_the_console_stands_before_the_rest_and_takes_only_its_own(world: FakeWorld):
    async with visitor(world) as client:
        assert (await client.get("/healthz")).text == "ok\n"
        assert (await client.get("/console")).headers["location"] == "/console/"
        assert (await client.get("/console/")).headers["location"] == "/console/login"
        assert (await client.get("/consoles")).headers["content-type"] == "application/json"


async def test_without_jinja2_the_console_says_what_is_missing_and_all_else_works(
    world: FakeWorld, monkeypatch: pytest.MonkeyPatch
):
    real = builtins.__import__

    def without(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        if name == "gateway.console.app":
            raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")
        return real(name, globals, locals, fromlist or (), level)

    monkeypatch.setattr(builtins, "__import__", without)
    async with visitor(world) as client:
        answer = await client.get("/console/")
        assert answer.status_code == 503
        assert "jinja2" in answer.text
        assert (await client.get("/healthz")).status_code == 200
