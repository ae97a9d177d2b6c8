"""Findings over HTTP: what `tollway spend findings` says."""

import asyncio

from starlette.responses import Response

from gateway.admin.access import Conflict
from gateway.admin.endpoint import Call, json_answer
from gateway.admin.pricelists import cards_of
from gateway.admin.world import AdminWorld
from gateway.errors import LedgerError
from gateway.ledger.savings import Findings, as_json, find
from gateway.ledger.store import open_existing, schema_version


async def show_findings(call: Call) -> Response:
    return json_answer(as_json(await findings_of(call.world)))


async def findings_of(world: AdminWorld) -> Findings:
    """Looks through the ledger on a thread, for a second or two. Raises `Conflict` where the gateway keeps none, and
    `LedgerError`."""
    ledger = world.configuration.snapshot.ledger
    if ledger is None:
        raise Conflict("This gateway keeps no ledger (ledger: off).", code="ledger_off")
    return await asyncio.to_thread(_find, ledger.url, world)


def _find(url: str, world: AdminWorld) -> Findings:
    engine = open_existing(url)
    try:
        if schema_version(engine) is None:
            raise LedgerError("this database holds no ledger yet")
        cards, _ = cards_of(world.configuration.snapshot)
        return find(engine, cards, world.clock.now_ns())
    finally:
        engine.dispose()
