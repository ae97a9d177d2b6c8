"""Rendered files: always the same, complete, and those that are shipped are what `tollway slo render` gives."""

import json
from pathlib import Path

import yaml

from gateway.slo.render import ROUTES, RULES, render, stale, write
from tests.gateway.slo.helpers import SHIPPED, shipped


def test_what_is_shipped_is_what_render_gives() -> None:
    """Edited `config/slo.yaml` or a dashboard? Run `tollway slo render`."""
    assert stale(render(shipped()), SHIPPED.parent) == []


def test_no_dashboard_is_shipped_that_nobody_made() -> None:
    made = {Path(name).name for name in render(shipped()) if name.endswith(".json")}
    assert {path.name for path in (SHIPPED.parent / "grafana/dashboards").iterdir()} == made


def test_the_same_objectives_give_the_same_files(tmp_path: Path) -> None:
    files = render(shipped())
    assert files == render(shipped())
    assert write(files, tmp_path) == list(files)
    assert write(files, tmp_path) == []
    (tmp_path / RULES).write_bytes(b"\xff")
    assert write(files, tmp_path) == [RULES]


def test_every_file_can_be_read() -> None:
    for name, text in render(shipped()).items():
        assert json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
        assert text.endswith("\n")


def test_expressions_of_several_lines_stay_readable() -> None:
    files = render(shipped())
    assert "expr: |" in files[RULES]
    assert "&id" not in files[RULES] + files[ROUTES]
