"""The loader: journal segments into the database, in batches, every event exactly once.

The database is a view of the journal. When it is away, nothing is held in memory: the loader waits and later goes on
in the files where it left off. Offsets are saved in the transaction that posts the events they cover, and events are
posted by id, so neither a crash here nor a lost answer to COMMIT posts anything twice.

It runs as a process of its own (`python -m gateway.ledger.loader`, started by `LoaderProcess`), because a thread would
take the interpreter lock from the event loop for milliseconds at a time. It ends when its standard input closes.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec
from sqlalchemy import Engine, select

from gateway.clock import SystemClock
from gateway.errors import LedgerError
from gateway.ledger.events import START_MARK, EndRecord, decode_line
from gateway.ledger.options import LoaderOptions
from gateway.ledger.pace import Pace
from gateway.ledger.posting import Posted, post, save_offset
from gateway.ledger.recovery import recover
from gateway.ledger.retention import forget_segment, prune_events, prune_findings, put_away
from gateway.ledger.segments import CHUNK, Segment, listing, read_lines
from gateway.ledger.status import LoaderStatus, write_status
from gateway.ledger.store import LedgerRefused, ensure_schema, giving_way, open_engine, reading, writing
from gateway.ledger.tables import segments
from gateway.seams import Clock
from gateway.sole import sole

_log = logging.getLogger("tollway.ledger.loader")


class _Progress(msgspec.Struct):
    loaded_bytes: int = 0
    rejected: int = 0


class Loader:
    """Loads one journal directory into one database. Not thread-safe; hold `loader_lock` while you use it."""

    def __init__(
        self, url: str, directory: Path | str, *, clock: Clock | None = None, options: LoaderOptions | None = None
    ) -> None:
        self.directory = Path(directory)
        self.loaded = 0
        self.duplicates = 0
        self.rejected = 0
        self.interrupted = 0
        self._url = url
        self._clock = clock or SystemClock()
        self._options = options or LoaderOptions()
        self._engine: Engine | None = None
        self._pace = Pace(CHUNK)
        self._progress: dict[str, _Progress] = {}
        self._progress_known = False
        self._caught_up_ns = self._clock.now_ns()
        self._database = "starting"
        self._error = ""
        self._unwritten = ""
        """Why the status could not be written, as it was last said."""
        self._recover_at = self._care_at = self._status_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Load until `stop` is set, then what is left (for at most `drain` seconds). Never raises for the database."""
        back_off = 0.1
        while not stop.is_set():
            if self._attempt() is None:
                stop.wait(back_off)
                back_off = min(back_off * 2, self._options.back_off_most)
            else:
                back_off = 0.1
                stop.wait(self._options.poll)
        until = self._clock.monotonic() + self._options.drain
        self._recover_at = 0.0
        while self._clock.monotonic() < until and self._attempt():
            pass
        self.close()

    def step(self) -> int:
        """One pass over the journal; returns the journal bytes loaded (0: caught up).

        Raises `LedgerError` when the database is away, `OSError` when a segment cannot be read.
        """
        now = self._clock.monotonic()
        if now >= self._recover_at:
            self._recover_at = now + self._options.recover_every
            self.interrupted += recover(self.directory, self._clock).interrupted
        engine, progress = self._connected()
        listed_ns = self._clock.now_ns()
        loaded = 0
        for segment in listing(self.directory):
            loaded += self._load_segment(engine, segment, progress.setdefault(segment.name, _Progress()))
        self._caught_up_ns = listed_ns
        self._database, self._error = "ok", ""
        if now >= self._care_at:
            self._care_at = now + self._options.care_every
            self._care(engine, progress)
        self._report()
        return loaded

    def close(self) -> None:
        """Write the last status and give the connections back."""
        self._status_at = 0.0
        self._report()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _attempt(self) -> int | None:
        """A step, or None when it failed; says so once."""
        try:
            loaded = self.step()
        except (LedgerError, OSError) as error:
            # What the failed transaction did is not known: offsets are read again from the database.
            self._progress_known = False
            if self._error != str(error):
                _log.warning("the ledger is behind: %s", error)
            self._database, self._error = "away", str(error)
            self._report()
            return None
        return loaded

    def _connected(self) -> tuple[Engine, dict[str, _Progress]]:
        if self._engine is None:
            ensure_schema(self._url)
            self._engine = giving_way(open_engine(self._url))
            self._pace = Pace(CHUNK, fixed=self._engine.dialect.name != "sqlite")
        if not self._progress_known:
            with reading(self._engine) as connection:
                rows = connection.execute(select(segments.c.name, segments.c.loaded_bytes, segments.c.rejected))
                self._progress = {row.name: _Progress(row.loaded_bytes, row.rejected) for row in rows}
            self._progress_known = True
        return self._engine, self._progress

    def _load_segment(self, engine: Engine, segment: Segment, progress: _Progress) -> int:
        """Load what is new in one segment; returns its bytes."""
        begun_at = progress.loaded_bytes
        path = segment.path(self.directory)
        try:
            if path.stat().st_size <= begun_at:
                return 0
            with path.open("rb") as file:
                while True:
                    file.seek(progress.loaded_bytes)
                    lines, taken, rejected = read_lines(file, complete=segment.done, most=self._pace.most)
                    if not taken:
                        break
                    self._load(engine, segment, progress, lines, taken, rejected)
                    self._report()
        except FileNotFoundError:
            pass  # Renamed since it was listed: the next pass finds it under its new name.
        return progress.loaded_bytes - begun_at

    def _load(
        self, engine: Engine, segment: Segment, progress: _Progress, lines: list[bytes], taken: int, rejected: int
    ) -> None:
        records: list[EndRecord] = []
        for line in lines:
            if line.startswith(START_MARK):
                continue
            try:
                record = decode_line(line)
            except LedgerError:
                rejected += 1
            else:
                if isinstance(record, EndRecord):
                    records.append(record)
        offset = progress.loaded_bytes + taken
        try:
            posted = self._post(engine, segment, records, offset, progress.rejected + rejected)
        except LedgerRefused:
            posted, refused = self._post_singly(engine, records)
            rejected += refused
            self._post(engine, segment, [], offset, progress.rejected + rejected)
        progress.loaded_bytes = offset
        progress.rejected += rejected + posted.pruned
        self.loaded += posted.inserted
        self.duplicates += posted.duplicates
        if rejected + posted.pruned:
            self.rejected += rejected + posted.pruned
            _log.warning("%d lines of %s could not be loaded", rejected + posted.pruned, segment.name)

    def _post(self, engine: Engine, segment: Segment, records: list[EndRecord], offset: int, rejected: int) -> Posted:
        before = self._progress[segment.name].loaded_bytes
        with writing(engine) as connection:
            began = self._clock.monotonic()
            posted = post(connection, records, self._clock.now_ns())
            save_offset(connection, segment.name, offset, rejected + posted.pruned, self._clock.now_ns())
        self._pace.took(offset - before, self._clock.monotonic() - began)
        return posted

    def _post_singly(self, engine: Engine, records: list[EndRecord]) -> tuple[Posted, int]:
        """One record per transaction, so that one the database refuses does not stop the others."""
        inserted = duplicates = pruned = refused = 0
        for record in records:
            try:
                with writing(engine) as connection:
                    posted = post(connection, [record], self._clock.now_ns())
            except LedgerRefused:
                refused += 1
            else:
                inserted += posted.inserted
                duplicates += posted.duplicates
                pruned += posted.pruned
        return Posted(inserted, duplicates, pruned), refused

    def _care(self, engine: Engine, progress: dict[str, _Progress]) -> None:
        """Put away what has been loaded long enough."""
        options = self._options
        now_ns = self._clock.now_ns()
        for segment in listing(self.directory):
            done = progress.get(segment.name)
            if not segment.done or done is None:
                continue
            stat = segment.path(self.directory).stat()
            if done.loaded_bytes >= stat.st_size and now_ns - stat.st_mtime_ns >= options.retain_segments * 1e9:
                put_away(self.directory, segment, rejected=done.rejected > 0, archive=options.archive_segments)
                forget_segment(engine, segment.name)
                del progress[segment.name]
        if options.retain_events is not None:
            prune_events(engine, now_ns - int(options.retain_events * 1e9))
        prune_findings(engine, now_ns - int(options.retain_findings * 1e9))

    def _report(self) -> None:
        now = self._clock.monotonic()
        if now < self._status_at:
            return
        self._status_at = now + self._options.status_every
        now_ns = self._clock.now_ns()
        lag = self.lag_bytes()
        status = LoaderStatus(
            pid=os.getpid(),
            updated_ns=now_ns,
            lag_bytes=lag,
            lag_seconds=round(max(now_ns - self._caught_up_ns, 0) / 1e9, 3) if lag else 0.0,
            loaded=self.loaded,
            duplicates=self.duplicates,
            rejected=self.rejected,
            interrupted=self.interrupted,
            database=self._database,
            error=self._error,
        )
        try:
            write_status(self.directory, status)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            if reason != self._unwritten:
                _log.warning("the loader's status cannot be written: %s", reason)
            self._unwritten = reason
        else:
            self._unwritten = ""

    def lag_bytes(self) -> int:
        """Bytes of the journal that are not loaded, as far as this loader knows."""
        lag = 0
        for segment in listing(self.directory):
            try:
                size = segment.path(self.directory).stat().st_size
            except FileNotFoundError:
                continue
            done = self._progress.get(segment.name)
            lag += max(size - (done.loaded_bytes if done is not None else 0), 0)
        return lag


