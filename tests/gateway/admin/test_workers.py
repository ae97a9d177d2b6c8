"""Reports of reloads, and signals to the other workers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.admin.workers import Report, Reporter, read_report, signal_others, tell
from gateway.settings.state import StateFile, running
from tests.gateway.admin.fakes import FakeWorld


@pytest.fixture
def runtime(world: FakeWorld) -> Path:
    return Path(world.configuration.snapshot.server.runtime_dir)


def test_a_report_of_every_reload(world: FakeWorld, runtime: Path) -> None:
    reporter = Reporter(str(runtime), world.clock)
    (runtime).mkdir(parents=True)
    (runtime / f"{os.getpid()}.reload").write_text("left by another process")
    (runtime / "999999999.reload").write_text("left by a dead process")
    reporter.follow(world.configuration)
    assert read_report(runtime, os.getpid()) == Report()
    assert not (runtime / "999999999.reload").exists()

    file = Path(world.configuration.snapshot.source)
    tree = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**tree, "teams": {"search": {}}}))
    changed = world.configuration.reload("file change")
    same = world.configuration.reload("SIGHUP")
    report = read_report(runtime, os.getpid())
    assert report == Report(number=2, last=same, change=changed, changed_ns=world.clock.now_ns())
    assert report.change is not None
    assert any("support" in line for line in report.change.difference)

    file.write_text("nonsense: [")
    failed = world.configuration.reload("SIGHUP")
    report = read_report(runtime, os.getpid())
    assert (report.number, report.last, report.change) == (3, failed, changed)


def test_a_directory_that_cannot_be_written_stops_nothing(world: FakeWorld, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Reporter(str(tmp_path / "file"), world.clock).follow(world.configuration)
    assert world.configuration.reload("test").ok
    assert read_report(tmp_path / "file", os.getpid()) == Report()


def test_only_the_others_are_signalled(world: FakeWorld, runtime: Path) -> None:
    StateFile(world.configuration, 1).write()
    assert signal_others(str(runtime)) == 0
    code = "import signal,sys; signal.signal(signal.SIGHUP, lambda *_: sys.exit(42)); print('ready', flush=True)\n" \
           "while True: signal.pause()"  # fmt: skip
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    mine = (runtime / f"{os.getpid()}.json").read_text()
    theirs = mine.replace(f'"pid":{os.getpid()}', f'"pid":{other.pid}')
    born = running(runtime)[0].born
    (runtime / f"{other.pid}.json").write_text(theirs.replace(f'"born":{born}', '"born":0'))
    assert signal_others(str(runtime)) == 1
    assert other.wait(60) == 42
    other.stdout.close()
    assert signal_others(str(runtime)) == 0


def test_telling_one_that_has_gone(world: FakeWorld, runtime: Path) -> None:
    StateFile(world.configuration, 1).write()
    state = running(runtime)[0]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    import msgspec

    assert tell(msgspec.structs.replace(state, pid=ended.pid)) is False
    received: list[int] = []
    old = signal.signal(signal.SIGHUP, lambda number, _: received.append(number))
    try:
        assert tell(state) is True
    finally:
        signal.signal(signal.SIGHUP, old)
    assert received == [signal.SIGHUP]
