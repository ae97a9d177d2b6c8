"""`tollway audit`: the list for people, and the proof."""

import json
from pathlib import Path

import pytest
import typer
import yaml
from click.testing import Result
from sqlalchemy import Engine, delete, text, update
from typer.testing import CliRunner

from gateway.cli import audit
from gateway.ledger.audit import append, head
from gateway.ledger.store import open_engine, writing
from gateway.ledger.tables import audit as table
from gateway.ledger.tables import audit_head
from tests.support.ledgers import ready_ledger


class Cli:
    def __init__(self, directory: Path) -> None:
        self.journal = directory / "journal"
        self.config = directory / "gateway.yaml"
        self.url = f"sqlite:///{directory}/ledger.db"
        self.app = typer.Typer()
        audit.register(self.app)
        self.write(ledger={"url": self.url, "journal": str(self.journal)})
        ready_ledger(self.url)
        self.engine: Engine = open_engine(self.url)

    def write(self, **changes: object) -> None:
        self.config.write_text(yaml.safe_dump({"version": 1, "prices": "off", **changes}))

    def __call__(self, *args: str) -> Result:
        return CliRunner().invoke(self.app, ["audit", *args, "--config", str(self.config)])

    def add(self, count: int = 1) -> None:
        for number in range(count):
            with writing(self.engine) as connection:
                append(
                    connection, at_ns=2 * 10**18 + number, actor="cli:anna", action="budgets.raise",
                    object="teams.search.budget", before={"limit": "500.000000000"},
                    after={"limit": "550.000000000", "until_ns": 10**18, "models": ["a", "b"], "name": ""},
                    reason="launch [week]",
                )  # fmt: skip


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def test_the_list(cli: Cli) -> None:
    assert cli("list").stdout.strip() == "No changes."
    cli.add(2)
    listed = cli("list", "--since", "2001-01-01").stdout
    for told in ("cli:anna", "limit: 500.000000000 → 550.000000000", "until: 2001-09-09T01:46:40Z", "models: a, b"):
        assert told in listed
    assert "launch [week]" in listed, "no markup"
    assert "name:" not in listed
    found = json.loads(cli("list", "--json", "--limit", "1").stdout)
    assert [entry["seq"] for entry in found["entries"]] == [2]
    assert found["head"] == str(head(cli.engine))
    wrong = cli("list", "--since", "soon")
    assert (wrong.exit_code, "--since" in wrong.stderr) == (2, True)


def test_a_log_that_is_right(cli: Cli) -> None:
    empty = cli("verify")
    assert (empty.exit_code, "0 entries" in empty.stdout) == (0, True)
    cli.add(3)
    kept = str(head(cli.engine))
    assert f"Head: {kept}" in cli("verify").stdout
    cli.add()
    again = json.loads(cli("verify", "--json", "--head", kept).stdout)
    assert (again["ok"], again["entries"], again["broken"]) == (True, 4, None)
    assert again["remembered"] == [kept, kept], "the one given, and the one the last verification left"


def unguarded(cli: Cli, *statements: object) -> None:
    with writing(cli.engine) as connection:
        for trigger in ("audit_no_update", "audit_no_delete"):
            connection.execute(text(f"DROP TRIGGER IF EXISTS {trigger}"))
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def test_the_first_broken_link_is_named(cli: Cli) -> None:
    cli.add(5)
    unguarded(cli, update(table).where(table.c.seq == 3).values(reason="nothing to see"))
    broken = cli("verify")
    assert broken.exit_code == 1
    assert "BROKEN at entry 3: the content of entry 3 was changed." in broken.stdout
    assert "The 2 entries before it are right." in broken.stdout
    found = json.loads(cli("verify", "--json").stdout)
    assert found["broken"]["entry"] == 3


def test_a_log_that_was_cut_off(cli: Cli) -> None:
    cli.add(2)
    short = head(cli.engine)
    cli.add(2)
    kept = str(head(cli.engine))
    cli("verify")
    unguarded(cli, delete(table).where(table.c.seq > 2))
    assert "cut off at its end" in cli("verify").stdout
    unguarded(cli, update(audit_head).values(seq=short.seq, hash=short.hash))
    anchored = cli("verify")
    assert (anchored.exit_code, "entry 4 is remembered" in anchored.stdout) == (1, True)
    (cli.journal / "audit-head.json").unlink()
    assert cli("verify").exit_code == 0, "what the help says cannot be detected"
    assert cli("verify", "--head", kept).exit_code == 1


def test_what_is_wrong_is_said(cli: Cli) -> None:
    wrong = cli("verify", "--head", "12")
    assert (wrong.exit_code, "NUMBER:HASH" in wrong.stderr) == (2, True)
    for since in ("9999-12-31", "-5d", ""):
        wrong = cli("list", "--since", since)
        assert (wrong.exit_code, "--since: " in wrong.stderr, "allowed are" in wrong.stderr) == (2, True, True)
    assert cli("list", "--limit", "9" * 25).exit_code == 2
    cli.write(ledger="off")
    for command in ("list", "verify"):
        assert "keeps no ledger" in cli(command).stderr
    cli.write(ledger={"url": "postgresql://nobody@127.0.0.1:1/none"})
    assert cli("verify").exit_code == 2
    assert cli("list").exit_code == 1
    cli.config.write_text("nothing: here")
    assert cli("list").exit_code == 2
