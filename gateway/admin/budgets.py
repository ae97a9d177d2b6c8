"""Budgets over HTTP: where they stand, raises and resets, and rebuilding the counters from the ledger."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine
from starlette.responses import Response

from gateway.admin.access import Conflict
from gateway.admin.audit import note
from gateway.admin.budget_shapes import (
    AdjustmentList,
    Because,
    BudgetList,
    RaiseBudget,
    RebuildBudgets,
    RebuiltList,
    RebuiltView,
)
from gateway.admin.budgeting import Budgeting
from gateway.admin.endpoint import Call, json_answer, on_database, read_json
from gateway.admin.keyring import check_team
from gateway.admin.shapes import iso
from gateway.budgets import amount_of, rebuild
from gateway.errors import BadRequest, Overloaded
from gateway.ledger.store import open_engine
from gateway.limits.stores import StoreAway, is_up
from gateway.settings.snapshot import LedgerOptions
from gateway.telemetry.logs import info

T = TypeVar("T")
_YES = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


async def show_budgets(call: Call) -> Response:
    """From the counters that decide; from the ledger while these are in a store that is away."""
    team = call.request.query_params.get("team")
    everything = _flag(call, "all")
    if team is not None:
        check_team(team, call.world.configuration.written.root.teams)
    bounds = await _with_budgeting(call, lambda budgeting: budgeting.bounds(team, everything))
    up = is_up(call.world.limits)
    levels = await call.world.limits.levels(bounds) if up else None
    views = await _with_budgeting(
        call, lambda budgeting: budgeting.views(bounds, budgeting.used(bounds) if levels is None else levels)
    )
    source = "store" if up else "ledger"
    return json_answer(BudgetList(at=iso(call.world.clock.now_ns()), source=source, budgets=views))


async def raise_budget(call: Call) -> Response:
    name: str = call.request.path_params["rule"]
    asked = await read_json(call.request, RaiseBudget)
    made = await _with_budgeting(
        call, lambda budgeting: budgeting.raise_limit(name, asked.amount, asked.until, asked.for_, asked.reason)
    )
    info("admin_budget_raised", admin_key_id=call.admin_id, counter=made.counter, adjustment=made.id)
    return json_answer(made, 201)


async def reset_budget(call: Call) -> Response:
    name: str = call.request.path_params["rule"]
    asked = await read_json(call.request, Because)
    bound = await _with_budgeting(call, lambda budgeting: budgeting.find(name))
    used = (await call.world.limits.levels([bound]))[0].used if is_up(call.world.limits) else None
    made = await _with_budgeting(call, lambda budgeting: budgeting.reset(name, asked.reason, used))
    info("admin_budget_reset", admin_key_id=call.admin_id, counter=made.counter, adjustment=made.id)
    return json_answer(made, 201)


async def list_adjustments(call: Call) -> Response:
    everything = _flag(call, "all")
    return json_answer(AdjustmentList(await _with_budgeting(call, lambda budgeting: budgeting.adjustments(everything))))


async def end_adjustment(call: Call) -> Response:
    adjustment_id: str = call.request.path_params["adjustment_id"]
    asked = await read_json(call.request, Because)
    ended = await _with_budgeting(call, lambda budgeting: budgeting.end(adjustment_id, asked.reason))
    info("admin_adjustment_ended", admin_key_id=call.admin_id, counter=ended.counter, adjustment=ended.id)
    return json_answer(ended)


async def rebuild_budgets(call: Call) -> Response:
    asked = await read_json(call.request, RebuildBudgets)
    world = call.world
    snapshot, store = world.configuration.snapshot, world.limits
    ledger = _ledger(call)
    if asked.team is not None:
        check_team(asked.team, world.configuration.written.root.teams)
    if snapshot.limits is None:
        raise Conflict("This gateway counts no limits, so that there is nothing to rebuild.", code="no_limits")
    keys = await _with_budgeting(call, lambda budgeting: budgeting.keys())
    engine = open_engine(ledger.url)
    try:
        rebuilt = await rebuild(
            store,
            snapshot.limits,
            engine,
            world.clock,
            journal=Path(ledger.journal),
            flush=None if world.journal is None else world.books.close,
            team=asked.team,
            keys=keys,
        )
    except StoreAway:
        raise Overloaded(
            "The limit store cannot be reached now, so that not every counter was set. Ask again when it is back.",
            code="limits_unavailable",
            headers=((b"retry-after", b"5"),),
        ) from None
    finally:
        engine.dispose()
    changed = [
        RebuiltView(each.bound.key, amount_of(each.bound, each.before) or 0, amount_of(each.bound, each.used) or 0)
        for each in rebuilt
        if each.before != each.used
    ]
    await asyncio.to_thread(
        note,
        ledger.url,
        world.clock,
        actor=call.actor,
        action="budgets.rebuild",
        object="all teams" if asked.team is None else f"team {asked.team}",
        before={each.counter: str(each.before) for each in changed},
        after={each.counter: str(each.used) for each in changed},
        reason=asked.reason,
    )
    info("admin_budgets_rebuilt", admin_key_id=call.admin_id, counters=len(rebuilt), changed=len(changed))
    return json_answer(RebuiltList(len(rebuilt), changed))


def _flag(call: Call, name: str) -> bool:
    value = _YES.get(call.request.query_params.get(name, "false").lower())
    if value is None:
        raise BadRequest(f"{name}: allowed are true and false.", param=name)
    return value


def _ledger(call: Call) -> LedgerOptions:
    ledger = call.world.configuration.snapshot.ledger
    if ledger is None:
        raise Conflict("This gateway keeps no ledger (ledger: off), so its budgets have no books.", code="ledger_off")
    return ledger


async def _with_budgeting(call: Call, work: Callable[[Budgeting], T]) -> T:
    """Run `work` on a thread, because it waits for the database."""
    ledger = _ledger(call)
    program = call.world.configuration.snapshot.limits

    def run(engine: Engine) -> T:
        # Without the adjustments that this worker has in force: those of the database are newer.
        written = None if program is None else program.adjusted(())
        return work(Budgeting(engine, written, call.world.clock, call.actor, Path(ledger.journal)))

    return await on_database(ledger.url, run)
