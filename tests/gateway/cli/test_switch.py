"""`tollway switch` on a ledger, without a gateway (with one: tests/served/test_switches.py)."""

import json
from pathlib import Path

import pytest
import typer
import yaml
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli import switch
from tests.gateway.admin.fakes import written

STOP = ("set", "stop", "team", "search")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(written(tmp_path)))
    return file


def run(config: Path, *args: str) -> Result:
    app = typer.Typer()
    switch.register(app)

    @app.command()
    def other() -> None:
        """Typer makes a lone command the root."""

    return CliRunner().invoke(app, ["switch", *args, "--config", str(config)])


def test_set_list_clear(config: Path) -> None:
    assert run(config, "list").output == "No switch is on.\n"
    made = json.loads(run(config, *STOP, "--reason", "a [drill]", "--for", "30m", "--json").stdout)
    listed = run(config, "list").stdout
    assert made["id"] in listed
    assert "a [drill]" in listed, "people's words are no markup"
    cleared = run(config, "clear", made["id"])
    assert "stop team search ended at" in cleared.stdout
    assert json.loads(run(config, "list", "--all", "--json").stdout)["switches"][0]["state"] == "cleared"
    permanent = run(config, *STOP, "--reason", "x", "--permanent").stdout
    assert "stop team search until it is cleared. Take it back: tollway switch clear sw-" in permanent


@pytest.mark.parametrize(
    ("args", "code", "problem"),
    [
        (
            ("set", "halt", "team", "search", "--reason", "x"),
            2,
            "kind: there is no 'halt'; allowed are stop",
        ),
        (("set", "stop", "planet", "--reason", "x"), 2, "scope: there is no 'planet'; allowed are gateway"),
        (("set", "fallback", "team", "search", "--reason", "x"), 2, "is for model, not for 'team'.\n"),
        (("set", "fallback", "model", "gpt-4o-mini", "--reason", "x"), 2, "to: say which model serves instead"),
        (("set", "guardrail", "policy", "pi", "--to", "shadow", "--reason", "x"), 2, "None is configured"),
        (("set", "stop", "team", "-1", "--reason", "x"), 2, "there is no team '-1'. Allowed are"),
        (("clear", "-1"), 1, "there is no switch '-1'"),
        ((*STOP, "--reason", "x", "--permanent", "--for", "1h"), 2, "Say once how long"),
        (("clear", "sw-none"), 1, "there is no switch 'sw-none'"),
        ((*STOP, "--reason", "x", "--admin-url", "http://127.0.0.1:9"), 2, "--admin-url needs an admin key"),
        ((*STOP, "--reason", "x", "--admin-url", "http://127.0.0.1:9", "--admin-key", "k"), 1, "cannot be asked"),
    ],
)
def test_what_cannot_be(config: Path, args: tuple[str, ...], code: int, problem: str) -> None:
    done = run(config, *args)
    assert done.exit_code == code
    assert problem.lower() in done.stderr.lower()


def test_no_ledger(config: Path) -> None:
    tree = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**tree, "ledger": "off"}))
    done = run(config, *STOP, "--reason", "x", "--json")
    assert done.exit_code == 2
    assert "kill switches live in it" in json.loads(done.stdout)["error"]
