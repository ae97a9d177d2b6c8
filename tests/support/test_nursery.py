"""A forked program is as good as an executed one, where tests look."""

import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.served import MOCK, Process, configuration, start, tollway


def test_its_streams_and_its_exit_code_are_told() -> None:
    done = tollway("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tollway ")
    wrong = tollway("no-such-command")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "No such command" in wrong.stderr


def test_it_lives_in_the_directory_and_environment_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = configuration("http://127.0.0.1:9", tmp_path)
    written["providers"]["mock"]["api_key"] = "${env:KEY_OF_A_TEST}"
    (tmp_path / "here.yaml").write_text(yaml.safe_dump(written))
    monkeypatch.chdir(tmp_path)
    refused = tollway("check", "--config", "here.yaml")
    assert refused.returncode == 2
    assert "KEY_OF_A_TEST" in refused.stdout + refused.stderr
    monkeypatch.setenv("KEY_OF_A_TEST", "sk-up")
    assert tollway("check", "--config", "here.yaml").returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_signals_reach_it_and_how_it_ended_is_told(number: int, code: int) -> None:
    process = Process(MOCK, "--port", "0")
    with pytest.raises(subprocess.TimeoutExpired):
        process.process.wait(0)
    assert process.process.poll() is None
    assert process.stop(number) == code
    assert process.stop(number) == code, "and again"


def test_who_speaks_to_the_interpreter_is_executed(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('planted', flush=True)")
    with start(MOCK, "--help", env={"PYTHONPATH": str(tmp_path)}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "planted\n"
