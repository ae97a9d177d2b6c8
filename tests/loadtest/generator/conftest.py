"""A finished run with known figures: one stage that served and one that did not."""

import pytest

from loadtest.generator import LoadScenario
from loadtest.generator.result import Result, result_of
from loadtest.generator.scenario import read_load
from loadtest.generator.tally import Tally


def _tally(count: int) -> Tally:
    tally = Tally(started=count + 1, ok=count, in_time=count, errors={"http_429": 1}, events=count)
    for index in range(count):
        for histogram in (tally.latency, tally.service, tally.ttft, tally.gap, tally.lag):
            histogram.record(0.001 * (index + 1))
        second = tally.second(index % 3)
        second.done += 1
        second.latency.record(0.001 * (index + 1))
    return tally


def _scenario() -> LoadScenario:
    return read_load(
        'name: "<b>&name"\nstages:\n- {name: "a<b", concurrency: 2, duration: 3s}\n- {rate: 5, duration: 3s}\n'
    )


@pytest.fixture
def result() -> Result:
    return result_of(_scenario(), "http://127.0.0.1:1/v1", [_tally(50), _tally(0)])
