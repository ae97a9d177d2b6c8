"""`tollway config` on files and a ledger, without a gateway (with one: tests/served/test_console.py)."""

import json
from pathlib import Path

import pytest
import typer
import yaml
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli import config as command
from gateway.clock import ManualClock
from gateway.ledger.audit import entries
from gateway.ledger.config_history import Origin
from gateway.ledger.store import open_engine
from gateway.settings.history import tell_now
from gateway.settings.reload import Configuration
from tests.gateway.admin.fakes import written
from tests.support.ledgers import ready_ledger


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file of which two versions and a refusal are known."""
    file = tmp_path / "gateway.yaml"
    tree = {**written(tmp_path), "teams": {"search": {"budget": {"amount": "100 USD", "per": "month"}}}}
    file.write_text(yaml.safe_dump(tree))
    url = f"sqlite:///{tmp_path}/ledger.db"
    ready_ledger(url)
    engine = open_engine(url)
    clock = ManualClock()
    held = Configuration(file, clock=clock)
    tell_now(held, engine, clock, Origin("start"), None)
    good = file.read_text().replace("100 USD", "200 USD")
    for text in (good, good + "bogus: 1\n"):
        file.write_text(text)
        clock.advance(60)
        tell_now(held, engine, clock, Origin("file change"), held.reload("file change"))
    file.write_text(good)
    engine.dispose()
    return file


def run(config: Path, *args: str) -> Result:
    app = typer.Typer()
    command.register(app)

    @app.command()
    def other() -> None:
        """Typer makes a lone command the root."""

    return CliRunner().invoke(app, ["config", *args, "--config", str(config)])


def test_history_show_and_diff(config: Path) -> None:
    listed = run(config, "history").stdout
    for word in ("refused", "unknown key 'bogus'", "2 ←", "teams.search.budget.amount: 100 USD → 200 USD", "start"):
        assert word in listed
    versions = json.loads(run(config, "history", "--json").stdout)["versions"]
    assert [each["version"] for each in versions] == [None, 2, 1]
    shown = run(config, "show", "1").stdout
    assert shown.startswith("# version 1, ")
    assert "amount: 100 USD" in shown
    assert "canary" not in shown
    compared = run(config, "diff", "1").stdout
    assert compared.startswith("team search: budget.amount 100 USD → 200 USD\n")
    assert "+++ gateway.yaml (version 2)" in compared
    assert json.loads(run(config, "diff", "1", "2", "--json").stdout)["new"] == 2
    assert "have the same files" in run(config, "diff", "2", "2").stdout


def test_rollback_without_a_gateway(config: Path) -> None:
    done = run(config, "rollback", "1", "--reason", "too much")
    assert done.exit_code == 0, done.output
    assert "The files of version 1 are back" in done.stdout
    assert "team search: budget.amount 200 USD → 100 USD" in done.stdout
    assert "it counts from the next start" in done.stdout
    assert "100 USD" in config.read_text()
    engine = open_engine(f"sqlite:///{config.parent}/ledger.db")
    entry = entries(engine)[-1]
    engine.dispose()
    assert (entry.action, entry.reason) == ("config.rollback", "too much")
    assert entry.actor.startswith("cli:")


def test_a_broken_file_can_be_left_behind(config: Path) -> None:
    """That is when one wants to go back; where the ledger is, is read all the same."""
    config.write_text(config.read_text() + "bogus: 1\n")
    refused = run(config, "rollback", "2", "--reason", "x")
    assert (refused.exit_code, "never in force" in refused.output) == (1, True)
    assert "bogus" in config.read_text()
    assert run(config, "rollback", "2", "--reason", "x", "--discard-edits").exit_code == 0
    assert "bogus" not in config.read_text()


@pytest.mark.parametrize(
    ("args", "code", "problem"),
    [
        (("show", "9"), 1, "There is no version 9"),
        (("rollback", "9", "--reason", "x"), 1, "There is no version 9"),
        (("rollback", "1", "--reason", " "), 2, "reason: allowed"),
        (("rollback", "1"), 2, "reason"),
        (("history", "--admin-url", "http://127.0.0.1:9"), 2, "--admin-url needs an admin key"),
        (("history", "--admin-url", "http://127.0.0.1:9", "--admin-key", "k"), 1, "cannot be asked"),
    ],
)
def test_what_cannot_be(config: Path, args: tuple[str, ...], code: int, problem: str) -> None:
    result = run(config, *args)
    assert (result.exit_code, problem in result.output) == (code, True), result.output


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ledger: off\nbogus: 1\n", "keeps no ledger"),
        ("bogus: [\n", "not valid YAML"),
        ("ledger: {url: '${env:NOT_SET_ANYWHERE}'}\n", "NOT_SET_ANYWHERE"),
    ],
)
def test_where_no_ledger_is_known(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    result = run(file, "history")
    assert result.exit_code == 2
    assert problem in result.output
