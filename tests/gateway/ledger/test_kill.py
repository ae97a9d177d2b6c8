"""kill -9 of a writing process, again and again, with the loader beside it."""

import random
import signal
from pathlib import Path

from sqlalchemy import select

from gateway.ledger.loader import Loader
from gateway.ledger.options import LoaderOptions
from gateway.ledger.store import open_engine, reading
from gateway.ledger.tables import events
from tests.support.nursery import Nursery

WRITER = "tests.support.journal_writer"


def test_twenty_times_killed_every_start_once_every_end_intact(tmp_path: Path, sqlite_url: str):
    """The writer tells us on a pipe what it started and finished *after* the journal took it: whatever it told, the
    ledger must hold. It may hold a little more: what the journal took just before the kill."""
    chance = random.Random(20)
    directory = tmp_path / "journal"
    options = LoaderOptions(recover_every=0, care_every=0, retain_segments=0, retain_events=None)
    loader = Loader(sqlite_url, directory, options=options)
    started: set[str] = set()
    ended: dict[str, int] = {}
    writers = 0
    with Nursery([WRITER]) as nursery:
        for _ in range(20):
            # Killed after a random number of messages, which may be in the middle of anything.
            wanted = chance.randrange(1, 400)
            writer = nursery.start(WRITER, [str(directory)])
            assert writer.stdout is not None
            told: list[str] = []
            with writer.stdout:
                for line in writer.stdout:
                    told.append(line)
                    if len(told) == wanted:
                        writer.kill()
                    elif len(told) % 97 == 0:
                        loader.step()
            assert writer.wait(60) == -signal.SIGKILL
            writers += 1
            for line in told:
                if not line.endswith("\n"):
                    continue
                kind, name, *number = line.split()
                if kind == "start":
                    started.add(name)
                else:
                    ended[name] = int(number[0])
    loader.step()
    loader.step()
    assert loader.interrupted >= 20
    assert loader.duplicates == loader.rejected == 0
    loader.close()
    engine = open_engine(sqlite_url)
    with reading(engine) as connection:
        found = {
            row.id: row for row in connection.execute(select(events.c.id, events.c.outcome, events.c.input_tokens))
        }
    engine.dispose()
    assert started <= found.keys()
    assert len(found) - len(started) <= writers
    for name, number in ended.items():
        assert (found[name].outcome, found[name].input_tokens) == ("ok", number)
    open_ends = [row for name, row in found.items() if name not in ended]
    assert sum(row.outcome == "ok" for row in open_ends) <= writers
    assert {row.outcome for row in open_ends} <= {"ok", "interrupted"}
    assert len(ended) > 500
