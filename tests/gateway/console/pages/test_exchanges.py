import re

import httpx
import pytest

from tests.gateway.admin.fakes import FakeWorld
from tests.support.console_seed import seed


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
