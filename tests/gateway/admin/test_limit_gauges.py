"""Figures of limits: of a store in memory there is nothing to say but what expired."""

import msgspec

from gateway.admin.limit_gauges import join_limits
from gateway.limits.crowd import Crowds
from gateway.limits.program import Clause, LimitProgram
from gateway.quota import Bound, Rolling, Rule
from gateway.telemetry.metrics import Metrics
from tests.gateway.admin.fakes import FakeWorld


def test_rules_whose_values_found_no_counter_of_their_own(world: FakeWorld) -> None:
    crowds = Crowds(world.clock.monotonic, 1)
    program = LimitProgram(
        [Clause(rule=Rule(id="r", measure="requests", amount=1, window=Rolling(60), each=("tag:a",)))], crowds=crowds
    )
    world.configuration.snapshot = msgspec.structs.replace(world.configuration.snapshot, limits=program)
    for value in ("x", "y", "z"):
        program.bounds("k", "t", "m", "messages", {"a": value})
    metrics = Metrics()
    join_limits(world, metrics)
    assert metrics.page().pulled["tollway_limit_crowded"].samples == {("r",): 2.0}


def test_decisions_and_the_store_in_memory(world: FakeWorld) -> None:
    rule = Rule(id="r", measure="requests", amount=1, window=Rolling(60))
    world.tally.add(Bound(rule, "r"), "refused")
    metrics = Metrics()
    join_limits(world, metrics)
    pulled = metrics.page().pulled
    assert pulled["tollway_limit_decisions"].samples == {("r", "refused"): 1.0}
    assert pulled["tollway_limit_holds_expired"].samples == {(): 0.0}
    assert pulled["tollway_limit_store_up"].samples == {}
