"""Budgets that will be used up before their window ends."""

import asyncio
import contextlib
from pathlib import Path

from gateway.budget_events import BudgetEvents
from gateway.forecasts import look_ahead, watch_forecasts
from gateway.limits.memory import MemoryStore
from gateway.limits.program import Clause, LimitProgram
from gateway.quota import Calendar, Rolling, Rule, Scope
from gateway.seams import LimitStore
from tests.gateway.test_budget_events import ALL, SOFT, Rig


class World:
    def __init__(self, directory: Path, *rules: Rule) -> None:
        self.rig = Rig(directory, ALL)
        self.clock = self.rig.clock
        self.limits: LimitStore = MemoryStore(self.clock)
        self.program: LimitProgram | None = LimitProgram([Clause(rule=rule) for rule in rules])

    @property
    def events(self) -> BudgetEvents:
        return self.rig.events

    @property
    def snapshot(self) -> "World.Snapshot":
        return World.Snapshot(self.program)

    class Snapshot:
        def __init__(self, limits: LimitProgram | None) -> None:
            self.limits = limits

    async def use(self, key: str, used: int) -> None:
        assert self.program is not None
        (bound,) = [bound for bound in self.program.known() if bound.key == key]
        await self.limits.put(bound, used)


def rule(name: str, window: Calendar | Rolling, measure: str = "usd") -> Rule:
    return Rule(id=name, measure=measure, amount=1000, window=window, scope=Scope(team=("t",)))  # type: ignore[arg-type]


async def test_only_what_will_be_used_up_and_is_not(tmp_path: Path) -> None:
    """On 9 October at noon in Berlin, 28 % of the month are over."""
    names = ("fine", "early", "gone", "tokens", "rolls")
    month = Calendar("month", "Europe/Berlin")
    world = World(
        tmp_path,
        *(rule(name, month) for name in names[:3]),
        rule("tokens", month, "tokens"),
        rule("rolls", Rolling(60)),
    )
    for name, used in zip(names, (250, 300, 1000, 900, 900), strict=True):
        await world.use(name, used)
    for _ in range(3):
        await look_ahead(world)
    (event,) = world.rig.told()
    assert event.kind == "budget.forecast_exhausted"
    assert '"rule":"early"' in event.body
    assert '"forecast":"0.000001' in event.body


async def test_nothing_is_asked_while_nobody_wants_to_know(tmp_path: Path) -> None:
    world = World(tmp_path, rule("early", Calendar("month")))
    await world.use("early", 900)
    world.rig.endpoints = [SOFT]
    await look_ahead(world)
    world.rig.endpoints = [ALL]
    program, world.program = world.program, None
    await look_ahead(world)
    assert world.rig.told() == []
    world.program = program
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            watching = watch_forecasts(world, 0.001)
            task = asyncio.ensure_future(watching)
            while not world.rig.told():
                await asyncio.sleep(0.001)
            task.cancel()
    assert len(world.rig.told()) == 1
