"""`tollway check`, as a person and as a script meet it."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli.check import register

GOOD = """\
providers: {openai: {dialect: openai, base_url: "https://h/v1", api_key: "${env:CHECKED_KEY}"}}
models: {gpt-4o: {targets: [{provider: openai}]}}
teams: {t: {budget: {amount: 1 USD}, keys: [{id: k, hash: "sha256:%s"}]}}
""" % ("ab" * 32)


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return app


def test_a_right_configuration(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(GOOD)
    done = CliRunner().invoke(app, ["check", "--config", str(file)], env={"CHECKED_KEY": "CANARY"})
    assert done.exit_code == 0
    assert "ok (1 provider, 1 model, 1 team, 1 key, 1 limit; hash " in done.stdout
    assert "warning" not in done.stdout
    assert "CANARY" not in done.output


def test_as_json(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(GOOD)
    done = CliRunner().invoke(app, ["check", "--config", str(file), "--json"], env={"CHECKED_KEY": "k"})
    found = json.loads(done.stdout)
    assert (found["ok"], found["providers"], found["models"], found["teams"], found["keys"]) == (True, 1, 1, 1, 1)
    assert found["limits"] == 1
    assert len(found["hash"]) == 16
    assert found["warnings"] == []


def test_a_wrong_one_exits_2_with_every_problem(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(GOOD.replace("gpt-4o:", "gpt 4o:") + "modells: {}\n")
    done = CliRunner().invoke(app, ["check"], env={"TOLLWAY_CONFIG": str(file), "CHECKED_KEY": ""})
    assert done.exit_code == 2
    lines = done.stderr.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{file}:2:10", f"{file}:4:1"]
    done = CliRunner().invoke(app, ["check", "--json"], env={"TOLLWAY_CONFIG": str(file), "CHECKED_KEY": ""})
    assert done.exit_code == 2
    assert json.loads(done.stdout) == {"ok": False, "config": str(file), "problems": lines}


def test_the_schema(app: typer.Typer) -> None:
    done = CliRunner().invoke(app, ["check", "--schema"])
    assert done.exit_code == 0
    schema = json.loads(done.stdout)
    assert schema["properties"]["server"]["description"]
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_the_default_is_the_example(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    monkeypatch.delenv("TOLLWAY_CONFIG", raising=False)
    assert "config/gateway.yaml: ok" in CliRunner().invoke(app, ["check"]).stdout


GUARDED = (
    GOOD.replace("{budget: {amount: 1 USD},", "{guardrails: p,")
    + """\
prices: off
secrets: {key_hash: server-secret-0123456789}
guardrails:
  p:
    - {detect: pii, entities: [EMAIL_ADDRESS], action: mask}
    - {detect: patterns, patterns: [{name: id, regex: 'C-[0-9]{4}'}]}
"""
)


def test_guardrails_are_counted_and_their_engine_named(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(GUARDED + f"server: {{runtime_dir: {tmp_path}/run}}\n")
    done = CliRunner().invoke(app, ["check", "--config", str(file)], env={"CHECKED_KEY": "k"})
    assert done.exit_code == 0
    assert "1 guardrail policy on hyperscan" in done.stdout
    assert "warning" not in done.stdout
    done = CliRunner().invoke(app, ["check", "--config", str(file), "--json"], env={"CHECKED_KEY": "k"})
    assert json.loads(done.stdout)["guardrails"] == {"policies": 1, "rules": 2, "backend": "hyperscan"}
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("EMAIL_ADDRESS", "EMAIL_ADRESS", "8:32: unknown entity of pii 'EMAIL_ADRESS'; did you mean 'EMAIL_ADDRESS'?"),
        ("detect: pii", "detect: pij", "8:16: unknown detector 'pij'; did you mean 'pii'?"),
        ("C-[0-9]", "(?<=C-)[0-9]", "9:55: pattern 'id' holds a look-around, which cannot be decided in linear time;"),
    ],
)
def test_bad_rules_exit_2_with_their_place(
    app: typer.Typer, tmp_path: Path, right: str, wrong: str, problem: str
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(GUARDED.replace(right, wrong))
    done = CliRunner().invoke(app, ["check", "--config", str(file)], env={"CHECKED_KEY": "k"})
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{file}:{problem}")
