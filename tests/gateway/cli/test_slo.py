"""`tollway slo` as people and scripts use it."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import slo
from gateway.slo.render import ALERTS, RULES

WRITTEN = (
    "version: 1\nobjectives:\n  up: {sli: availability, target: 99.9%}\n  half: {sli: availability, target: 90%}\n"
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "slo.yaml"
    path.write_text(WRITTEN, encoding="utf-8")
    return path


def run(*arguments: str | Path):
    app = typer.Typer()
    slo.register(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["slo", *map(str, arguments)])


def test_check_lists_objectives_and_says_what_is_left_out(config: Path) -> None:
    done = run("check", "--config", config)
    assert done.exit_code == 0
    assert "ok (2 objectives)" in done.stdout
    assert "  up: availability, 99.9 % over 30 days" in done.stdout
    assert "warning: half: a target of 90 % is never missed 14.4 times faster than allowed" in done.stdout


def test_render_writes_beside_the_file_and_says_what_it_wrote(config: Path) -> None:
    done = run("render", "--config", config)
    assert done.exit_code == 0
    assert str(config.parent / RULES) in done.stdout.splitlines()
    assert (config.parent / ALERTS).exists()
    again = run("render", "--config", config, "--json")
    assert json.loads(again.stdout)["changed"] == []


def test_check_knows_when_rendered_files_are_out_of_date(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("check", "--config", config, "--rendered", "--out", out).exit_code == 1
    assert run("render", "--config", config, "--out", out).exit_code == 0
    assert run("check", "--config", config, "--rendered", "--out", out).exit_code == 0
    config.write_text(WRITTEN.replace("99.9%", "99.8%"), encoding="utf-8")
    done = run("check", "--config", config, "--out", out, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["stale"] == [RULES]


@pytest.mark.parametrize("command", ["check", "render"])
def test_a_mistake_is_told_with_its_place_and_writes_nothing(config: Path, command: str) -> None:
    config.write_text(WRITTEN.replace("99.9%", "much"), encoding="utf-8")
    done = run(command, "--config", config)
    assert done.exit_code == 2
    assert f"{config}:3:35: this is not a percentage" in done.output
    told = json.loads(run(command, "--config", config, "--json").stdout)
    assert told["ok"] is False
    assert len(told["problems"]) == 1
    assert not (config.parent / RULES).exists()


def test_the_schema_for_editors_describes_every_field() -> None:
    schema = json.loads(run("check", "--schema").stdout)
    assert schema["required"] == ["version", "objectives"]
    objective = schema["$defs"]["ObjectiveSection"]["properties"]
    assert all(field["description"] for field in objective.values())


def test_a_directory_that_cannot_be_written(config: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = run("render", "--config", config, "--out", tmp_path / "file")
    assert done.exit_code == 1
    assert "cannot be written" in done.output
