"""Incidents over HTTP: lists, timelines, and who may say what."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from gateway.ledger.incidents import Incident, IncidentStore, Note
from gateway.ledger.store import open_engine
from tests.gateway.admin.fakes import FakeWorld, client_of
from tests.support.ledgers import ready_ledger

PATH = "/admin/v1/incidents"
S = 10**9


def incident(now_ns: int, name: str = "inc-1", **more: object) -> Incident:
    fields = {
        "id": name,
        "signal": "provider",
        "subject": "openai",
        "severity": "page",
        "title": "The provider 'openai' fails",
        "detail": {"teams": ["search"], "attempts": 20},
        "since_ns": now_ns - 60 * S,
        "opened_ns": now_ns - 50 * S,
        "updated_ns": now_ns,
    }
    return Incident(**{**fields, **more})


@pytest.fixture
def store(world: FakeWorld) -> IncidentStore:
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    ready_ledger(ledger.url)
    return IncidentStore(open_engine(ledger.url))


@pytest.fixture
async def oncall(world: FakeWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(world, "oncall") as client:
        yield client


async def ids(client: httpx.AsyncClient, **query: str) -> list[str]:
    return [each["id"] for each in (await client.get(PATH, params=query)).json()["incidents"]]


async def test_listed(world: FakeWorld, store: IncidentStore, oncall: httpx.AsyncClient) -> None:
    now_ns = world.clock.now_ns()
    old = incident(now_ns, "old", opened_ns=now_ns - 9 * 86400 * S, resolved_ns=now_ns - 8 * 86400 * S)
    over = incident(now_ns, "over", opened_ns=now_ns - 100 * S, resolved_ns=now_ns - 55 * S)
    store.save([old, over, incident(now_ns)], [])
    assert await ids(oncall) == ["inc-1"]
    assert await ids(oncall, state="all") == ["inc-1", "over"]
    assert await ids(oncall, state="all", since="30d") == ["inc-1", "over", "old"]
    (shown,) = (await oncall.get(PATH)).json()["incidents"]
    assert (shown["state"], shown["teams"], shown["detail"]) == ("open", ["search"], {"attempts": 20})
    assert shown["since"] == "2023-11-14T22:12:20Z"
    for query in ({"state": "closed"}, {"since": "yesterday"}):
        assert (await oncall.get(PATH, params=query)).status_code == 400


async def test_a_timeline_merges_what_happened_around_it(
    world: FakeWorld, store: IncidentStore, oncall: httpx.AsyncClient
) -> None:
    """From a quarter of an hour before: reloads, credentials, switches and keys of the audit log, and its own notes."""
    now_ns = world.clock.now_ns()
    notes = [
        Note(at_ns=now_ns - 2000 * S, kind="config", text="too early"),
        Note(at_ns=now_ns - 300 * S, kind="config", text="configuration abc in force"),
        Note(at_ns=now_ns - 50 * S, incident="inc-1", kind="opened", text="fails"),
        Note(at_ns=now_ns - 40 * S, incident="other", kind="opened", text="not mine"),
    ]
    store.save([incident(now_ns)], notes)
    made = await oncall.post(
        "/admin/v1/switches", json={"kind": "stop", "scope": "provider", "name": "openai", "reason": "x"}
    )
    assert made.status_code == 201
    world.clock.advance(5.0)
    assert (await oncall.post(f"{PATH}/inc-1/acknowledge", json={"comment": "mine"})).json()["state"] == "acknowledged"
    world.clock.advance(5.0)
    assert (await oncall.post(f"{PATH}/inc-1/comment", json={"comment": "called them"})).status_code == 200
    found = (await oncall.get(f"{PATH}/inc-1")).json()
    assert [(each["kind"], each["text"]) for each in found["timeline"]] == [
        ("config", "configuration abc in force"),
        ("began", "first seen in the figures"),
        ("opened", "fails"),
        ("switches.stop", "provider openai: x"),
        ("acknowledged", "mine"),
        ("comment", "called them"),
    ]
    assert found["timeline"][-1]["actor"] == found["incident"]["acknowledged_by"] == "key:oncall-key"


async def test_what_cannot_be(
    world: FakeWorld, store: IncidentStore, oncall: httpx.AsyncClient, make_world: Callable[..., FakeWorld]
) -> None:
    store.save([incident(world.clock.now_ns())], [])
    assert (await oncall.get(f"{PATH}/nobody")).status_code == 404
    for what in ("acknowledge", "comment"):
        assert (await oncall.post(f"{PATH}/nobody/{what}", json={"comment": "x"})).status_code == 404
    for text in ("", " ", "\x00", "x" * 1001):
        assert (await oncall.post(f"{PATH}/inc-1/comment", json={"comment": text})).status_code == 400
    async with client_of(world, "viewer") as viewer:
        assert await ids(viewer) == ["inc-1"]
        assert (await viewer.post(f"{PATH}/inc-1/acknowledge")).status_code == 403
    async with client_of(make_world(ledger="off")) as client:
        answer = await client.get(PATH)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ledger_off")
