"""`tollway reload` with real workers: processes that hold a configuration, report on it, and follow SIGHUP."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
import yaml
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli import reload
from gateway.ledger.audit import entries
from gateway.ledger.store import open_engine

ROOT = Path(__file__).resolve().parents[3]
WORKER = textwrap.dedent(
    """
    import os, signal, sys
    from gateway.admin.workers import Reporter
    from gateway.clock import SystemClock
    from gateway.settings.reload import Configuration
    from gateway.settings.state import StateFile

    configuration = Configuration(sys.argv[1], clock=SystemClock())
    Reporter(configuration.snapshot.server.runtime_dir, SystemClock()).follow(configuration)
    state = StateFile(configuration, 1)
    state.write()
    # What comes of the signal: reload, ignore it, or die of it.
    act = {
        "reload": lambda *_: (configuration.reload("SIGHUP"), state.write()),
        "ignore": lambda *_: None,
        "die": lambda *_: os._exit(1),
        "twice": lambda *_: (configuration.reload("file change"), configuration.reload("SIGHUP"), state.write()),
    }[sys.argv[2]]
    signal.signal(signal.SIGHUP, act)
    print("ready", flush=True)
    while True:
        signal.pause()
    """
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    write(file, models=["gpt-4o-mini"])
    return file


def write(file: Path, models: list[str], **changes: object) -> None:
    tree: dict[str, object] = {
        "version": 1,
        "server": {"runtime_dir": str(file.parent / "run")},
        "providers": {"p": {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1"}},
        "models": {model: {"targets": [{"provider": "p"}]} for model in models},
        "prices": "off",
        "ledger": "off",
    }
    file.write_text(yaml.safe_dump({**tree, **changes}))


@pytest.fixture
def start(config: Path) -> Iterator[Callable[..., int]]:
    """Start a worker; returns its process id."""
    started: list[subprocess.Popen[str]] = []

    def start(act: str = "reload", file: Path = config) -> int:
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(file), act], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        started.append(worker)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        if act == "die":
            # A parent must take note of a child's end, or its process id stays: here that parent is us.
            threading.Thread(target=worker.wait, daemon=True).start()
        return worker.pid

    yield start
    for worker in started:
        worker.kill()
        worker.wait()
        assert worker.stdout is not None
        worker.stdout.close()


def run(config: Path, *args: str) -> Result:
    app = typer.Typer()
    reload.register(app)
    return CliRunner().invoke(app, ["--config", str(config), *args])


def test_every_worker_takes_the_new_file(config: Path, start: Callable[..., int]) -> None:
    pids = sorted([start(), start()])
    write(config, models=["gpt-4o-mini", "brand-new"])
    result = run(config)
    assert result.exit_code == 0, result.output
    assert f"2 workers (pid {pids[0]}, {pids[1]})" in result.stdout
    assert "→" in result.stdout
    assert "brand-new" in result.stdout
    # Asked again at once, it still says what the change was; the file watch may always be the faster one.
    again = run(config, "--json")
    answer = json.loads(again.stdout)
    assert answer["ok"] is True
    assert [worker["pid"] for worker in answer["workers"]] == pids
    assert all(any("brand-new" in line for line in worker["difference"]) for worker in answer["workers"])


def test_nothing_changed(config: Path, start: Callable[..., int]) -> None:
    start()
    result = run(config)
    assert result.exit_code == 0
    assert "nothing changed" in result.stdout


def test_the_file_watch_was_faster(config: Path, start: Callable[..., int]) -> None:
    start("twice")
    write(config, models=["other"])
    result = run(config)
    assert result.exit_code == 0
    assert "other" in result.stdout


def test_a_bad_file_is_kept_out(config: Path, start: Callable[..., int]) -> None:
    start()
    write(config, models=[], modells={})
    result = run(config)
    assert result.exit_code == 1
    assert "kept" in result.stderr
    assert "modells" in result.stderr
    answer = json.loads(run(config, "--json").stdout)
    assert answer["ok"] is False
    assert "modells" in answer["workers"][0]["error"]


def test_options_that_need_a_restart_are_named(config: Path, start: Callable[..., int]) -> None:
    start()
    write(config, models=["gpt-4o-mini"], server={"runtime_dir": str(config.parent / "run"), "port": 1234})
    result = run(config)
    assert result.exit_code == 0
    assert "after a restart only: server.port" in result.stdout


def test_nobody_is_running(config: Path) -> None:
    result = run(config)
    assert result.exit_code == 1
    assert "no gateway is running" in result.stderr
    answer = json.loads(run(config, "--json").stdout)
    assert (answer["ok"], answer["workers"]) == (False, [])


def test_workers_of_another_configuration_are_left_alone(config: Path, start: Callable[..., int]) -> None:
    other = config.with_name("other.yaml")
    write(other, models=["x"])
    start("die", other)
    assert "no gateway is running" in run(config).stderr
    assert run(other).exit_code == 1


def test_a_worker_that_does_not_answer(config: Path, start: Callable[..., int]) -> None:
    start("ignore")
    result = run(config, "--timeout", "0.2")
    assert result.exit_code == 1
    assert "did not report within 0.2 s; its log tells whether it reloaded" in result.stderr


def test_a_worker_that_dies(config: Path, start: Callable[..., int]) -> None:
    start()
    start("die")
    answer = json.loads(run(config, "--json").stdout)
    assert answer["ok"] is False
    assert sorted(worker["ok"] for worker in answer["workers"]) == [False, True]
    assert "it has ended" in str(answer)


def test_a_relative_path_means_the_same_file(
    config: Path, start: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    monkeypatch.chdir(config.parent)
    assert run(Path(config.name)).exit_code == 0
    assert os.getcwd() == str(config.parent)


def test_what_changed_is_in_the_audit_log(config: Path, start: Callable[..., int], tmp_path: Path) -> None:
    """Once for all workers, with the hash before and after; a reload that changes nothing leaves no entry."""
    ledger = {"url": f"sqlite:///{tmp_path}/ledger.db", "journal": str(tmp_path / "journal")}
    write(config, models=["gpt-4o-mini"], ledger=ledger)
    start()
    start()
    assert run(config).exit_code == 0
    write(config, models=["gpt-4o-mini", "gpt-4o"], ledger=ledger)
    assert run(config).exit_code == 0
    engine = open_engine(str(ledger["url"]))
    (entry,) = entries(engine)
    engine.dispose()
    assert (entry.action, entry.object, entry.actor[:4]) == ("config.reload", str(config), "cli:")
    before, after = json.loads(entry.before)["hash"], json.loads(entry.after)["hash"]
    assert (len(before), len(after)) == (16, 16)
    assert before != after
