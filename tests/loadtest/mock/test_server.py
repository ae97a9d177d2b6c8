"""`python -m loadtest.mock` as scripts use it."""

import subprocess
import sys
import urllib.request
from pathlib import Path


def test_it_prints_where_it_listens_serves_and_ends_on_sigterm() -> None:
    command = [sys.executable, "-m", "loadtest.mock", "--port", "0", "--scenario", "flaky"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            assert line.startswith("listening on http://127.0.0.1:")
            with urllib.request.urlopen(line.removeprefix("listening on ") + "/stats", timeout=60) as answer:
                assert b'"requests":0' in answer.read()
        finally:
            process.terminate()
        assert process.wait(60) == 0


def test_a_wrong_scenario_is_exit_2_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("defaults:\n  latency: soon\n")
    command = [sys.executable, "-m", "loadtest.mock", "--port", "0", "--scenario", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{path}:2:12:")
