"""Kill switches over HTTP: what is asked wrongly, what is allowed, and what a gateway without a ledger says."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from gateway.ledger.audit import entries
from gateway.ledger.store import open_engine
from tests.gateway.admin.fakes import FakeWorld, client_of

PATH = "/admin/v1/switches"
STOP = {"kind": "stop", "scope": "team", "name": "search", "reason": "a drill"}


@pytest.fixture
async def oncall(world: FakeWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(world, "oncall") as client:
        yield client


async def test_set_listed_cleared(world: FakeWorld, oncall: httpx.AsyncClient) -> None:
    """An hour unless told otherwise; who did it is in the audit log."""
    answer = await oncall.post(PATH, json=STOP)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["since"], made["until"]) == ("2023-11-14T22:13:20Z", "2023-11-14T23:13:20Z")
    assert (made["made_by"], made["state"]) == ("key:oncall-key", "holds")
    assert (await oncall.get(PATH)).json() == {"switches": [made]}
    cleared = await oncall.post(f"{PATH}/{made['id']}/clear", json={"reason": "over"})
    assert cleared.json()["state"] == "cleared"
    assert (await oncall.get(PATH)).json() == {"switches": []}
    assert len((await oncall.get(PATH, params={"all": "true"})).json()["switches"]) == 1
    again = await oncall.post(f"{PATH}/{made['id']}/clear")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "switch_over")
    assert (await oncall.post(f"{PATH}/nobody/clear")).status_code == 404
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    told = [(each.actor, each.action, each.reason) for each in entries(open_engine(ledger.url))]
    assert told == [("key:oncall-key", "switches.stop", "a drill"), ("key:oncall-key", "switches.clear", "over")]


@pytest.mark.parametrize(
    ("change", "until"),
    [
        ({"for": "30m"}, "2023-11-14T22:43:20Z"),
        ({"until": "2023-11-15"}, "2023-11-15T00:00:00Z"),
        ({"permanent": True}, None),
    ],
)
async def test_how_long(oncall: httpx.AsyncClient, change: dict, until: str | None) -> None:
    assert (await oncall.post(PATH, json={**STOP, **change})).json()["until"] == until


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "serch"}, "There is no team 'serch'. Did you mean 'search'?"),
        ({"name": ""}, "Say which team."),
        ({"reason": " "}, "reason: allowed is printable text of 1 to 1000 characters."),
        ({"reason": "a\nb"}, "reason: allowed is printable text"),
        ({"for": "1h", "permanent": True}, "Say once how long: for, until, or permanent."),
        ({"for": "soon"}, "for: "),
        ({"until": "2020-01-01"}, "until: allowed is a time to come within 366 days, or permanent."),
        ({"scope": "key", "name": "search-prod"}, "There is no key 'search-prod'. Did you mean 'search-dev'?"),
        ({"scope": "model", "name": "gpt-9"}, "There is no model 'gpt-9' here."),
        (
            {"scope": "operation", "name": "chat"},
            "There is no operation 'chat'. Allowed are chat.completions, completions, embeddings",
        ),
        ({"scope": "policy", "name": "pii"}, "'stop' is for gateway, team"),
        ({"to": "gpt-4o-mini"}, "to: a stop leads nowhere"),
        ({"kind": "fallback", "scope": "model", "name": "gpt-4o-mini", "to": "x"}, "There is no model 'x' here."),
        ({"kind": "fallback", "scope": "model", "name": "gpt-4o-mini", "to": "gpt-4o-mini"}, "cannot be its own"),
        ({"kind": "fallback", "scope": "model", "name": "gpt-4o-mini", "to": "local/*"}, "without *"),
        ({"kind": "guardrail", "scope": "policy", "name": "pii", "to": "shadow"}, "There is no policy 'pii'."),
        ({"kind": "explode"}, "The body is not as it should be"),
    ],
)
async def test_what_is_asked_wrongly(oncall: httpx.AsyncClient, change: dict, problem: str) -> None:
    answer = await oncall.post(PATH, json={**STOP, **change})
    assert answer.status_code == 400
    assert problem in answer.json()["error"]["message"]
    assert (await oncall.get(PATH)).json() == {"switches": []}


@pytest.mark.parametrize("name", ["gpt-4o-mini", "local/llama", "local/*", "gpt-*"])
async def test_names_of_models(oncall: httpx.AsyncClient, name: str) -> None:
    assert (await oncall.post(PATH, json={**STOP, "scope": "model", "name": name})).status_code == 201


async def test_without_a_ledger(make_world: Callable[..., FakeWorld]) -> None:
    async with client_of(make_world(ledger="off")) as client:
        for answer in (await client.get(PATH), await client.post(PATH, json=STOP)):
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ledger_off")
            assert "ledger: off" in answer.json()["error"]["message"]


async def test_a_viewer_reads_only(world: FakeWorld) -> None:
    async with client_of(world, "viewer") as client:
        assert (await client.get(PATH)).status_code == 200
        assert (await client.post(PATH, json=STOP)).status_code == 403
