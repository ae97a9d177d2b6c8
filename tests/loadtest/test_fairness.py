"""The measurement of fairness measures what it says: two teams, one provider, both figures and their ratio."""

from pathlib import Path

import pytest
import yaml

from gateway.clock import SystemClock
from gateway.settings.reload import Configuration
from loadtest.fairness import _KEYS, FairSettings, gateway_config, measure_fairness


@pytest.mark.parametrize(("together", "teams"), [(False, {"quiet", "noisy"}), (True, {"both"})])
def test_the_gateway_that_is_measured_has_two_teams_of_equal_weight(
    tmp_path: Path, together: bool, teams: set[str]
) -> None:
    config = tmp_path / "gateway.yaml"
    tree = gateway_config(FairSettings(concurrent=7, together=together), tmp_path, 1, "http://127.0.0.1:9")
    config.write_text(yaml.safe_dump(tree))
    snapshot = Configuration(config, clock=SystemClock()).snapshot
    callers = [caller for key in _KEYS.values() if (caller := snapshot.keys.find(key.encode())) is not None]
    assert {(caller.team, caller.weight, caller.priority) for caller in callers} == {
        (team, 1, "interactive") for team in teams
    }
    (provider,) = snapshot.routes.providers()
    assert provider.capacity is not None
    assert provider.capacity.concurrent == 7


def test_a_share_is_half_of_what_the_provider_can_serve() -> None:
    """The mean of a log-normal distribution is median * exp(sigma^2 / 2)."""
    assert FairSettings(concurrent=20, latency=0.1).share == pytest.approx(20 / 0.10833 / 2, rel=1e-3)


def test_a_run_measures_both_teams() -> None:
    said: list[str] = []
    settings = FairSettings(concurrent=4, latency=0.01, noisy=2, seconds=0.5, warm=0.2, runs=1, closed=True)
    made = measure_fairness(settings, said.append)
    (pair,) = made.runs
    assert pair.quiet_failed == 0
    assert pair.alone_p99 is not None
    assert pair.beside_p99 is not None
    assert made.ratio == pair.ratio == pytest.approx(pair.beside_p99 / pair.alone_p99, abs=1e-3)
    assert pair.noisy_served > 0
    assert b'"ratio"' in made.json()
    assert said == ["run 1 of 1: alone", "run 1 of 1: beside the noisy team"]
