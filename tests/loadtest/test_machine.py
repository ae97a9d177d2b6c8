"""Processes of the comparison: started, waited for, ended."""

import sys
from pathlib import Path

from loadtest.machine import cpu_seconds, start, wait_for


def test_a_process_that_dies_is_not_waited_for(tmp_path: Path) -> None:
    with start([sys.executable, "-c", "print('no port'); raise SystemExit(3)"], tmp_path / "log", {}) as started:
        assert not wait_for("http://127.0.0.1:1/", 30, started)
        started.process.wait(60)
        assert started.last_words() == "no port"
    assert cpu_seconds(1 << 30) is None
