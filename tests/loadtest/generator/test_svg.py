"""Plots are well-formed and inside their frame, whatever the points."""

from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.generator.svg import Axis, Line, plot

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
