"""Spend over HTTP: the same figures as the ledger's report, in every format."""

import csv
import io
from collections.abc import AsyncIterator

import httpx
import pyarrow.parquet as parquet
import pytest

from gateway.facts import Caller
from gateway.ledger.loader import Loader
from tests.gateway.admin.fakes import FakeWorld, client_of
from tests.gateway.ledger.helpers import exchange

SPEND = "/admin/v1/spend"


@pytest.fixture
async def finops(world: FakeWorld) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a ledger with three requests of `search` and one of `support`, an hour ago."""
    assert world.journal is not None
    hour_ago = world.clock.now_ns() - 3600 * 10**9
    for number, team in enumerate(["search", "search", "search", "support"]):
        x = exchange(
            number, received_ns=hour_ago, caller=Caller(key_id=f"{team}-dev", team=team), tags={"app": f"a{number}"}
        )
        world.journal.start(x)
        world.journal.finish(x)
    world.journal.close()
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    loader = Loader(ledger.url, ledger.journal, clock=world.clock)
    while loader.step():
        pass
    loader.close()
    async with client_of(world, "finops") as client:
        yield client


async def test_by_team(finops: httpx.AsyncClient) -> None:
    answer = (await finops.get(SPEND)).json()
    rows = {row["team"]: row for row in answer["rows"]}
    assert rows["search"]["requests"] == 3
    assert rows["search"]["input_tokens"] == 240
    assert rows["search"]["cost_usd"] == "0.000072000"
    assert answer["total"]["requests"] == 4
    assert answer["total"]["cost_usd"] == "0.000096000"


@pytest.mark.parametrize(
    ("query", "requests"),
    [
        ({"team": "support"}, 1),
        ({"team": ["support", "search"]}, 4),
        ({"key": "search-dev", "by": "key,model"}, 3),
        ({"tag": "app=a1", "by": "tag:app"}, 1),
        ({"tag": ["app=a1", "app=a2"]}, 0),
        ({"operation": "embeddings"}, 0),
        ({"provider": "openai", "model": "gpt-4o-mini-2024", "by": "day"}, 4),
        ({"since": "30m"}, 0),
        ({"since": "2h", "until": "30m"}, 4),
    ],
)
async def test_filters(finops: httpx.AsyncClient, query: dict[str, str | list[str]], requests: int) -> None:
    answer = await finops.get(SPEND, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"]["requests"] == requests


async def test_csv_and_parquet(finops: httpx.AsyncClient) -> None:
    answer = await finops.get(SPEND, params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "spend.csv" in answer.headers["content-disposition"]
    rows = {row["team"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert rows["support"]["requests"] == "1"
    answer = await finops.get(SPEND, params={"format": "parquet"})
    table = parquet.read_table(io.BytesIO(answer.content))
    assert sum(table.column("requests").to_pylist()) == 4


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("taem=search", "'team'"),
        ("by=colour", "colour"),
        ("since=whenever", "whenever"),
        ("since=1h&until=2h", "empty"),
        ("tag=app", "NAME=VALUE"),
        ("format=xml", "parquet"),
        ("period=hour", "FOCUS"),
        ("format=focus&by=team", "FOCUS"),
        ("since=1h&since=2h", "once"),
    ],
)
async def test_a_wrong_query_is_refused(finops: httpx.AsyncClient, query: str, says: str) -> None:
    answer = await finops.get(f"{SPEND}?{query}")
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


async def test_no_ledger_yet_and_none_at_all(make_world) -> None:
    async with client_of(make_world()) as client:
        answer = await client.get(SPEND)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_unavailable")
    async with client_of(make_world(ledger="off")) as client:
        answer = await client.get(SPEND)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ledger_off")
