"""`tollway incidents` on a ledger, without a gateway (with one: tests/served/test_incidents.py)."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
import typer
import yaml
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli import incidents
from gateway.ledger.incidents import Incident, IncidentStore, Note
from gateway.ledger.store import open_engine
from tests.gateway.admin.fakes import written
from tests.support.ledgers import ready_ledger


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(written(tmp_path)))
    return file


@pytest.fixture
def kept(tmp_path: Path, config: Path) -> str:
    url, now_ns = f"sqlite:///{tmp_path}/ledger.db", time.time_ns()
    ready_ledger(url)
    incident = Incident(
        id="inc-1", signal="provider", subject="openai", severity="page", title="it [red]fails[/red]",
        detail={"teams": ["search"], "attempts": 20}, since_ns=now_ns - 10**9, opened_ns=now_ns, updated_ns=now_ns,
    )  # fmt: skip
    engine = open_engine(url)
    IncidentStore(engine).save([incident], [Note(at_ns=now_ns, incident="inc-1", kind="opened", text="it fails")])
    engine.dispose()
    return incident.id


def run(config: Path, *args: str) -> Result:
    app = typer.Typer()
    incidents.register(app)

    @app.command()
    def other() -> None:
        """Typer makes a lone command the root."""

    return CliRunner().invoke(app, ["incidents", *args, "--config", str(config)])


def test_nothing_is_wrong(config: Path) -> None:
    assert run(config).output == "No incident.\n"
    assert json.loads(run(config, "list", "--json").stdout) == {"incidents": []}


def test_a_locked_ledger_is_old_and_says_so(config: Path, kept: str, tmp_path: Path) -> None:
    """The detector cannot write into it, and "No incident." would be taken for good news."""
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told = run(config)
        assert (told.exit_code, kept in told.stdout) == (0, True)
        assert "this may be old: the ledger is locked" in told.stderr
        assert "is locked" in json.loads(run(config, "list", "--json").stdout)["stale"]
    told = run(config)
    assert (told.exit_code, told.stderr) == (0, "")
    assert "stale" not in json.loads(run(config, "list", "--json").stdout)


def test_what_is_wrong_and_who_looks_after_it(config: Path, kept: str) -> None:
    """People's words are no markup."""
    listed = run(config).stdout
    assert all(word in listed for word in (kept, "page", "open", "search", "it [red]fails[/red]"))
    assert run(config, "comment", kept, "called them").exit_code == 0
    assert run(config, "ack", kept, "--comment", "mine").stdout.startswith("inc-1: acknowledged by cli:")
    shown = run(config, "show", kept).stdout
    assert all(word in shown for word in ("Timeline", "opened", "acknowledged", "mine", "called them", "attempts 20"))
    found = json.loads(run(config, "show", kept, "--json").stdout)
    assert [each["kind"] for each in found["timeline"]] == ["began", "opened", "comment", "acknowledged"]


@pytest.mark.parametrize(
    ("args", "code", "problem"),
    [
        (("show", "nobody"), 1, "There is no incident 'nobody'."),
        (("ack", "nobody"), 1, "There is no incident 'nobody'."),
        (("comment", "inc-1", " "), 2, "comment: allowed is printable text"),
        (("list", "--all", "--since", "yesterday"), 2, "since: "),
        (("--admin-url", "http://127.0.0.1:9"), 2, "--admin-url needs an admin key"),
    ],
)
def test_what_cannot_be(config: Path, kept: str, args: tuple[str, ...], code: int, problem: str) -> None:
    done = run(config, *args)
    assert done.exit_code == code
    assert problem in done.stderr
