"""Kill switches over HTTP."""

from collections.abc import Callable
from typing import TypeVar

from starlette.responses import Response

from gateway.admin.endpoint import Call, json_answer, on_ledger, read_json
from gateway.admin.switch_shapes import ClearSwitch, SetSwitch, SwitchList
from gateway.admin.switching import Switching
from gateway.telemetry.logs import info

T = TypeVar("T")


async def list_switches(call: Call) -> Response:
    everything = call.request.query_params.get("all", "false").lower() in ("true", "1", "yes", "on")
    return json_answer(SwitchList(await _with_switching(call, lambda switching: switching.list(everything))))


async def set_switch(call: Call) -> Response:
    asked = await read_json(call.request, SetSwitch)
    made = await _with_switching(call, lambda switching: switching.set(asked))
    info(
        "admin_switch_set", admin_key_id=call.admin_id, switch=made.id, kind=made.kind, scope=made.scope, name=made.name
    )
    return json_answer(made, 201)


async def clear_switch(call: Call) -> Response:
    switch_id: str = call.request.path_params["switch_id"]
    asked = await read_json(call.request, ClearSwitch)
    ended = await _with_switching(call, lambda switching: switching.clear(switch_id, asked.reason))
    info("admin_switch_cleared", admin_key_id=call.admin_id, switch=ended.id)
    return json_answer(ended)


async def _with_switching(call: Call, work: Callable[[Switching], T]) -> T:
    """Run `work` on the ledger's switches, on a thread."""
    return await with_switching(
        call,
        "This gateway keeps no ledger (ledger: off), and kill switches live in it. Change the configuration and reload "
        "instead.",
        work,
    )


async def with_switching(call: Call, missing: str, work: Callable[[Switching], T]) -> T:
    """Run `work` on the ledger's switches, on a thread. Raises `Conflict`, saying `missing`, or `LedgerError`."""
    written = call.world.configuration.written.root
    return await on_ledger(call, missing, lambda engine: work(Switching(engine, written, call.world.clock, call.actor)))
