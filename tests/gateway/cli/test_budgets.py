"""`tollway budgets`: on the ledger alone, and through the admin API of a gateway that runs."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import yaml
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli import budgets
from gateway.cli.budgets_show import shown
from gateway.ledger.audit import entries
from gateway.ledger.posting import post
from gateway.ledger.store import open_engine, writing
from tests.gateway.ledger.helpers import end
from tests.support.ledgers import ready_ledger
from tests.support.served import Gateway, get_json, key_hash, wait_for

BUDGETS = {
    "search": {
        "keys": [{"id": "search-dev", "hash": key_hash("sk-search")}],
        "budget": {"amount": "100 USD", "soft": "80%"},
        "limits": {"tokens_per_minute": "200k"},
    },
    "ads": {"budget": {"amount": "5 USD", "per": "day"}},
}


class Cli:
    """`tollway budgets …` with a configuration and a ledger in `directory`; no gateway runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "gateway.yaml"
        self.url = f"sqlite:///{directory}/ledger.db"
        self.app = typer.Typer()
        budgets.register(self.app)

        @self.app.command()
        def other() -> None:
            """Typer makes a lone command the root."""

        self.write()

    def write(self, **changes: object) -> None:
        tree: dict[str, object] = {
            "version": 1,
            "server": {"runtime_dir": str(self.directory / "run")},
            "providers": {"p": {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1"}},
            "models": {"gpt-4o-mini": {"targets": [{"provider": "p"}]}},
            "teams": BUDGETS,
            "prices": "off",
            "ledger": {"url": self.url, "journal": str(self.directory / "journal")},
        }
        self.config.write_text(yaml.safe_dump({**tree, **changes}, sort_keys=False))

    def __call__(self, *args: str, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(self.app, ["budgets", *args, "--config", str(self.config)], env=env)

    def json(self, *args: str) -> dict:
        result = self(*args, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def book(self, nanos: int) -> None:
        ready_ledger(self.url)
        engine = open_engine(self.url)
        with writing(engine) as connection:
            post(connection, [end(received_ns=time.time_ns(), cost_nanos=nanos)], time.time_ns())
        engine.dispose()


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def test_shown_from_the_ledger_when_no_gateway_runs(cli: Cli) -> None:
    cli.book(85 * 10**9)
    found = cli.json()
    assert found["source"] == "ledger"
    first = found["budgets"][0]
    assert (first["counter"], first["used"], first["reserved"]) == ("teams.search.budget", "85.000000000", None)
    assert (first["remaining"], first["state"]) == ("15.000000000", "soft")
    assert [each["counter"] for each in cli.json("--team", "ads")["budgets"]] == ["teams.ads.budget"]
    assert len(cli.json("--all")["budgets"]) == 3
    text = cli().stdout
    assert "$85.00" in text
    assert "soft" in text
    assert "without what requests under way hold: a running gateway tells with --admin-key." in text
    assert "no gateway runs with this configuration." in cli(env={"TOLLWAY_ADMIN_KEY": "sk-x"}).stdout


def test_a_gateway_that_does_not_answer_is_said_to_be_why(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.asking.find_gateway", lambda *_: "http://127.0.0.1:9")
    cli.book(85 * 10**9)
    shown_to_people = cli("--admin-key", "sk-x").stdout
    assert "$85.00" in shown_to_people
    assert "the gateway at http://127.0.0.1:9 cannot be asked (ConnectError)." in shown_to_people


def test_raise_reset_end(cli: Cli) -> None:
    cli.book(85 * 10**9)
    raised = cli("raise", "teams.search.budget", "50 USD", "--for", "7d", "--reason", "launch week")
    assert raised.exit_code == 0, raised.output
    assert "teams.search.budget raised: $50.00 more until" in raised.stdout
    assert cli.json()["budgets"][0]["limit"] == "150.000000000"
    assert "$150.00 (+$50.00)" in cli().stdout
    assert cli.json("reset", "teams.search.budget", "--reason", "runaway job")["extra"] == "85.000000000"
    assert cli.json()["budgets"][0]["remaining"] == "150.000000000"
    listed = cli.json("adjustments")["adjustments"]
    assert [(each["kind"], each["reason"]) for each in listed] == [("raise", "launch week"), ("reset", "runaway job")]
    assert listed[0]["made_by"].startswith("cli:")
    table = cli("adjustments").stdout
    assert "launch week" in table
    for each in listed:
        ended = cli("end", each["id"], "--reason", "over")
        assert ended.exit_code == 0
        assert f"{each['id']} of teams.search.budget ended at" in ended.stdout
    assert cli.json()["budgets"][0]["limit"] == "100.000000000"
    assert cli("adjustments").stdout.strip() == "No adjustments."
    assert len(cli.json("adjustments", "--all")["adjustments"]) == 2
    engine = open_engine(cli.url)
    assert [entry.action for entry in entries(engine)] == [
        "budgets.raise", "budgets.reset", "budgets.end", "budgets.end",
    ]  # fmt: skip
    engine.dispose()


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (
            ["raise", "teams.serch.budget", "5 USD", "--for", "1h", "--reason", "x"],
            2,
            "Did you mean 'teams.search.budget'",
        ),
        (["raise", "teams.search.budget", "5 USD", "--reason", "x"], 2, "Say until when"),
        (["raise", "teams.search.budget", "many", "--for", "1h", "--reason", "x"], 2, "500 USD or 0.25 USD"),
        *[
            (["raise", "teams.search.budget", amount, "--for", "1h", "--reason", "x"], 2, f"amount: {told}")
            for amount, told in (
                ("-5 USD", "this amount is negative; allowed is an amount in US dollars, such as 500 USD"),
                ("-5", "this amount of money is negative; allowed is"),
                ("-.5 USD", "this is not an amount of money; allowed is"),
                ("0 USD", "this adds nothing; allowed is more than 0, such as 50 USD"),
                ("9" * 20 + " USD", "this amount of money has too many digits; allowed are 15"),
                ("٣ USD", "this is not an amount of money; allowed is"),
                ("", "this is not an amount of money; allowed is"),
            )
        ],
        (["raise", "teams.search.tokens_per_minute", "-2", "--for", "1h", "--reason", "x"], 2, "allowed is 1 or more"),
        (["raise", "teams.search.budget", "5 USD", "--for", "-1h", "--reason", "x"], 2, "this duration is negative"),
        (["raise", "search", "5 USD", "--for", "1h", "--reason", "x"], 2, "There are teams.search.budget, teams."),
        (["reset", "teams.search.budget", "--reason", ""], 2, "reason: allowed is printable text"),
        (["end", "-1", "--reason", "x"], 2, "There is no adjustment '-1'"),
        (["reset", "teams.search.tokens_per_minute", "--reason", "x"], 1, "Raise it for a while instead"),
        (["reset", "teams.search.budget", "--reason", "x"], 1, "used nothing since its window began"),
        (["end", "adj-1", "--reason", "x"], 2, "There is no adjustment 'adj-1'"),
        (["--team", "serch"], 2, "Did you mean 'search'"),
        (["rebuild"], 2, "needs a running gateway and an admin key"),
        (["--admin-url", "http://127.0.0.1:9"], 2, "needs an admin key"),
        (["--admin-url", "http://127.0.0.1:9", "--admin-key", "k"], 1, "cannot be asked (ConnectError)"),
    ],
)
def test_what_is_wrong_is_said(cli: Cli, args: list[str], code: int, message: str) -> None:
    result = cli(*args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    again = cli(*args, "--json")
    assert message in json.loads(again.stdout)["error"]


def test_without_a_ledger_and_without_budgets(cli: Cli) -> None:
    cli.write(teams={"search": {}})
    assert "No budgets." in cli().stdout
    cli.write(ledger="off")
    assert "keeps no ledger" in cli().stderr


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "–"), (0, "0"), (1234567, "1,234,567"), ("0.000000000", "$0.00"), ("500.000000000", "$500.00"),
        ("1234.567000000", "$1,234.57"), ("0.000012000", "$0.000012"), ("0.500000000", "$0.50"),
    ],
)  # fmt: skip
def test_amounts_for_people(amount: str | int | None, text: str) -> None:
    assert shown(amount) == text


def test_through_the_gateway_that_runs(cli: Cli, serve: Callable[..., Gateway]) -> None:
    """A raise is in force in the worker within a second; who made it stands in the audit log."""
    admin = {"keys": [{"id": "fin", "role": "finops", "hash": key_hash("sk-fin")}]}
    gateway = serve(teams=BUDGETS, admin=admin)
    cli.config = gateway.config
    key = ("--admin-key", "sk-fin")
    assert cli.json(*key)["budgets"][0]["counter"] == "teams.search.budget"
    raised = cli("raise", "teams.search.budget", "50 USD", "--for", "7d", "--reason", "launch", *key)
    assert raised.exit_code == 0, raised.output
    assert cli.json(*key)["budgets"][0]["limit"] == "150.000000000"
    headers = {"authorization": "Bearer sk-fin"}
    log = get_json(f"{gateway.url}/admin/v1/audit", headers)
    assert [(entry["actor"], entry["action"]) for entry in log["entries"]] == [("key:fin", "budgets.raise")]
    refused = cli("--admin-key", "sk-wrong")
    assert (refused.exit_code, "Incorrect admin key" in refused.stderr) == (1, True)
    anchor = gateway.data / "journal" / "audit-head.json"
    wait_for(
        lambda: anchor.exists() and log["head"].endswith(json.loads(anchor.read_text())["hash"]), "the memory of it"
    )


def test_a_rebuild_says_what_came_of_it() -> None:
    assert budgets.rebuilt_line(1, 0) == "1 counter compared with the ledger, none had to be set."
    assert budgets.rebuilt_line(3, 2) == "3 counters compared with the ledger, 2 set:"
