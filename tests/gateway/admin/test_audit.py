"""The audit log over HTTP, and entries of what happened outside the ledger."""

import logging
from collections.abc import Callable

import httpx
import pytest

from gateway.admin.audit import note
from gateway.clock import ManualClock
from tests.gateway.admin.fakes import FakeWorld, client_of


async def test_listed_by_time_and_number(world: FakeWorld, admin: httpx.AsyncClient) -> None:
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    for number in range(5):
        note(ledger.url, world.clock, actor="cli:anna", action="a", object=str(number), after={"n": number})
        world.clock.advance(60)
    everything = (await admin.get("/admin/v1/audit")).json()
    assert [entry["object"] for entry in everything["entries"]] == ["0", "1", "2", "3", "4"]
    assert everything["head"] == f"5:{everything['entries'][-1]['hash']}"
    assert everything["entries"][3]["after"] == {"n": 3}
    newest = (await admin.get("/admin/v1/audit?limit=2")).json()
    assert [entry["object"] for entry in newest["entries"]] == ["3", "4"]
    since = (await admin.get("/admin/v1/audit?since=2m")).json()
    assert [entry["object"] for entry in since["entries"]] == ["3", "4"]


@pytest.mark.parametrize("query", ["since=soon", "limit=0", "limit=1001", "limit=x", "limit=%C2%B2"])
async def test_a_wrong_question(admin: httpx.AsyncClient, query: str) -> None:
    answer = await admin.get(f"/admin/v1/audit?{query}")
    assert answer.status_code == 400
    assert query.split("=")[0] in answer.json()["error"]["message"]


async def test_without_a_ledger(make_world: Callable[..., FakeWorld]) -> None:
    async with client_of(make_world(ledger="off")) as client:
        answer = await client.get("/admin/v1/audit")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ledger_off")
        assert (await client.post("/admin/v1/reload")).status_code == 200


def test_what_was_done_stays_done_though_the_database_is_away(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tollway"):
        note("postgresql://nobody@127.0.0.1:1/none", ManualClock(), actor="key:a", action="config.reload", object="f")
    assert [record.message for record in caplog.records] == ["audit_entry_missing"]
