"""The builder of dashboards: panels lie side by side and never on each other, and the same board is the same JSON."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.slo.panels import COLUMNS, Board, Panel, Query, Row, dashboard

panels = st.builds(
    Panel,
    title=st.text(max_size=8),
    queries=st.lists(st.builds(Query, st.just("up"), st.just("")), min_size=1, max_size=3).map(tuple),
    kind=st.sampled_from(["timeseries", "stat", "bargauge", "table"]),
    width=st.integers(1, COLUMNS),
    height=st.integers(1, 12),
    stack=st.booleans(),
    steps=st.sampled_from([(), ((0.0, "green"), (1.0, "red"))]),
)
rows = st.lists(st.builds(Row, st.text(max_size=5), st.lists(panels, max_size=9).map(tuple)), max_size=4).map(tuple)
boards = st.builds(Board, st.just("u"), st.just("t"), st.just("d"), rows, st.booleans())


@given(boards)
def test_no_panel_lies_on_another_or_beyond_the_edge(board: Board) -> None:
    """ "laid out on 24 columns" """
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(board)["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= COLUMNS
        taken |= cells


@given(boards)
def test_the_same_board_always_gives_the_same_document(board: Board) -> None:
    first, second = json.dumps(dashboard(board)), json.dumps(dashboard(board))
    assert first == second
    document = json.loads(first)
    numbers = [panel["id"] for panel in document["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert sum(len(row.panels) + 1 for row in board.rows) == len(numbers)


@given(boards)
def test_targets_have_letters_and_a_datasource_that_can_be_chosen(board: Board) -> None:
    for panel in dashboard(board)["panels"]:
        if panel["type"] == "row":
            continue
        assert [target["refId"] for target in panel["targets"]] == list("ABC"[: len(panel["targets"])])
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        assert all(target["instant"] != target["range"] for target in panel["targets"])


def test_figures_are_coloured_from_each_value_on() -> None:
    panel = Panel("Lag", (Query("x"),), "s", "stat", most=1, steps=((0.0, "green"), (60.0, "red")))
    written = dashboard(Board("u", "t", "d", (Row("r", (panel,)),)))["panels"][1]
    defaults = written["fieldConfig"]["defaults"]
    assert defaults["thresholds"]["steps"] == [{"value": None, "color": "green"}, {"value": 60.0, "color": "red"}]
    assert (defaults["min"], defaults["max"]) == (0, 1)
    assert written["options"]["colorMode"] == "background"
