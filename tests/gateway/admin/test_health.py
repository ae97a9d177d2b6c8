"""Liveness, readiness and its reasons, and the scrape."""

import errno
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.admin.health import readiness
from gateway.ledger.status import LoaderStatus, write_status
from gateway.limits.stores import open_store
from gateway.routing.table import Target
from gateway.telemetry.metrics import Metrics
from tests.gateway.admin.fakes import FakeWorld, client_of
from tests.gateway.ledger.helpers import exchange


def fail_writes(world: FakeWorld) -> None:
    assert world.journal is not None

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    world.journal._write = full
    world.journal.start(exchange())


def status(world: FakeWorld, **changes: object) -> LoaderStatus:
    usual = LoaderStatus(
        pid=1, updated_ns=world.clock.now_ns(), lag_bytes=0, lag_seconds=0.0, loaded=0, duplicates=0, rejected=0,
        interrupted=0, database="ok", error="",
    )  # fmt: skip
    return msgspec.structs.replace(usual, **changes)


async def test_alive(admin: httpx.AsyncClient, world: FakeWorld) -> None:
    world.draining = True
    answer = await admin.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_ready(admin: httpx.AsyncClient) -> None:
    answer = await admin.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    assert {"serving", "configuration", "journal", "ledger"} <= answer.json()["checks"].keys()
    assert all(check["ok"] for check in answer.json()["checks"].values())


async def test_notice_is_given_before_draining(admin: httpx.AsyncClient, world: FakeWorld) -> None:
    world.leaving = True
    answer = await admin.get("/readyz")
    assert answer.status_code == 503
    assert "leaving" in answer.json()["checks"]["serving"]["reason"]


async def test_draining(admin: httpx.AsyncClient, world: FakeWorld) -> None:
    world.draining = True
    answer = await admin.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert "draining" in answer.json()["checks"]["serving"]["reason"]


async def test_a_journal_that_cannot_be_written(admin: httpx.AsyncClient, world: FakeWorld) -> None:
    fail_writes(world)
    answer = await admin.get("/readyz")
    assert answer.status_code == 503
    assert "ENOSPC" in answer.json()["checks"]["journal"]["reason"]


def test_serving_unrecorded_is_still_ready(make_world, tmp_path: Path) -> None:
    ledger = {"url": f"sqlite:///{tmp_path}/l.db", "journal": str(tmp_path / "journal"), "on_full": "serve"}
    world = make_world(ledger=ledger)
    fail_writes(world)
    ready = readiness(world)
    assert ready.ready
    assert "unrecorded" in ready.checks["journal"].reason


def test_a_refused_reload_is_mentioned(world: FakeWorld) -> None:
    Path(world.configuration.snapshot.source).write_text("nonsense: [")
    world.configuration.reload("test")
    ready = readiness(world)
    assert ready.ready
    assert "refused" in ready.checks["configuration"].reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"database": "away", "lag_bytes": 77}, "77 journal bytes"),
        ({"updated_ns": 0}, "no loader has reported for"),
    ],
)
def test_the_loader_is_mentioned_and_never_a_reason(world: FakeWorld, changes: dict[str, object], reason: str) -> None:
    assert world.journal is not None
    write_status(world.journal.directory, status(world, **changes))
    ready = readiness(world)
    assert ready.ready
    assert reason in ready.checks["ledger"].reason
    assert bool(reason) == bool(ready.checks["ledger"].reason)


def test_a_refused_credential_is_mentioned(world: FakeWorld) -> None:
    provider = world.configuration.snapshot.routes.exact["gpt-4o-mini"].targets[0].provider
    world.health.answered(Target(provider, "gpt-4o-mini"), 401, None, world.clock.monotonic())
    ready = readiness(world)
    assert ready.ready
    assert "openai" in ready.checks["providers"].reason


async def test_a_limit_store_that_is_away_is_mentioned(world: FakeWorld) -> None:
    assert "limits" not in readiness(world).checks, "in memory"
    world.limits = open_store("redis://127.0.0.1:9", clock=world.clock, worker="w")
    ready = readiness(world)
    await world.limits.aclose()
    assert ready.ready
    assert "limit store is away" in ready.checks["limits"].reason


def test_without_a_ledger(make_world) -> None:
    ready = readiness(make_world(ledger="off"))
    assert ready.ready
    assert "journal" not in ready.checks


async def test_metrics(admin: httpx.AsyncClient, world: FakeWorld) -> None:
    assert world.metrics is not None
    world.metrics.record(exchange())
    answer = await admin.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"tollway_requests", "tollway_in_flight", "tollway_journal_healthy", "process_cpu_seconds"} <= names


async def test_metrics_off(world: FakeWorld) -> None:
    world.metrics = None
    async with client_of(world) as client:
        answer = await client.get("/metrics")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "metrics_off")


async def test_a_scrape_that_cannot_know_the_others_fails(world: FakeWorld, tmp_path: Path) -> None:
    shared = tmp_path / "metrics"
    world.metrics = Metrics(shared)
    async with client_of(world) as client:
        assert (await client.get("/metrics")).status_code == 200
        for path in shared.iterdir():
            path.unlink()
        shared.rmdir()
        assert (await client.get("/metrics")).status_code == 503
