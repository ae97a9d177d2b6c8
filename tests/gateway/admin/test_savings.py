"""Savings over HTTP."""

import msgspec

from gateway.admin.shapes import SavingsView
from tests.gateway.admin.fakes import FakeWorld, client_of
from tests.support.console_seed import seed

SAVINGS = "/admin/v1/savings"


async def test_savings_are_those_of_the_ledger(world: FakeWorld) -> None:
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    seed(ledger.url, world.clock.now_ns(), 300, days=20)
    async with client_of(world, "finops") as client:
        answer = await client.get(SAVINGS)
    assert answer.status_code == 200
    view = msgspec.json.decode(answer.content, type=SavingsView)
    assert {each.kind for each in view.savings} >= {"unpriced", "waste"}
    assert all(each.evidence for each in view.savings)


async def test_only_those_who_may_see_spend_see_them(world: FakeWorld) -> None:
    async with client_of(world, "viewer") as client:
        assert (await client.get(SAVINGS)).status_code == 403


async def test_a_ledger_that_is_not_there_is_said(world: FakeWorld) -> None:
    async with client_of(world, "finops") as client:
        assert (await client.get(SAVINGS)).status_code == 503
