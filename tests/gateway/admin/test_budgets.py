"""Budgets over HTTP: shown from the counters or the ledger, raised, reset, rebuilt; and all of it in the audit log."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from gateway.ledger.audit import entries, verify
from gateway.ledger.posting import post
from gateway.ledger.store import open_engine, writing
from gateway.limits.memory import MemoryStore
from gateway.limits.stores import open_store
from gateway.quota import Admitted, Charge
from gateway.settings.adjustments_watch import AdjustmentWatch, LedgerAdjustments
from tests.gateway.admin.fakes import FakeWorld, client_of, sha256
from tests.gateway.ledger.helpers import end
from tests.support.ledgers import ready_ledger

USD = 10**9
SEARCH = "/admin/v1/budgets/teams.search.budget"


@pytest.fixture
def world(make_world: Callable[..., FakeWorld]) -> FakeWorld:
    return make_world(
        teams={
            "search": {
                "keys": [{"id": "search-dev", "hash": sha256("sk-search")}],
                "budget": {"amount": "100 USD", "soft": "80%"},
                "limits": {"tokens_per_minute": "200k"},
                "zone": "Europe/Berlin",
            },
            "support": {"budget": [{"amount": "5 USD", "per": "day"}]},
        },
        limits={"rules": [{"name": "per-model", "usd": "500 USD", "per": "day", "each": ["model"]}]},
    )


@pytest.fixture
async def finops(world: FakeWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(world, "finops") as client:
        yield client


def url_of(world: FakeWorld) -> str:
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    return ledger.url


async def spend(world: FakeWorld, nanos: int) -> None:
    """On the counters of team search, and booked in the ledger."""
    limits = world.configuration.snapshot.limits
    assert limits is not None
    bounds = limits.bounds("search-dev", "search", "gpt-4o-mini", "chat.completions", {})
    name = f"h{world.clock.now_ns()}-{nanos}"
    assert isinstance(await world.limits.admit(name, bounds, Charge(nanos=nanos), 60.0), Admitted)
    world.limits.settle(name, Charge(nanos=nanos))
    book(world, nanos)


def book(world: FakeWorld, nanos: int) -> None:
    ready_ledger(url_of(world))
    engine = open_engine(url_of(world))
    with writing(engine) as connection:
        record = end(received_ns=world.clock.now_ns(), cost_nanos=nanos)
        post(connection, [record], world.clock.now_ns())
    engine.dispose()


def watch_of(world: FakeWorld) -> AdjustmentWatch:
    return AdjustmentWatch(world.configuration, LedgerAdjustments(open_engine(url_of(world)), world.clock), world.clock)


async def budget(client: httpx.AsyncClient, counter: str = "teams.search.budget") -> dict:
    answer = await client.get("/admin/v1/budgets?all=true")
    assert answer.status_code == 200, answer.text
    (found,) = [each for each in answer.json()["budgets"] if each["counter"] == counter]
    return found


async def test_shown_from_the_counters(world: FakeWorld, finops: httpx.AsyncClient) -> None:
    await spend(world, 41 * USD + 1)
    limits = world.configuration.snapshot.limits
    assert limits is not None
    await world.limits.admit("now", limits.known("search")[:1], Charge(nanos=2 * USD), 60.0)
    answer = (await finops.get("/admin/v1/budgets")).json()
    assert answer["source"] == "store"
    assert [each["counter"] for each in answer["budgets"]] == [
        "teams.search.budget", "teams.support.budget", "limits.rules.per-model:gpt-4o-mini",
    ]  # fmt: skip
    # 14 November, 23:13 in Berlin: 13.97 of 30 days are over.
    assert answer["budgets"][0] == {
        "counter": "teams.search.budget",
        "rule": "teams.search.budget",
        "team": "search",
        "measure": "usd",
        "unit": "USD",
        "window": "month (Europe/Berlin)",
        "limit": "100.000000000",
        "extra": "0.000000000",
        "used": "41.000000001",
        "reserved": "2.000000000",
        "remaining": "56.999999999",
        "soft": "80.000000000",
        "forecast": answer["budgets"][0]["forecast"],
        "resets_at": "2023-12-01T00:00:00+01:00",
        "state": "ok",
        "when_exhausted": "block",
    }
    assert 87 < float(answer["budgets"][0]["forecast"]) < 90
    one = (await finops.get("/admin/v1/budgets?team=support&all=true")).json()
    assert [each["counter"] for each in one["budgets"]] == ["teams.support.budget"]
    everything = (await finops.get("/admin/v1/budgets?all=true")).json()
    assert "teams.search.tokens_per_minute" in [each["counter"] for each in everything["budgets"]]


async def test_while_the_store_is_away_the_ledger_tells_and_nothing_is_rebuilt(
    world: FakeWorld, finops: httpx.AsyncClient
) -> None:
    """Counters nobody can ask are not shown as empty; «nothing is changed then»."""
    world.limits = open_store("redis://127.0.0.1:9", clock=world.clock, worker="w")
    try:
        book(world, 41 * USD)
        answer = (await finops.get("/admin/v1/budgets")).json()
        assert answer["source"] == "ledger"
        assert (answer["budgets"][0]["used"], answer["budgets"][0]["reserved"]) == ("41.000000000", None)
        refused = await finops.post("/admin/v1/budgets/rebuild", json={"reason": "Redis was lost"})
        assert refused.status_code == 503
        assert "limit store cannot be reached" in refused.json()["error"]["message"]
        reset = await finops.post("/admin/v1/budgets/teams.search.budget/reset", json={"reason": "a job"})
        assert (reset.status_code, reset.json()["extra"]) == (201, "41.000000000")
    finally:
        await world.limits.aclose()


@pytest.mark.parametrize(
    ("query", "message"),
    [("team=serch", "no team 'serch' in the configuration. Did you mean 'search'"), ("all=maybe", "true and false")],
)
async def test_a_wrong_question(finops: httpx.AsyncClient, query: str, message: str) -> None:
    answer = await finops.get(f"/admin/v1/budgets?{query}")
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


async def test_a_raise_counts_until_it_expires(world: FakeWorld, finops: httpx.AsyncClient) -> None:
    watch = watch_of(world)
    made = await finops.post(f"{SEARCH}/raise", json={"amount": "50 USD", "for": "2h", "reason": "launch"})
    assert made.status_code == 201, made.text
    shown = made.json()
    assert (shown["extra"], shown["state"], shown["made_by"]) == ("50.000000000", "holds", "key:finops-key")
    assert shown["until"] == "2023-11-15T01:13:20+01:00"
    found = await budget(finops)
    assert (found["limit"], found["extra"], found["soft"]) == ("150.000000000", "50.000000000", "120.000000000")

    def amount() -> int:
        limits = world.configuration.snapshot.limits
        assert limits is not None
        return limits.known("search")[0].rule.amount

    assert amount() == 100 * USD
    assert watch.look()
    assert amount() == 150 * USD
    assert not watch.look()
    world.clock.advance(7200)
    assert watch.look(), "the clock is enough: nothing changed in the database"
    assert amount() == 100 * USD
    assert (await budget(finops))["limit"] == "100.000000000"
    assert (await finops.get("/admin/v1/budgets/adjustments")).json() == {"adjustments": []}
    (over,) = (await finops.get("/admin/v1/budgets/adjustments?all=true")).json()["adjustments"]
    assert over["state"] == "over"


async def test_a_raise_is_taken_back(world: FakeWorld, finops: httpx.AsyncClient) -> None:
    made = await finops.post(f"{SEARCH}/raise", json={"amount": "50 USD", "until": "2023-12-24", "reason": "launch"})
    path = f"/admin/v1/budgets/adjustments/{made.json()['id']}/end"
    ended = await finops.post(path, json={"reason": "sold out"})
    assert ended.status_code == 200
    assert ended.json()["state"] == "ended"
    assert (await budget(finops))["limit"] == "100.000000000"
    again = await finops.post(path, json={"reason": "sold out"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "adjustment_over")
    missing = await finops.post("/admin/v1/budgets/adjustments/adj-1/end", json={"reason": "x"})
    assert missing.status_code == 404


async def test_a_reset_begins_anew_until_the_window_ends(world: FakeWorld, finops: httpx.AsyncClient) -> None:
    await spend(world, 90 * USD)
    assert (await budget(finops))["state"] == "soft"
    for used, remaining in ((90, 100), (95, 100)):
        made = await finops.post(f"{SEARCH}/reset", json={"reason": "runaway job"})
        assert made.status_code == 201, made.text
        assert made.json()["until"] == "2023-12-01T00:00:00+01:00"
        found = await budget(finops)
        assert (float(found["used"]), float(found["remaining"]), found["state"]) == (used, remaining, "ok")
        again = await finops.post(f"{SEARCH}/reset", json={"reason": "runaway job"})
        assert (again.status_code, again.json()["error"]["code"]) == (409, "nothing_to_reset")
        await spend(world, 5 * USD)
    world.clock.advance(20 * 86400)
    assert (await budget(finops))["limit"] == "100.000000000"


async def test_what_rolls_cannot_be_reset(finops: httpx.AsyncClient) -> None:
    answer = await finops.post("/admin/v1/budgets/teams.search.tokens_per_minute/reset", json={"reason": "x"})
    assert answer.status_code == 409
    assert "rolls, so that there is no moment" in answer.json()["error"]["message"]
    assert "Raise it" in answer.json()["error"]["message"]
    raised = await finops.post(
        "/admin/v1/budgets/teams.search.tokens_per_minute/raise",
        json={"amount": "100k", "for": "1h", "reason": "batch"},
    )
    assert raised.json()["extra"] == 100_000
    assert (await budget(finops, "teams.search.tokens_per_minute"))["limit"] == 300_000


async def test_a_counter_with_a_slash_in_its_name(finops: httpx.AsyncClient) -> None:
    path = "/admin/v1/budgets/limits.rules.per-model:local%2Fllama/raise"
    answer = await finops.post(path, json={"amount": "5 USD", "for": "1h", "reason": "x"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["counter"] == "limits.rules.per-model:local/llama"
    assert answer.json()["extra"] == "5.000000000"
    unlisted = await finops.post(path.replace("raise", "reset"), json={"reason": "x"})
    assert (unlisted.status_code, unlisted.json()["error"]["code"]) == (409, "cannot_reset")


@pytest.mark.parametrize(
    ("rule", "body", "status", "message"),
    [
        ("teams.serch.budget", {}, 404, "Did you mean 'teams.search.budget'"),
        ("limits.rules.per-model", {}, 201, ""),
        ("teams.search.budget", {"amount": "50 EUR"}, 400, "currency is not known"),
        ("teams.search.budget", {"amount": "-5 USD"}, 400, "negative"),
        ("teams.search.budget", {"amount": "0 USD"}, 400, "adds nothing"),
        ("teams.search.budget", {"amount": "200k"}, 400, "not an amount of money"),
        ("teams.search.budget", {"amount": "9999999 USD"}, 400, "more than can be counted"),
        ("teams.search.tokens_per_minute", {"amount": "5 USD"}, 400, "not a whole number"),
        ("teams.search.budget", {"for": None}, 400, "either until"),
        ("teams.search.budget", {"until": "2023-12-24"}, 400, "either until"),
        ("teams.search.budget", {"for": "soon"}, 400, "for: this is not a duration"),
        ("teams.search.budget", {"for": "0"}, 400, "not in the future"),
        ("teams.search.budget", {"for": "400d"}, 400, "at most 366 days"),
        ("teams.search.budget", {"for": None, "until": "2020-01-01"}, 400, "not in the future"),
        ("teams.search.budget", {"reason": " "}, 400, "reason"),
        ("teams.search.budget", {"reason": "a\nb"}, 400, "printable"),
        ("teams.search.budget", {"why": "x"}, 400, "why"),
    ],
)
async def test_a_wrong_raise(finops: httpx.AsyncClient, rule: str, body: dict, status: int, message: str) -> None:
    asked = {"amount": "50 USD", "for": "1h", "reason": "x", **body}
    sent = {name: value for name, value in asked.items() if value is not None}
    answer = await finops.post(f"/admin/v1/budgets/{rule}/raise", json=sent)
    assert answer.status_code == status, answer.text
    assert message in (answer.text if status == 201 else answer.json()["error"]["message"])


async def test_a_rule_with_several_counters(make_world: Callable[..., FakeWorld]) -> None:
    world = make_world(limits={"rules": [{"name": "each", "usd": "50 USD", "per": "day", "each": ["team"]}]})
    async with client_of(world) as client:
        answer = await client.post(
            "/admin/v1/budgets/limits.rules.each/raise", json={"amount": "5 USD", "for": "1h", "reason": "x"}
        )
    assert answer.status_code == 400
    assert "limits.rules.each:search, limits.rules.each:support" in answer.json()["error"]["message"]


async def test_rebuilding(world: FakeWorld, finops: httpx.AsyncClient) -> None:
    await spend(world, 40 * USD)
    world.limits = MemoryStore(world.clock)
    assert (await budget(finops))["used"] == "0.000000000"
    wrong = await finops.post("/admin/v1/budgets/rebuild", json={"team": "nobody"})
    assert wrong.status_code == 400
    done = (await finops.post("/admin/v1/budgets/rebuild", json={"reason": "Redis was lost"})).json()
    assert done["counters"] == 4
    assert done["changed"][0] == {"counter": "teams.search.budget", "before": "0.000000000", "used": "40.000000000"}
    assert (await budget(finops))["used"] == "40.000000000"
    only = (await finops.post("/admin/v1/budgets/rebuild", json={"team": "support"})).json()
    assert only == {"counters": 1, "changed": []}


async def test_nothing_to_rebuild(make_world: Callable[..., FakeWorld]) -> None:
    async with client_of(make_world()) as client:
        none = await client.post("/admin/v1/budgets/rebuild")
        assert (none.status_code, none.json()["error"]["code"]) == (409, "no_limits")
        assert (await client.get("/admin/v1/budgets")).json()["budgets"] == []


async def test_every_change_is_in_the_audit_log(world: FakeWorld, finops: httpx.AsyncClient) -> None:
    await spend(world, 90 * USD)
    async with client_of(world, "admin") as admin:
        key = (await admin.post("/admin/v1/keys", json={"team": "search", "name": "ci"})).json()
        rotated = (await admin.post(f"/admin/v1/keys/{key['id']}/rotate", json={"overlap": "0"})).json()
        await admin.post(f"/admin/v1/keys/{rotated['id']}/revoke")
        await admin.post("/admin/v1/reload")
    made = await finops.post(f"{SEARCH}/raise", json={"amount": "50 USD", "for": "2h", "reason": "launch"})
    await finops.post(f"/admin/v1/budgets/adjustments/{made.json()['id']}/end", json={"reason": "over"})
    await finops.post(f"{SEARCH}/reset", json={"reason": "runaway"})
    await finops.post("/admin/v1/budgets/rebuild", json={"reason": "check"})
    listed = (await finops.get("/admin/v1/audit?since=2023-11-01")).json()
    assert [(entry["actor"], entry["action"], entry["object"], entry["reason"]) for entry in listed["entries"]] == [
        ("key:admin-key", "keys.create", key["id"], ""),
        ("key:admin-key", "keys.rotate", rotated["id"], ""),
        ("key:admin-key", "keys.revoke", rotated["id"], ""),
        ("key:admin-key", "config.reload", world.configuration.snapshot.source, ""),
        ("key:finops-key", "budgets.raise", "teams.search.budget", "launch"),
        ("key:finops-key", "budgets.end", "teams.search.budget", "over"),
        ("key:finops-key", "budgets.reset", "teams.search.budget", "runaway"),
        ("key:finops-key", "budgets.rebuild", "all teams", "check"),
    ]
    engine = open_engine(url_of(world))
    assert verify(engine).broken is None
    kept = "".join(f"{entry.before}{entry.after}" for entry in entries(engine))
    engine.dispose()
    assert key["secret"] not in kept
    assert rotated["secret"] not in kept


async def test_without_a_ledger(make_world: Callable[..., FakeWorld], tmp_path: Path) -> None:
    async with client_of(make_world(ledger="off")) as client:
        for method, path in (("GET", ""), ("GET", "/adjustments"), ("POST", "/rebuild")):
            answer = await client.request(method, f"/admin/v1/budgets{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ledger_off")
