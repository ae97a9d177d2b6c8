"""kill -9 of a writing process, again and again, with the loader beside it."""

import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from sqlalchemy import select

from gateway.ledger.loader import Loader
from gateway.ledger.options import LoaderOptions
from gateway.ledger.store import open_engine, reading
from gateway.ledger.tables import events

WRITER = textwrap.dedent("""
    import os, sys
    from gateway.facts import Usage
    from gateway.ledger.journal import Journal
    from tests.gateway.ledger.helpers import exchange
    journal = Journal(sys.argv[1], fsync_interval=0.05, segment_bytes=20_000)
    running = []
    for number in range(10**9):
        x = exchange(number)
        assert journal.start(x)
        os.write(1, f"start {x.id}\\n".encode())
        running.append(x)
        if len(running) > 5:
            x = running.pop(number % 5)
            x.usage = Usage(input_tokens=number, output_tokens=1)
            journal.finish(x)
            os.write(1, f"end {x.id} {number}\\n".encode())
""")


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
    for _ in range(20):
        # Killed after a random number of messages, which may be in the middle of anything.
        wanted = chance.randrange(1, 400)
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(directory)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
        ) as writer:
            assert writer.stdout is not None
            told: list[bytes] = []
            for line in writer.stdout:
                told.append(line)
                if len(told) == wanted:
                    writer.send_signal(signal.SIGKILL)
                elif len(told) % 97 == 0:
                    loader.step()
            told = [line for line in told if line.endswith(b"\n")]
        assert writer.returncode == -signal.SIGKILL
        writers += 1
        for line in told:
            kind, name, *number = line.decode().split()
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
