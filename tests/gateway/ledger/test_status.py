import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import ManualClock
from gateway.ledger.events import record_line
from gateway.ledger.loader import Loader
from gateway.ledger.options import LoaderOptions
from gateway.ledger.status import LoaderStatus, read_status, write_status
from tests.gateway.ledger.helpers import T0, end
from tests.gateway.ledger.helpers import write_segment as write

QUICK = LoaderOptions(recover_every=0, status_every=0, retain_events=None)
COUNTS = ("pid", "updated_ns", "lag_bytes", "loaded", "duplicates", "rejected", "interrupted")


def test_the_status_file_tells_lag(sqlite_url: str, tmp_path: Path):
    directory = tmp_path / "journal"
    directory.mkdir()
    clock = ManualClock(T0)
    loader = Loader(sqlite_url, directory, clock=clock, options=QUICK)
    assert read_status(directory) is None
    write(directory, record_line(end(1)))
    loader.step()
    status = read_status(directory)
    assert status is not None
    assert (status.database, status.lag_bytes, status.lag_seconds, status.loaded) == ("ok", 0, 0.0, 1)
    assert status.pid == os.getpid()
    assert status.updated_ns == T0
    loader.close()
    (directory / "loader.json").write_text("{")
    assert read_status(directory) is None


@given(st.builds(LoaderStatus, lag_seconds=st.floats(0, 1e9), **dict.fromkeys(COUNTS, st.integers(0, 2**62))))
def test_a_status_reads_back(tmp_path_factory: pytest.TempPathFactory, status: LoaderStatus):
    directory = tmp_path_factory.mktemp("status")
    write_status(directory, status)
    assert read_status(directory) == status
    assert [path.name for path in directory.iterdir()] == ["loader.json"]
