"""The report is one well-formed, self-contained document with a plot for what was measured."""

import re
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.generator import LoadScenario
from loadtest.generator.bar import comparison_table, table_of
from loadtest.generator.report import html_report
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


def test_the_report_is_well_formed_and_self_contained(result: Result) -> None:
    text = html_report(result)
    root = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    assert len(root.findall(".//svg")) >= 4
    assert len(root.findall(".//polyline")) >= 6
    assert not re.search(r"(src|href)=|@import|url\(", text)
    assert "prefers-color-scheme:dark" in text
    assert "http_429 1" in text
    assert "<b>&name" not in text


def test_the_json_says_what_was_measured(result: Result) -> None:
    data = msgspec.json.decode(result.json())
    stage = data["stages"][0]
    assert stage["rps"] == pytest.approx(16.67)
    assert stage["latency_ms"]["p50"] == pytest.approx(25, rel=0.01)
    assert set(stage["latency_ms"]) == {"count", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"}
    assert data["stages"][1]["latency_ms"]["p50"] is None
    assert any("no correct answer" in warning for warning in data["warnings"])


def test_tables_can_be_drawn(result: Result) -> None:
    assert table_of(result).row_count == 2
    assert comparison_table([], stream=True).row_count == 0


_Y = st.one_of(st.none(), st.floats(0, 1e7, allow_nan=False))


@given(st.lists(st.tuples(st.floats(0, 1e5), _Y), max_size=20), st.booleans(), st.text(max_size=5))
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