@contextmanager
def loader_lock(directory: Path | str, stop: threading.Event, poll: float = 0.5) -> Generator[bool]:
    """Be the only loader of `directory`: waits for another one to end. False when `stop` came first; but one that was
    stopped before it got here still tries once, because what its gateway wrote is waiting."""
    while True:
        with sole(Path(directory) / "loader.lock") as held:
            if held or stop.is_set():
                yield held
                return
        stop.wait(poll)


def main(arguments: Sequence[str] | None = None) -> int:
    """The loader process. Ends when standard input closes, or on SIGTERM, after loading what is left."""
    parser = argparse.ArgumentParser(prog="python -m gateway.ledger.loader", description="Load a journal into SQL.")
    parser.add_argument("--url", help="ledger database (default: the first line of standard input, which no user sees)")
    parser.add_argument("--journal", required=True, type=Path, help="journal directory")
    parser.add_argument("--options", default="{}", help="LoaderOptions as JSON")
    parser.add_argument("--nice", type=int, default=19, help="lower priority by this much")
    given = parser.parse_args(arguments)
    url = given.url or sys.stdin.readline().strip()
    if not url:
        parser.error("--url, or the URL as the first line of standard input, is needed")
    try:
        options = msgspec.json.decode(given.options, type=LoaderOptions, strict=False)
    except msgspec.MsgspecError as error:
        parser.error(f"--options: {error}")
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    os.nice(given.nice)
    stop = threading.Event()
    # Ctrl-C reaches the whole process group; the parent closes our standard input when it is done writing.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def terminated(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, terminated)
    threading.Thread(target=_watch_lifeline, args=(stop,), name="lifeline", daemon=True).start()
    try:
        loader = Loader(url, given.journal, options=options)
        with loader_lock(given.journal, stop) as held:
            if held:
                loader.run(stop)
    except (LedgerError, OSError) as error:
        _log.error("the loader cannot work: %s", error)
        return 1
    return 0


def _watch_lifeline(stop: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
