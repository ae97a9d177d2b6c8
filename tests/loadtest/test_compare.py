"""The comparison: recipes, wrk's output, and a whole run against a gateway that is always installed."""

import sys
from pathlib import Path

import pytest

from loadtest import compare
from loadtest.compare import CompareError, Settings, compare_all, parse_wrk
from loadtest.peers import Launch, Peer

_WRK = """Running 4s test
  Latency Distribution
     50%  498.00us
     75%    1.52ms
     99%    2.95ms
  86030 requests in 4.10s, 56.69MB read
Requests/sec:  20982.55
"""


def test_wrk_is_read() -> None:
    measure = parse_wrk(_WRK)
    assert measure is not None
    assert (measure.rate, measure.p50_ms, measure.p99_ms) == (20982.55, 0.498, 2.95)


@pytest.mark.parametrize("line", ["Non-2xx or 3xx responses: 3\n", "Socket errors: connect 0, read 1\n"])
def test_a_run_with_errors_counts_for_nothing(line: str) -> None:
    assert parse_wrk(_WRK + line) is None
    assert parse_wrk("") is None


def test_unknown_names_are_refused() -> None:
    with pytest.raises(CompareError, match="no such gateway: kong; known are: tollway-bare"):
        compare_all(Settings(["kong"]), lambda _: None)


@pytest.mark.parametrize("stream", [False, True])
def test_a_whole_run(monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    """The mock provider itself plays the gateway; without nginx and wrk the rest is this package's own."""
    monkeypatch.setattr(compare.shutil, "which", lambda _: None)
    root = str(Path(compare.__file__).resolve().parents[1])

    def launch(program: str, directory: Path, port: int, upstream: str) -> Launch:
        return Launch([program, "-m", "loadtest.mock", "--port", str(port)], {"PYTHONPATH": root})

    fake = Peer("fake", Path(sys.executable).name, "", "/healthz", launch)
    absent = Peer("absent", "no-such-program", "pip install absent", "/", launch)
    monkeypatch.setattr(compare, "all_peers", lambda: [fake, absent])
    made = compare_all(Settings(["fake", "absent"], seconds=1, runs=1, concurrency=4, stream=stream), lambda _: None)
    assert [row.name for row in made.rows] == ["fake"]
    row = made.rows[0]
    assert row.rate is not None
    assert row.rate > 10
    assert row.ratio_to_nginx is None
    assert made.missing == {"absent": "pip install absent"}
    assert "absent is not installed: pip install absent" in made.notes
    assert (made.load, made.upstream) == ("loadtest", "loadtest.mock")
