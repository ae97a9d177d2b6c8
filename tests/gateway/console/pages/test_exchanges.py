import re
from collections.abc import Callable

import httpx
import pytest

from gateway.ledger.posting import post
from gateway.ledger.store import open_engine, writing
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import log_in, visitor
from tests.gateway.ledger.helpers import end
from tests.support.console_seed import seed
from tests.support.ledgers import ready_ledger


@pytest.fixture
def records(world: FakeWorld) -> list:
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    return seed(ledger.url, world.clock.now_ns(), 300, days=12)


async def walked(admin: httpx.AsyncClient, path: str) -> list[str]:
    """Ids of every page, from the first to the last."""
    found: list[str] = []
    while path:
        page = await admin.get(path)
        assert page.status_code == 200
        found += re.findall(r'href="/console/cost/exchanges/([\w-]+)"', page.text)
        following = re.search(r'<a href="([^"]+)" rel="next"', page.text)
        path = "/console/cost/exchanges" + following[1].replace("&amp;", "&") if following else ""
    return found


async def test_pages_together_hold_every_exchange_once_newest_first(records: list, admin: httpx.AsyncClient):
    expected = [each.id for each in sorted(records, key=lambda each: (-each.received_ns, each.id))]
    assert await walked(admin, "/console/cost/exchanges?range=30d") == expected


async def test_filters_narrow(records: list, admin: httpx.AsyncClient):
    some = await walked(admin, "/console/cost/exchanges?range=30d&team=search&outcome=ok")
    assert sorted(some) == sorted(each.id for each in records if each.team == "search" and each.outcome == "ok")
    failed = await walked(admin, "/console/cost/exchanges?range=30d&outcome=failed")
    assert sorted(failed) == sorted(each.id for each in records if each.outcome.startswith("upstream"))


async def test_one_is_shown_with_all_that_is_known_and_nothing_said(records: list, admin: httpx.AsyncClient):
    record = next(each for each in records if each.attempts and each.tags and each.cost_nanos)
    text = (await admin.get(f"/console/cost/exchanges/{record.id}")).text
    for word in (record.id, record.team, record.key, record.model, f"app={record.tags['app']}", "Input tokens"):
        assert word in text
    assert (await admin.get("/console/cost/exchanges/none")).status_code == 404


@pytest.mark.parametrize("query", ["after=1", "after=x.y", "after=" + "9" * 30 + ".a", "outcome=other", "range=x"])
async def test_wrong_addresses_are_refused(records: list, admin: httpx.AsyncClient, query: str):
    assert (await admin.get(f"/console/cost/exchanges?{query}")).status_code == 400


async def test_a_trace_is_an_id_to_copy_or_a_link(make_world: Callable[..., FakeWorld]):
    """ "link opens there; otherwise show the id to copy"."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    for telemetry, shown in (
        ({}, f'<code class="copy" title="Click to select all of it">{trace}</code>'),
        ({"trace_url": "https://t.example/trace/{trace_id}?a=1&b=2"},
         f'href="https://t.example/trace/{trace}?a=1&amp;b=2" target="_blank" rel="noopener noreferrer"'),
    ):  # fmt: skip
        world = make_world(telemetry=telemetry)
        ledger = world.configuration.snapshot.ledger
        assert ledger is not None
        ready_ledger(ledger.url)
        engine = open_engine(ledger.url)
        now_ns = world.clock.now_ns()
        failed = end(1, id="x-1", trace=trace, received_ns=now_ns - 10**9, outcome="upstream_error", status=502)
        with writing(engine) as connection:
            post(connection, [failed], now_ns)
        engine.dispose()
        async with visitor(world) as client:
            await log_in(client)
            for page in ("/console/cost/exchanges/x-1", "/console/incidents"):
                assert shown in (await client.get(page)).text, page
