"""`tollway keys` on a real SQLite ledger."""

import json
import sqlite3
from pathlib import Path

import pytest
import typer
import yaml
from click.testing import Result
from typer.testing import CliRunner

from gateway.auth.keys import digest_of
from gateway.cli import keys

SECRET = "a server secret of sixteen bytes or more"


class Cli:
    """`tollway keys …` with a configuration in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "gateway.yaml"
        self.app = typer.Typer()
        keys.register(self.app)

        @self.app.command()
        def other() -> None:
            """Typer makes a lone command the root."""

        self.write()

    def write(self, **changes: object) -> None:
        tree: dict[str, object] = {
            "version": 1,
            "secrets": {"key_hash": SECRET},
            "providers": {"p": {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1"}},
            "models": {"gpt-4o-mini": {"targets": [{"provider": "p"}]}, "local/*": {"targets": [{"provider": "p"}]}},
            "teams": {
                "search": {"keys": [{"id": "dev", "hash": "sha256:" + "0" * 64}]},
                "support": {"models": ["local/*"]},
            },
            "prices": "off",
            "ledger": {"url": f"sqlite:///{self.directory}/ledger.db", "journal": str(self.directory / "journal")},
        }
        self.config.write_text(yaml.safe_dump({**tree, **changes}))

    def __call__(self, *args: str) -> Result:
        return CliRunner().invoke(self.app, ["keys", *args, "--config", str(self.config)])

    def json(self, *args: str) -> dict:
        result = self(*args, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def test_create_stores_a_keyed_hash_only(cli: Cli, tmp_path: Path) -> None:
    made = cli.json(
        "create", "--team", "search", "--name", "ci", "--expires", "90d",
        "--models", "gpt-4o-mini,local/*", "--tags", "app=shop, env=ci",
    )  # fmt: skip
    assert made["secret"].startswith("sk-tw-")
    assert made["models"] == ["gpt-4o-mini", "local/*"]
    assert made["tags"] == {"app": "shop", "env": "ci"}
    assert made["expires_at"] is not None
    (stored,) = sqlite3.connect(tmp_path / "ledger.db").execute("SELECT digest FROM keys").fetchone()
    assert stored == digest_of(made["secret"].encode(), "hmac", SECRET.encode()).hex()
    assert made["secret"].encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))


def test_create_for_people(cli: Cli) -> None:
    result = cli("create", "--team", "search")
    assert result.exit_code == 0
    assert "sk-tw-" in result.stdout
    assert "only time" in result.stdout


def test_list_shows_ends_of_keys_only(cli: Cli) -> None:
    made = cli.json("create", "--team", "search", "--name", "[bold]ci[/bold]")
    other = cli.json("create", "--team", "support")
    cli.json("revoke", other["id"])
    result = cli("list")
    assert result.exit_code == 0
    assert made["secret"] not in result.stdout
    assert f"{made['prefix']}…{made['last4']}" in result.stdout
    assert "[bold]ci[/bold]" in result.stdout
    assert "1 more in the configuration file" in result.stdout
    assert [key["id"] for key in cli.json("list")["keys"]] == [made["id"], other["id"]]
    assert [key["id"] for key in cli.json("list", "--active")["keys"]] == [made["id"]]
    assert [key["id"] for key in cli.json("list", "--team", "support")["keys"]] == [other["id"]]


def test_rotate_and_revoke(cli: Cli) -> None:
    made = cli.json("create", "--team", "search", "--tags", "app=x")
    new = cli.json("rotate", made["id"], "--overlap", "1h")
    assert (new["rotated_from"], new["team"], new["tags"]) == (made["id"], "search", {"app": "x"})
    assert new["secret"] != made["secret"]
    states = {key["id"]: key["state"] for key in cli.json("list")["keys"]}
    assert states == {made["id"]: "replaced", new["id"]: "active"}
    result = cli("revoke", new["id"])
    assert result.exit_code == 0
    assert "Revoked" in result.stdout
    assert "rotated" in cli("rotate", new["id"]).stderr
    text = cli("rotate", cli.json("create", "--team", "search")["id"], "--overlap", "0").stdout
    assert "ended" in text


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("create", "--team", "serach"), 2, "Did you mean 'search'"),
        (("create", "--team", "search", "--expires", "soon"), 2, "90d"),
        (("create", "--team", "search", "--models", "gpt-4o-mni"), 2, "Did you mean 'gpt-4o-mini'"),
        (("create", "--team", "search", "--models", ""), 2, "leave it out"),
        (("create", "--team", "support", "--models", "gpt-4o-mini"), 2, "It may use: local/*"),
        (("create", "--team", "search", "--tags", "app"), 2, "'app' lacks '=' and a value; allowed is k=v,k=v"),
        (("create", "--team", "search", "--tags", "=x"), 2, "'=x' lacks a name before its '='; allowed is k=v,k=v"),
        (("list", "--team", "serach"), 2, "Did you mean 'search'"),
        (("list", "--team", ""), 2, "There is no team ''"),
        (("revoke", "-1"), 1, "no key '-1'"),
        (("create", "--team", "search", "--tags", "app=a,app=b"), 2, "'app' is given twice"),
        (("create",), 2, "--team"),
        (("revoke", "nobody"), 1, "no key 'nobody'"),
        (("rotate", "nobody"), 1, "no key 'nobody'"),
    ],
)
def test_mistakes(cli: Cli, args: tuple[str, ...], code: int, says: str) -> None:
    result = cli(*args)
    assert result.exit_code == code
    assert says in result.stderr


def test_mistakes_as_json(cli: Cli) -> None:
    result = cli("revoke", "nobody", "--json")
    assert result.exit_code == 1
    assert "nobody" in json.loads(result.stdout)["error"]


def test_no_server_secret(cli: Cli) -> None:
    cli.write(secrets={})
    result = cli("create", "--team", "search")
    assert result.exit_code == 2
    assert "secrets.key_hash" in result.stderr
    assert "openssl rand" in result.stderr
    assert cli("list").exit_code == 0


def test_no_ledger_and_no_configuration(cli: Cli) -> None:
    cli.write(ledger="off")
    result = cli("list")
    assert (result.exit_code, "ledger: off" in result.stderr) == (2, True)
    cli.write(teems={})
    result = cli("list")
    assert (result.exit_code, "teems" in result.stderr) == (2, True)
    cli.config.unlink()
    assert cli("list").exit_code == 2


def test_the_database_cannot_be_opened(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cli.write(ledger={"url": f"sqlite:///{tmp_path}/file/ledger.db", "journal": str(tmp_path / "journal")})
    result = cli("list")
    assert result.exit_code == 1
    assert "directory" in result.stderr


def test_help_stands_alone(cli: Cli) -> None:
    result = CliRunner().invoke(cli.app, ["keys", "--help"])
    for command in ("create", "list", "revoke", "rotate"):
        assert command in result.stdout
