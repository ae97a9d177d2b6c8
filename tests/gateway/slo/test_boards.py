"""The dashboards that are shipped: what they ask for exists, and nothing is there twice."""

import re

import pytest

from gateway.slo.boards import BOARDS
from gateway.slo.panels import Board, dashboard
from gateway.slo.rules import slo_groups
from tests.gateway.slo.helpers import asked, exposed, shipped

boards = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)


@boards
def test_panels_ask_for_metrics_that_are_exposed_or_recorded(board: Board) -> None:
    recorded = {rule["record"] for group in slo_groups(shipped()) for rule in group["rules"] if "record" in rule}
    for row in board.rows:
        for panel in row.panels:
            for query in panel.queries:
                names = asked(query.expr)
                assert names or "ALERTS" in query.expr, query.expr
                assert names <= exposed() | recorded, query.expr


@boards
def test_a_choice_of_teams_is_offered_where_expressions_use_it_and_only_there(board: Board) -> None:
    uses = any("$team" in query.expr for row in board.rows for panel in row.panels for query in panel.queries)
    assert board.by_team == uses
    offered = [variable["name"] for variable in dashboard(board)["templating"]["list"]]
    assert offered == (["datasource", "team"] if uses else ["datasource"])


@boards
def test_a_row_has_no_two_panels_of_one_name(board: Board) -> None:
    for row in board.rows:
        titles = [panel.title for panel in row.panels]
        assert len(titles) == len(set(titles))


@boards
def test_legends_name_labels_that_the_expression_keeps(board: Board) -> None:
    for row in board.rows:
        for panel in row.panels:
            for query in panel.queries:
                named = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
                kept = {label for by in re.findall(r"by \(([^)]*)\)", query.expr) for label in re.split(r", *", by)}
                assert named <= kept | ({"slo"} if "slo_" in query.expr else set()), query.expr


def test_every_exposed_metric_is_on_some_board_or_is_named_here() -> None:
    """What is measured is shown. Left out: what alerts and logs tell better, or what only explains another figure."""
    shown = {name for board in BOARDS for row in board.rows for panel in row.panels
             for query in panel.queries for name in asked(query.expr)}  # fmt: skip
    left_out = {
        "tollway_build_info",
        "tollway_config_loaded_timestamp_seconds",  # the line of annotations
        "tollway_journal_bytes_total",
        "tollway_ledger_lag_bytes",
        "tollway_metrics_failures_total",
        "tollway_trace_defects_total",
    }
    parts = re.compile(r"_(bucket|count|sum)$")
    families = {parts.sub("", name) for name in exposed()}
    assert families - {parts.sub("", name) for name in shown} == left_out
