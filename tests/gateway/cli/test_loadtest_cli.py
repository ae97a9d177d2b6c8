"""The load commands as a person types them."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import loadtest as command
from loadtest.mock import MockProvider


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    command.register(made)
    return made


@pytest.fixture
def mock() -> Iterator[MockProvider]:
    """A mock provider on a thread of its own, because the command runs its own event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made = MockProvider()
    asyncio.run_coroutine_threadsafe(made.start(), loop).result(60)
    yield made
    asyncio.run_coroutine_threadsafe(made.stop(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text("stages:\n- {concurrency: 2, duration: 200ms}\n")
    return path


def test_run_prints_json_and_writes_a_report(
    app: typer.Typer, mock: MockProvider, scenario: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    given = ["loadtest", "run", str(scenario), "--base-url", mock.base_url, "--key", "k", "--model", "special"]
    ended = CliRunner().invoke(app, [*given, "--json", "--html", str(report)])
    assert ended.exit_code == 0, ended.output
    stage = json.loads(ended.stdout)["stages"][0]
    assert stage["ok"] == mock.stats.totals.by_model["special"].completed > 0
    assert "<svg" in report.read_text()


def test_run_prints_a_table(app: typer.Typer, mock: MockProvider, scenario: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("one\n\ntwo\n")
    given = ["loadtest", "run", str(scenario), "--base-url", mock.base_url, "--key-file", str(keys)]
    ended = CliRunner().invoke(app, [*given, "--processes", "2"])
    assert ended.exit_code == 0, ended.output
    assert "2 users" in ended.stdout


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (["loadtest", "run", "nonesuch", "--base-url", "http://127.0.0.1:1/v1"], 2, "no load scenario"),
        (["loadtest", "run", "load-smoke", "--base-url", "http://192.0.2.1/v1"], 2, "--allow-remote"),
        (
            ["loadtest", "run", "load-smoke", "--base-url", "http://127.0.0.1:1/v1", "--key-file", "/none/keys"],
            2,
            "/none/keys: cannot be read: No such file or directory",
        ),
        (
            ["loadtest", "run", "load-smoke", "--base-url", "http://127.0.0.1:1/v1", "--html", "/none/report.html"],
            2,
            "there is no directory /none",
        ),
        (
            ["loadtest", "run", "load-smoke", "--base-url", "http://127.0.0.1:1/v1", "--key", "sk-…"],
            2,
            "was it pasted whole?",
        ),
        (["loadtest", "compare", "--only", "kong"], 2, "no such gateway: kong"),
        (["mock-provider", "--port", "0", "--scenario", "nonesuch.yaml"], 2, "cannot be read"),
    ],
)
def test_wrong_use_is_said_and_exit_2(app: typer.Typer, given: list[str], code: int, message: str) -> None:
    ended = CliRunner().invoke(app, given)
    assert ended.exit_code == code
    assert message in ended.output


def test_no_correct_answer_is_exit_1(app: typer.Typer, scenario: Path) -> None:
    ended = CliRunner().invoke(app, ["loadtest", "run", str(scenario), "--base-url", "http://127.0.0.1:1/v1"])
    assert ended.exit_code == 1
    assert "failed: " in ended.output


def test_a_port_that_is_taken_is_exit_1(app: typer.Typer, mock: MockProvider) -> None:
    ended = CliRunner().invoke(app, ["mock-provider", "--port", str(mock.port)])
    assert ended.exit_code == 1
    assert "cannot listen" in ended.output


@pytest.mark.parametrize("name", [["mock-provider"], ["loadtest", "run"], ["loadtest", "compare"]])
def test_help_stands_alone(app: typer.Typer, name: list[str]) -> None:
    ended = CliRunner().invoke(app, [*name, "--help"])
    assert ended.exit_code == 0
    assert "Examples:" in ended.output
