"""Savings over HTTP: what `tollway spend savings` says."""

from starlette.responses import Response

from gateway.admin.access import Conflict
from gateway.admin.endpoint import Call, json_answer, read_ledger
from gateway.admin.pricelists import cards_of
from gateway.admin.world import AdminWorld
from gateway.ledger.savings import Savings, as_json, find


async def show_savings(call: Call) -> Response:
    return json_answer(as_json(await savings_of(call.world)))


async def savings_of(world: AdminWorld) -> Savings:
    """Looks through the ledger on a thread, for a second or two. Raises `Conflict` where the gateway keeps none, and
    `LedgerError`."""
    ledger = world.configuration.snapshot.ledger
    if ledger is None:
        raise Conflict("This gateway keeps no ledger (ledger: off).", code="ledger_off")
    cards, _ = cards_of(world.configuration.snapshot)
    return await read_ledger(ledger.url, lambda engine: find(engine, cards, world.clock.now_ns()))
