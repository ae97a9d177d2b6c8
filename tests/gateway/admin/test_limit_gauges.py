"""Figures of limits: of a store in memory there is nothing to say but what expired."""

from gateway.admin.limit_gauges import join_limits
from gateway.quota import Bound, Rolling, Rule
from gateway.telemetry.metrics import Metrics
from tests.gateway.admin.fakes import FakeWorld


def test_decisions_and_the_store_in_memory(world: FakeWorld) -> None:
    rule = Rule(id="r", measure="requests", amount=1, window=Rolling(60))
    world.tally.add(Bound(rule, "r"), "refused")
    metrics = Metrics()
    join_limits(world, metrics)
    pulled = metrics.page().pulled
    assert pulled["tollway_limit_decisions"].samples == {("r", "refused"): 1.0}
    assert pulled["tollway_limit_holds_expired"].samples == {(): 0.0}
    assert pulled["tollway_limit_store_up"].samples == {}
