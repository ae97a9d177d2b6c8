import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.clock import ManualClock
from gateway.ledger.journal import Journal
from gateway.ledger.loader_process import LoaderProcess
from gateway.ledger.options import LoaderOptions
from gateway.ledger.status import read_status
from tests.gateway.ledger.helpers import count, exchange, until

QUICK = LoaderOptions(poll=0.02, status_every=0.02, retain_events=None)


def loaded(directory: Path) -> int:
    status = read_status(directory)
    return status.loaded if status is not None else 0


def test_it_loads_and_ends_with_everything_loaded(tmp_path: Path, sqlite_url: str):
    journal = Journal(tmp_path / "journal")
    process = LoaderProcess(sqlite_url, journal.directory, options=QUICK)
    process.start()
    x = exchange(1)
    journal.start(x)
    journal.finish(x)
    until(lambda: loaded(journal.directory) == 1)
    assert process.poll()
    y = exchange(2)
    journal.start(y)
    journal.finish(y)
    journal.close()
    assert process.stop() == 0
    assert count(sqlite_url) == (2, 2)
    assert process.stop() is None


def test_the_url_is_not_among_the_arguments(tmp_path: Path):
    process = LoaderProcess(f"sqlite:///{tmp_path}/secret.db", tmp_path, options=QUICK)
    process.start()
    arguments = Path(f"/proc/{process.pid}/cmdline")
    until(lambda: b"gateway.ledger.loader" in arguments.read_bytes())
    assert b"secret" not in arguments.read_bytes()
    process.stop()


def test_a_killed_loader_is_started_again_after_a_back_off(tmp_path: Path, sqlite_url: str):
    clock = ManualClock()
    died: list[tuple[int, int, float]] = []
    process = LoaderProcess(sqlite_url, tmp_path, options=QUICK, clock=clock, died=lambda *told: died.append(told))
    process.start()
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: not process.poll())
    assert not process.poll()
    assert died == [(first, -signal.SIGKILL, 0.5)]
    clock.advance(0.5)
    assert process.poll()
    assert process.restarts == 1
    # A minute: it has only begun, and with its low priority may need longer than a gateway waits for one.
    assert process.stop(60) == 0
    assert not process.poll(), "stopped is stopped"


def test_it_ends_when_its_parent_is_killed(tmp_path: Path, sqlite_url: str):
    """The lifeline: nobody has to send a signal."""
    program = (
        "import sys, time; from gateway.ledger.loader_process import LoaderProcess;"
        "p = LoaderProcess(sys.argv[1], sys.argv[2]); p.start(); print(p.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, sqlite_url, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        until(lambda: read_status(tmp_path) is not None)
        parent.kill()

    def gone() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    until(gone)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals(tmp_path: Path, sqlite_url: str, number: signal.Signals):
    """Ctrl-C is the parent's business; SIGTERM ends the loader in good order."""
    process = LoaderProcess(sqlite_url, tmp_path, options=QUICK)
    process.start()
    until(lambda: (status := read_status(tmp_path)) is not None and status.database == "ok")
    assert process.pid is not None
    os.kill(process.pid, number)
    if number == signal.SIGTERM:
        until(lambda: not process.poll())
    else:
        before = read_status(tmp_path)
        until(lambda: read_status(tmp_path) != before)
        assert process.poll()
    process.stop()
