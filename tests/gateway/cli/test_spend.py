import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import spend
from gateway.clock import SystemClock
from gateway.ledger.posting import post, save_offset
from gateway.ledger.status import LoaderStatus, write_status
from gateway.ledger.store import open_engine, writing
from tests.gateway.ledger.helpers import end
from tests.support.ledgers import ready_ledger


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    spend.register(app)

    @app.command()
    def other() -> None:
        """Typer makes a lone command the root."""

    return app


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/ledger/x.db"
    ready_ledger(url)
    engine = open_engine(url)
    now = SystemClock().now_ns()
    with writing(engine) as connection:
        post(
            connection,
            [
                end(received_ns=now - 10**9, cost_nanos=5_615_000, tags={"app": "shop"}),
                end(received_ns=now - 10**9, team="ads", model="mystery", cost_nanos=None, unpriced=True),
                end(received_ns=now - 10 * 86_400 * 10**9, team="old", cost_nanos=1),
            ],
            now,
        )
        save_offset(connection, "w.000001", 10, 0, now)
    engine.dispose()
    return url


def run(app: typer.Typer, *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["spend", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_table_with_total_and_warning(app: typer.Typer, url: str):
    text = run(app, "--url", url)
    assert "search" in text
    assert "0.005615000" in text
    assert "total" in text
    assert "Warning: not in the total: 1 request of models without a price (mystery)." in text
    assert "Ledger last loaded 20" in text
    assert "old" not in text.replace("old.", "")


def test_json(app: typer.Typer, url: str):
    data = json.loads(run(app, "--url", url, "--json", "--since", "30d", "--by", "team, model"))
    assert [(row["team"], row["model"]) for row in data["rows"]] == [
        ("search", "gpt-4o-mini"),
        ("old", "gpt-4o-mini"),
        ("ads", "mystery"),
    ]
    assert data["total"]["cost_usd"] == "0.005615001"


def test_filters(app: typer.Typer, url: str):
    data = json.loads(run(app, "--url", url, "--json", "--tag", "app=shop", "--team", "search", "--team", "ads"))
    assert [row["team"] for row in data["rows"]] == ["search"]
    assert (
        json.loads(run(app, "--url", url, "--json", "--model", "none", "--key", "k", "--provider", "p"))["rows"] == []
    )


@pytest.mark.parametrize("form", ["csv", "parquet", "json", "table"])
def test_out_writes_a_file(app: typer.Typer, url: str, tmp_path: Path, form: str):
    out = tmp_path / "report"
    assert run(app, "--url", url, "--format", form, "--out", str(out)) == ""
    assert out.stat().st_size > 100
    if form == "parquet":
        assert out.read_bytes()[:4] == b"PAR1"


def test_names_of_clients_are_not_markup(app: typer.Typer, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/x.db"
    ready_ledger(url)
    engine = open_engine(url)
    with writing(engine) as connection:
        now = SystemClock().now_ns()
        post(connection, [end(received_ns=now, team="[red]x[/red]", model="[/]", cost_nanos=None, unpriced=True)], now)
    engine.dispose()
    text = run(app, "--url", url)
    assert "[red]x[/red]" in text
    assert "a price ([/])." in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "color"], "cannot group by 'color'; allowed are team, key"),
        (["--format", "xml"], "allowed are table, json, csv, parquet"),
        (["--json", "--format", "focus"], "--json is short for --format json"),
        (["--period", "hour"], "--period is for the focus formats"),
        (["--format", "focus", "--by", "team"], "--by does not go with --format focus"),
        (["--team", "search", "savings"], "savings takes no options of spend"),
        (["--since", "soon"], "allowed are now, an age"),
        (["--since", "1h", "--until", "2h"], "the range is empty"),
        (["--tag", "app"], "--tag 'app' is not NAME=VALUE"),
        (["--since", "-5d"], "--since: '-5d' is no moment"),
        (["--until", "9999-12-31"], "--until: '9999-12-31' is too far away"),
        (["--team", "a\udcff"], "'a\\udcff' is not valid UTF-8"),
    ],
)
def test_wrong_use_exits_2_and_says_what_is_allowed(app: typer.Typer, url: str, arguments: list[str], message: str):
    assert message in run(app, "--url", url, *arguments, code=2)


@pytest.mark.parametrize("form", ["csv", "focus"])
def test_a_file_that_cannot_be_written_exits_1(app: typer.Typer, url: str, tmp_path: Path, form: str):
    said = run(app, "--url", url, "--format", form, "--out", f"{tmp_path}/none/x", code=1)
    assert "/none/x cannot be written: No such file or directory" in said


def test_no_ledger_exits_1(app: typer.Typer, tmp_path: Path):
    assert "there is no ledger at" in run(app, "--url", f"sqlite:///{tmp_path}/none.db", code=1)
    (tmp_path / "empty.db").touch()
    assert "holds no ledger yet" in run(app, "--url", f"sqlite:///{tmp_path}/empty.db", code=1)
    assert "refused" in run(app, "--url", "postgresql://nobody@127.0.0.1:1/x", code=1)


def test_freshness_comes_from_the_loader_beside_the_journal(
    app: typer.Typer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(spend, "ledger_of_config", lambda path: (url, tmp_path))

    def status(age: float, lag: int) -> None:
        updated = SystemClock().now_ns() - int(age * 1e9)
        write_status(
            tmp_path,
            LoaderStatus(
                pid=1,
                updated_ns=updated,
                lag_bytes=lag,
                lag_seconds=2.5 if lag else 0.0,
                loaded=1,
                duplicates=0,
                rejected=0,
                interrupted=0,
                database="ok",
                error="",
            ),
        )

    status(0, 0)
    assert "The ledger is up to date." in run(app)
    status(0, 700)
    assert "The ledger is 2.5 s behind (700 journal bytes not loaded)." in run(app)
    status(100, 0)
    assert "No loader has reported since" in run(app)


def test_the_configuration_names_the_ledger(
    app: typer.Typer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = tmp_path / "gateway.yaml"
    config.write_text(f"version: 1\nledger: {{url: '{url}', journal: '{tmp_path}/journal'}}\n")
    assert json.loads(run(app, "--config", str(config), "--json"))["total"]["requests"] == 2
    monkeypatch.setenv("TOLLWAY_CONFIG", str(config))
    assert json.loads(run(app, "--json"))["total"]["requests"] == 2
    config.write_text("version: 1\nledger: off\n")
    assert "ledger: off" in run(app, code=2)
    config.write_text("version: 1\nlegder: off\n")
    assert "legder" in run(app, code=2)


def test_help_stands_alone(app: typer.Typer):
    text = run(app, "--help")
    for word in ("--since", "tag:NAME", "parquet", "Examples", "TOLLWAY_CONFIG"):
        assert word in text


def test_nothing_heavy_is_imported_to_show_help():
    program = "import sys, gateway.cli.spend; print([m for m in ('sqlalchemy', 'rich.table') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.strip() == "[]"
