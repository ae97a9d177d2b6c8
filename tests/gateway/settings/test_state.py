"""State files: who runs, with what, and nobody who does not."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gateway.clock import ManualClock
from gateway.settings.reload import Configuration
from gateway.settings.state import State, StateFile, running


@pytest.fixture
def configuration(write: Callable[..., Path], minimal: str, tmp_path: Path) -> Configuration:
    path = write(minimal + f"prices: off\nserver: {{runtime_dir: {tmp_path}/run}}\n")
    return Configuration(path, clock=ManualClock(), env={})


def test_a_worker_says_what_it_has_in_force(configuration: Configuration, tmp_path: Path) -> None:
    file = StateFile(configuration, 8080)
    file.write()
    (state,) = running(tmp_path / "run")
    assert (state.pid, state.port, state.hash) == (os.getpid(), 8080, configuration.snapshot.hash)
    assert state.loaded_at == "2023-11-14T22:13:20+00:00"
    assert state.source == str(tmp_path / "gateway.yaml")
    assert (state.last_error, state.reloads) == (None, 0)
    (tmp_path / "gateway.yaml").write_text("servr: {}\n")
    configuration.reload("test")
    file.write()
    (state,) = running(tmp_path / "run")
    assert state.reloads == 1
    assert "unknown key 'servr'" in (state.last_error or "")
    assert list((tmp_path / "run").iterdir()) == [file.path]
    file.remove()
    file.remove()
    assert running(tmp_path / "run") == []


def test_what_a_dead_worker_left_is_ignored(configuration: Configuration, tmp_path: Path) -> None:
    file = StateFile(configuration, 1)
    file.write()
    state = msgspec.json.decode(file.path.read_bytes(), type=State)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    for name, changed in {
        "dead": msgspec.structs.replace(state, pid=child.pid),
        "zero": msgspec.structs.replace(state, pid=0),
        "reused": msgspec.structs.replace(state, pid=os.getppid(), born=state.born + 1),
    }.items():
        (tmp_path / "run" / f"{name}.json").write_bytes(msgspec.json.encode(changed))
    (tmp_path / "run" / "torn.json").write_bytes(b'{"pid":')
    assert [found.pid for found in running(tmp_path / "run")] == [os.getpid()]


def test_nobody_runs_where_there_is_no_directory(tmp_path: Path) -> None:
    assert running(tmp_path / "none") == []
