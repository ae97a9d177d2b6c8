"""A small builder of Grafana dashboards: boards of rows of panels, laid out on 24 columns, as plain JSON.

Everything a reader of the boards needs to write one is here; Grafana's own defaults fill the rest
(https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/).
"""

from typing import Literal

import msgspec

Json = dict[str, object]
Kind = Literal["timeseries", "stat", "bargauge", "table"]
COLUMNS = 24
SCHEMA = 39
DATASOURCE = "${datasource}"
TEAM = "$team"

_WITHOUT_FIGURES = {"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}}}
"""A table lists sets of labels."""


class Query(msgspec.Struct, frozen=True):
    """One expression and what its series are called; `{{label}}` stands for a label's value."""

    expr: str
    legend: str = ""


class Panel(msgspec.Struct, frozen=True):
    """One picture. `unit` is one of Grafana's; `steps` colour the background of a figure from each value on."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    description: str = ""
    width: int = 8
    height: int = 7
    stack: bool = False
    most: float | None = None
    """The top of the axis or gauge; the bottom is then 0."""
    steps: tuple[tuple[float, str], ...] = ()
    quiet: bool = False
    """It is rightly empty while nothing is wrong, or while a part of the gateway is not configured."""


class Row(msgspec.Struct, frozen=True):
    title: str
    panels: tuple[Panel, ...]


class Board(msgspec.Struct, frozen=True):
    """One dashboard. `by_team`: it has a choice of teams, which its expressions name `$team`."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    by_team: bool = False
    since: str = "now-6h"


def dashboard(board: Board) -> Json:
    """The board as Grafana's JSON model. The same board always gives the same document."""
    panels: list[Json] = []
    y = 0
    for row in board.rows:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
                "panels": [],
            }
        )
        y = _lay_out(row, y + 1, panels)
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": ["tollway"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA,
        "refresh": "30s",
        "time": {"from": board.since, "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "title": "Tollway",
                "tags": ["tollway"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "templating": {"list": _variables(board)},
        "annotations": {"list": [_reloads()]},
        "panels": panels,
    }


def _lay_out(row: Row, y: int, panels: list[Json]) -> int:
    """Put a row's panels side by side, as many as fit; returns where the next row begins."""
    x = tallest = 0
    for panel in row.panels:
        if x + panel.width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        position = {"x": x, "y": y, "w": panel.width, "h": panel.height}
        panels.append(_panel(panel, len(panels) + 1, position))
        x += panel.width
        tallest = max(tallest, panel.height)
    return y + tallest


def _panel(panel: Panel, number: int, position: dict[str, int]) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _datasource(),
        "gridPos": position,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": _datasource(),
                "expr": query.expr,
                "legendFormat": query.legend or "__auto",
                "instant": panel.kind != "timeseries",
                "range": panel.kind == "timeseries",
                **({"format": "table"} if panel.kind == "table" else {}),
            }
            for at, query in enumerate(panel.queries)
        ],
        **({"transformations": [_WITHOUT_FIGURES]} if panel.kind == "table" else {}),
    }


def _defaults(panel: Panel) -> Json:
    found: Json = {"unit": panel.unit, "color": {"mode": "palette-classic"}}
    if panel.most is not None:
        found["min"], found["max"] = 0, panel.most
    if panel.steps:
        found["color"] = {"mode": "thresholds"}
        found["thresholds"] = {
            "mode": "absolute",
            "steps": [
                {"value": None if at == 0 else value, "color": colour} for at, (value, colour) in enumerate(panel.steps)
            ],
        }
    if panel.kind == "timeseries":
        found["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 25 if panel.stack else 8,
            "showPoints": "never",
            "spanNulls": True,
            "stacking": {"mode": "normal" if panel.stack else "none"},
        }
        if panel.steps:
            found["color"] = {"mode": "palette-classic"}
            found["custom"] = {**found["custom"], "thresholdsStyle": {"mode": "dashed"}}
    return found


def _options(panel: Panel) -> Json:
    if panel.kind == "timeseries":
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "stat":
        return {"reduceOptions": reduce, "colorMode": "background" if panel.steps else "value", "graphMode": "none"}
    if panel.kind == "bargauge":
        return {"reduceOptions": reduce, "orientation": "horizontal", "displayMode": "basic"}
    return {"showHeader": True, "cellHeight": "sm"}


def _datasource() -> Json:
    return {"type": "prometheus", "uid": DATASOURCE}


def _variables(board: Board) -> list[Json]:
    source: Json = {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": "Prometheus", "value": "prometheus"},
    }
    if not board.by_team:
        return [source]
    names = "label_values(tollway_requests_total, team)"
    team: Json = {
        "name": "team",
        "label": "Team",
        "type": "query",
        "datasource": _datasource(),
        "definition": names,
        "query": {"query": names, "refId": "team"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }
    return [source, team]


def _reloads() -> Json:
    """A line wherever the configuration changed: the first thing to ask when something else did."""
    return {
        "name": "Configuration",
        "datasource": _datasource(),
        "enable": True,
        "iconColor": "purple",
        "expr": "changes(tollway_config_loaded_timestamp_seconds[$__rate_interval]) > 0",
        "titleFormat": "configuration loaded",
        "step": "1m",
    }
