"""Looks ahead: tells, once per window, of budgets that will be used up before their window ends."""

import asyncio
from typing import Protocol

from gateway.budget_events import BudgetEvents, Figures
from gateway.budgets import forecast, running
from gateway.limits.program import LimitProgram
from gateway.seams import Clock, LimitStore

INTERVAL = 60.0
"""Seconds between two looks."""
_STEP = 200
"""Counters asked for at one time, so that a configuration of thousands does not hold up requests."""


class Snapshotted(Protocol):
    """What is asked of `gateway.settings.snapshot.Snapshot`."""

    @property
    def limits(self) -> LimitProgram | None: ...


class ForecastWorld(Protocol):
    """What is asked of `gateway.world.World`."""

    @property
    def snapshot(self) -> Snapshotted: ...

    @property
    def limits(self) -> LimitStore: ...

    @property
    def events(self) -> BudgetEvents: ...

    @property
    def clock(self) -> Clock: ...


async def watch_forecasts(world: ForecastWorld, interval: float = INTERVAL) -> None:
    """Look every `interval` seconds, until cancelled; does nothing while nobody wants to be told."""
    while True:
        await asyncio.sleep(interval)
        await look_ahead(world)


async def look_ahead(world: ForecastWorld) -> None:
    """Tell of every budget in US dollars with a calendar window that is not used up, and will be."""
    store, program = world.limits, world.snapshot.limits
    if program is None or not world.events.wants("budget.forecast_exhausted"):
        return
    now_ns = world.clock.now_ns()
    bounds = [bound for bound in program.known() if bound.rule.budget and running(bound, now_ns) is not None]
    for at in range(0, len(bounds), _STEP):
        some = bounds[at : at + _STEP]
        for bound, level in zip(some, await store.levels(some), strict=True):
            window = running(bound, now_ns)
            ahead = forecast(level.used, window, now_ns) if window is not None else None
            if ahead is not None and level.used < bound.rule.amount < ahead:
                world.events.emit("budget.forecast_exhausted", bound, Figures(level.used, level.reserved, ahead))
        await asyncio.sleep(0)
