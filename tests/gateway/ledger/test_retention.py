import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ledger.events import record_line
from gateway.ledger.loader import Loader
from gateway.ledger.options import LoaderOptions
from gateway.ledger.posting import HOUR_NS
from gateway.ledger.retention import prune_events
from gateway.ledger.store import open_engine
from tests.gateway.ledger.helpers import T0, count, end
from tests.gateway.ledger.helpers import write_segment as write

QUICK = LoaderOptions(recover_every=0, status_every=0, retain_events=None)


@pytest.fixture
def loader(ledger_url: str, directory: Path) -> Iterator[Loader]:
    loader = Loader(ledger_url, directory, options=QUICK)
    yield loader
    loader.close()


def test_loaded_segments_can_be_archived(sqlite_url: str, directory: Path):
    options = LoaderOptions(care_every=0, retain_segments=0, archive_segments=True, status_every=0)
    loader = Loader(sqlite_url, directory, options=options)
    path = write(directory, record_line(end(1)))
    os.utime(path, (0, 0))
    loader.step()
    assert [archived.name for archived in (directory / "archive").iterdir()] == [path.name]
    loader.close()


def test_raw_events_are_pruned_and_rollups_stay(loader: Loader, ledger_url: str, directory: Path):
    write(directory, *(record_line(end(received_ns=T0 + hours * HOUR_NS)) for hours in range(4)))
    loader.step()
    engine = open_engine(ledger_url)
    assert prune_events(engine, T0 + 2 * HOUR_NS + 5, batch=1) == 2
    assert prune_events(engine, T0, batch=1) == 0, "the horizon never moves back"
    engine.dispose()
    assert count(ledger_url) == (2, 4)
    write(directory, record_line(end(received_ns=T0)), sequence=2)
    loader.step()
    assert count(ledger_url) == (2, 4), "an event from before the horizon may be in the roll-ups already"
    assert loader.rejected == 1
