"""The application as a whole: unknown paths, wrong methods, defects."""

import logging

import httpx
import pytest

from gateway.admin.app import admin_app
from tests.gateway.admin.fakes import FakeWorld, client_of


async def test_nothing_there(admin: httpx.AsyncClient) -> None:
    for path in ("/", "/admin/v1/nothing", "/console"):
        answer = await admin.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_path")
        assert "the base URL ends with /v1" in answer.json()["error"]["message"]


async def test_a_wrong_method(admin: httpx.AsyncClient) -> None:
    answer = await admin.delete("/admin/v1/config")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


async def test_nothing_is_cached(admin: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/admin/v1/config", "/admin/v1/nothing"):
        assert (await admin.get(path)).headers["cache-control"] == "no-store"


async def test_a_defect_is_reported_by_class(world: FakeWorld, caplog: pytest.LogCaptureFixture) -> None:
    def broken(reason: str) -> None:
        raise RuntimeError("sk-canary-in-a-text")

    world.reload = broken  # type: ignore[method-assign, assignment]
    with caplog.at_level(logging.WARNING, "tollway"):
        async with client_of(world) as client:
            answer = await client.post("/admin/v1/reload")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "canary" not in answer.text
    records = [record for record in caplog.records if record.message == "admin_defect"]
    assert "RuntimeError" in str(records[0].__dict__)
    assert "canary" not in str(records[0].__dict__)


def test_metrics_off_joins_nothing(world: FakeWorld) -> None:
    world.metrics = None
    assert admin_app(world).routes
