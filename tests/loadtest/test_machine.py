"""Processes of the comparison: started, waited for, ended."""

import sys
from pathlib import Path

from loadtest.machine import cpu_seconds, start, wait_for

_WRK = """Running 4s test
  Latency Distribution
     50%  498.00us
     75%    1.52ms
     99%    2.95ms
  86030 requests in 4.10s, 56.69MB read
Requests/sec:  20982.55
"""


def test_a_process_that_dies_is_not_waited_for(tmp_path: Path) -> None:
    with start([sys.executable, "-c", "print('no port'); raise SystemExit(3)"], tmp_path / "log", {}) as started:
        assert not wait_for("http://127.0.0.1:1/", 30, started)
        started.process.wait(60)
        assert started.last_words() == "no port"
    assert cpu_seconds(1 << 30) is None
