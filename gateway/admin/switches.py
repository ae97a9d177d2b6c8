"""Kill switches over HTTP."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.responses import Response

from gateway.admin.access import Conflict
from gateway.admin.endpoint import Call, json_answer, read_json
from gateway.admin.switch_shapes import ClearSwitch, SetSwitch, SwitchList
from gateway.admin.switching import Switching
from gateway.ledger.store import ensure_schema, open_engine
from gateway.telemetry.logs import info

T = TypeVar("T")


async def list_switches(call: Call) -> Response:
    everything = call.request.query_params.get("all", "false").lower() in ("true", "1", "yes", "on")
    return json_answer(SwitchList(await _with_switching(call, lambda switching: switching.list(everything))))


async def set_switch(call: Call) -> Response:
    asked = await read_json(call.request, SetSwitch)
    made = await _with_switching(call, lambda switching: switching.set(asked))
    info("admin_switch_set", admin_key=call.admin_id, switch=made.id, kind=made.kind, scope=made.scope, name=made.name)
    return json_answer(made, 201)


async def clear_switch(call: Call) -> Response:
    switch_id: str = call.request.path_params["switch_id"]
    asked = await read_json(call.request, ClearSwitch)
    ended = await _with_switching(call, lambda switching: switching.clear(switch_id, asked.reason))
    info("admin_switch_cleared", admin_key=call.admin_id, switch=ended.id)
    return json_answer(ended)


async def _with_switching(call: Call, work: Callable[[Switching], T]) -> T:
    """Run `work` on a thread, because it waits for the database."""
    configuration = call.world.configuration
    ledger = configuration.snapshot.ledger
    if ledger is None:
        raise Conflict(
            "This gateway keeps no ledger (ledger: off), and kill switches live in it. Change the configuration and "
            "reload instead.",
            code="ledger_off",
        )

    def run() -> T:
        ensure_schema(ledger.url)
        engine = open_engine(ledger.url)
        try:
            return work(Switching(engine, configuration.written.root, call.world.clock, call.actor))
        finally:
            engine.dispose()

    return await asyncio.to_thread(run)
