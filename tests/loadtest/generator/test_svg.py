"""Plots are well-formed and inside their frame, whatever the points."""

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.generator import LoadScenario
from loadtest.generator.result import Result, result_of
from loadtest.generator.scenario import read_load
from loadtest.generator.svg import Axis, Line, plot
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


_Y = st.one_of(st.none(), st.floats(0, 1e7, allow_nan=False))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e5), _Y), max_size=12), st.booleans(), st.text(max_size=5))
def test_any_points_make_a_well_formed_plot_inside_its_frame(
    points: list[tuple[float, float | None]], log: bool, name: str
) -> None:
    name = "".join(c for c in name if c.isprintable())
    figure = ElementTree.fromstring(plot(name, [Line(name, points, "var(--c1)")], Axis("x"), Axis("y", log=log)))
    drawn = " ".join(line.get("points", "") for line in figure.iter("polyline"))
    for pair in drawn.split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= 640
        assert 0 <= y <= 260
