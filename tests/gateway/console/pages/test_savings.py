import httpx

from gateway.ledger.spend import usd
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.pages.test_cost import url_of
from tests.support.console import NASTY
from tests.support.console_seed import seed


async def test_savings_have_their_saving_evidence_and_exchanges(world: FakeWorld, admin: httpx.AsyncClient):
    records = seed(url_of(world), world.clock.now_ns(), 900, days=25, names=(NASTY,))
    told = (await admin.get("/console/cost/savings")).text
    assert "in-house-7b has no price" in told
    assert "client left: paid for nothing" in told
    paid = sum(each.cost_nanos or 0 for each in records if each.outcome == "client_left") * 30 // 26
    assert f"{int(usd(paid).partition('.')[0]):,}." in told
    sample = next(each.id for each in reversed(records) if told.count(each.id))
    assert (await admin.get(f"/console/cost/exchanges/{sample}")).status_code == 200
    assert "How to do it" in told
    assert NASTY not in told


async def test_an_empty_ledger_has_none(world: FakeWorld, admin: httpx.AsyncClient):
    seed(url_of(world), world.clock.now_ns(), 0)
    assert "Nothing is found" in (await admin.get("/console/cost/savings")).text
