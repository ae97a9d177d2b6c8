"""The journal: every exchange's start and end, appended to a segment file with one `os.write` each, at once.

What it promises. A record that `start` or `finish` took is in the kernel's hands when they return, so a killed process
loses nothing. One that `finish_soon` took is when `flush` or the next `start` returns, which is in the same turn of the
event loop: under load several ends and a start are one write. `fsync` follows on an interval in a background thread, so
a lost machine loses that interval at most.
No call awaits or raises. When a write fails (disk full, I/O error) the journal is unhealthy: `start` answers False, so
that new requests are refused, while ends of running exchanges wait in a bounded queue; half a line is cut off again,
so no torn line stands in the middle of a segment. Every later call and `tick()` tries anew, and the first success
writes the queue and makes it healthy.

Rotation copies the start lines of running exchanges into the new segment, so that recovery needs only the newest
segment (and, after a lost machine, the one before it), whatever was deleted before.

All methods belong to one thread, the event loop's. The background thread only syncs, and closes what was rotated away.
"""

import errno
import os
import secrets
import threading
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gateway.clock import SystemClock
from gateway.facts import Exchange
from gateway.ledger.events import end_line, start_line
from gateway.ledger.segments import Segment, Write, create, make_directory, sync_directory
from gateway.seams import Clock

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FLUSH_BYTES = 256 * 1024
_MOST_TOGETHER = 64
"""Ends that may wait for the end of the event loop's turn."""
_PROBE = b" " * 16_384


class JournalStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the process began, for metrics."""

    healthy: bool
    reason: str
    records: int
    bytes: int
    failures: int
    """Failed writes, syncs and rotations."""
    dropped: int
    """Ends that are lost for good: refusals while unhealthy, or the queue was full."""
    queued: int
    running: int
    """Exchanges with a start and no end yet."""
    rotations: int


class Journal:
    """Append-only journal of one process in `directory`. Implements `gateway.seams.Sink`."""

    def __init__(
        self,
        directory: Path | str,
        *,
        fsync_interval: float = 1.0,
        segment_bytes: int = 64 * 1024 * 1024,
        segment_age: float = 600.0,
        queue_records: int = 65_536,
        retry_interval: float = 0.2,
        clock: Clock | None = None,
        write: Write = os.write,
    ) -> None:
        """`fsync_interval`, `segment_age` and `retry_interval` are seconds; `fsync_interval=0` never syncs.

        Raises `LedgerError` when the directory cannot be made or written. A full disk does not raise: the journal
        starts unhealthy and recovers by itself.
        """
        self.directory = Path(directory)
        self.healthy = False
        self.reason = "not opened"
        self.records = 0
        self.bytes = 0
        self.failures = 0
        self.dropped = 0
        self.rotations = 0
        self._clock = clock or SystemClock()
        self._write = write
        self._segment_bytes = segment_bytes
        self._segment_age = segment_age
        self._queue_records = queue_records
        self._retry_interval = retry_interval
        self._retry_at = 0.0
        self._queue: deque[tuple[bytes, bytes]] = deque()
        """Start and end lines of exchanges whose end waits to be written. They run no more: a second end is ignored."""
        self._running: dict[str, bytes] = {}
        """Start lines by exchange."""
        self._fd = -1
        self._size = 0
        self._limit = segment_bytes
        self._opened_at = 0.0
        self._torn = False
        self._must_rotate = True
        self._sync_failed = False
        self._retired: list[int] = []
        self._synced = 0
        moment = datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC)
        self._writer = f"{moment:%Y%m%dT%H%M%S}-{os.getpid()}-{secrets.token_hex(4)}"
        self._segment = Segment(self._writer, 0, False)
        self._open_first()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if fsync_interval > 0:
            self._thread = threading.Thread(
                target=self._sync_loop, args=(fsync_interval,), name="journal-fsync", daemon=True
            )
            self._thread.start()

    # -- the hot path ----------------------------------------------------------------------------------------------

    def start(self, x: Exchange) -> bool:
        """Write the start of `x` and mark it started. False: the books are closed, refuse the request with 503."""
        if not self.healthy and not self._resume():
            return False
        try:
            line = start_line(x)
        except Exception:
            self.failures += 1
            return False
        if not (self._flush_some(line) if self._queue else self._put(line)):
            return False
        self._running[x.id] = line
        x.started = True
        return True

    def finish_soon(self, x: Exchange) -> None:
        """Take the end of `x`. Whoever calls this sees that `flush` is called before this turn of the event loop is
        over."""
        if not (self.healthy and x.started and x.id in self._running) or len(self._queue) >= _MOST_TOGETHER:
            return self.finish(x)
        try:
            line = end_line(x)
        except Exception:
            self.failures += 1
            return None
        self._queue.append((self._running.pop(x.id), line))
        return None

    def flush(self) -> None:
        """Write the ends that wait."""
        while self._queue and self.healthy and self._flush_some():
            pass

    def finish(self, x: Exchange) -> None:
        """Write the end of `x`, or queue it while unhealthy. A second end of a started exchange is ignored."""
        started = x.started
        if started and x.id not in self._running:
            return
        try:
            line = end_line(x)
        except Exception:
            # Its start stays in the books without an end: recovery will book what was reserved.
            self.failures += 1
            return
        self.flush()
        if (self.healthy or self._resume()) and self._put(line):
            if started:
                del self._running[x.id]
        elif started and len(self._queue) < self._queue_records:
            self._queue.append((self._running.pop(x.id), line))
        else:
            self.dropped += 1

    def record(self, exchange: Exchange) -> None:
        """`finish`, under the name of the `Sink` seam."""
        self.finish(exchange)

    # -- care ------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Call about once a second: retries when unhealthy, rotates an old segment."""
        if not self.healthy:
            self._resume()
        elif self._size and self._clock.monotonic() - self._opened_at >= self._segment_age:
            self._rotate()

    def stats(self) -> JournalStats:
        return JournalStats(
            healthy=self.healthy,
            reason=self.reason,
            records=self.records,
            bytes=self.bytes,
            failures=self.failures,
            dropped=self.dropped,
            queued=len(self._queue),
            running=len(self._running) + len(self._queue),
            rotations=self.rotations,
        )

    def sync(self) -> None:
        """Make everything written so far durable now; a failure makes the journal unhealthy."""
        retired, self._retired = self._retired, []
        written = self.bytes
        fd = self._fd
        try:
            for old in retired:
                try:
                    os.fsync(old)
                finally:
                    os.close(old)
            if fd >= 0 and written != self._synced:
                os.fsync(fd)
                if os.fstat(fd).st_nlink == 0:
                    self._limit = 0  # Somebody deleted the file under us: the next record goes to a new one.
            if retired:
                sync_directory(self.directory)
        except OSError as error:
            self._sync_failed = True
            self._fail(error)
        else:
            self._synced = written
            self._sync_failed = False

    def close(self) -> None:
        """Write what is queued, sync, and mark the segment complete, unless something in it has not ended: then it
        is left as a dead process would leave it, for recovery to book."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._fd < 0:
            return
        self._retry_at = 0.0
        if not self.healthy or self._queue:
            self._resume()
        self.sync()
        if not self._running and not self._queue and not self._torn:
            self._mark_done()
        os.close(self._fd)
        self._fd = -1
        self.healthy = False
        self.reason = "closed"
        self._retry_at = float("inf")

    # -- writing ---------------------------------------------------------------------------------------------------

    def _put(self, line: bytes) -> bool:
        """One write of one line; on failure the journal is unhealthy and the line is not in the segment."""
        if self._size >= self._limit:
            self._rotate()
        try:
            written = self._write(self._fd, line)
        except OSError as error:
            self._fail(error)
            return False
        if written != len(line):
            self._torn = True
            self._fail(OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written"))
            self._mend()
            return False
        self._size += written
        self.bytes += written
        self.records += 1
        return True

    def _fail(self, error: OSError) -> None:
        self.failures += 1
        self.healthy = False
        self.reason = f"{errno.errorcode.get(error.errno or 0, 'error')}: {error.strerror or error}"
        self._retry_at = self._clock.monotonic() + self._retry_interval
        if error.errno not in _FULL:
            self._must_rotate = True

    def _mend(self) -> bool:
        """Cut a torn line off the segment's end."""
        if self._torn:
            try:
                os.ftruncate(self._fd, self._size)
            except OSError as error:
                self._fail(error)
                return False
            self._torn = False
        return True

    def _resume(self) -> bool:
        """Try to become healthy, at most once in `retry_interval`."""
        if self._clock.monotonic() < self._retry_at or self._sync_failed:
            return False
        if self._fd >= 0 and not self._mend() and not self._must_rotate:
            return False
        if self._must_rotate and not self._rotate():
            return False
        while self._queue:
            if not self._flush_some():
                return False
        if not self._probe():
            return False
        self.healthy = True
        self.reason = ""
        return True

    def _probe(self) -> bool:
        """Is there room for more than the rest of a block? Leaves no trace: a torn line, cut off at once."""
        try:
            written = self._write(self._fd, _PROBE)
        except OSError as error:
            self._fail(error)
            return False
        self._torn = True
        if written != len(_PROBE):
            self._fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        return self._mend() and written == len(_PROBE)

    def _flush_some(self, behind: bytes | None = None) -> bool:
        """Write the head of the queue, and a line behind it, in one write. Whole lines of a short write count; the torn
        rest is cut off."""
        if self._size >= self._limit and self.healthy:
            self._rotate()
        taken: list[tuple[bytes | None, bytes]] = []
        length = 0
        for item in self._queue:
            taken.append(item)
            length += len(item[1])
            if length >= _FLUSH_BYTES and behind is None:
                break
        if behind is not None:
            taken.append((None, behind))
        data = b"".join([line for _, line in taken])
        try:
            written = self._write(self._fd, data)
        except OSError as error:
            self._fail(error)
            return False
        if written == len(data) and len(taken) == len(self._queue) + (behind is not None):
            self._queue.clear()
            self._size += written
            self.bytes += written
            self.records += len(taken)
            return True
        for start, line in taken:
            if written < len(line):
                self._torn = written > 0
                self._fail(OSError(errno.ENOSPC, "a short write"))
                self._mend()
                return False
            written -= len(line)
            self._size += len(line)
            self.bytes += len(line)
            self.records += 1
            if start is not None:
                self._queue.popleft()
        return True

    # -- segments --------------------------------------------------------------------------------------------------

    def _open_first(self) -> None:
        make_directory(self.directory)
        if self._rotate():
            self.healthy = True
            self.reason = ""

    def _rotate(self) -> bool:
        """Go on in a new segment that begins with the starts of what runs. False: stay where we are."""
        following = Segment(self._writer, self._segment.sequence + 1, False)
        head = b"".join((*self._running.values(), *(start for start, _ in self._queue)))
        try:
            fd = create(self.directory, following, head, self._write)
        except OSError as error:
            if self.healthy:
                # The old segment still takes records; try again when it has grown by another quarter.
                self.failures += 1
                self._limit = self._size + max(self._segment_bytes // 4, 1)
                self._opened_at = self._clock.monotonic()
            else:
                self._fail(error)
            return False
        if self._fd >= 0:
            self._mark_done()
            self._retired.append(self._fd)
            self.rotations += 1
        self._fd = fd
        self._segment = following
        self._size = len(head)
        self._limit = max(self._segment_bytes, 2 * len(head))
        self._opened_at = self._clock.monotonic()
        self._torn = False
        self._must_rotate = False
        return True

    def _mark_done(self) -> None:
        path = self._segment.path(self.directory)
        try:
            if self._size == 0:
                os.unlink(path)
            else:
                os.rename(path, self._segment.closed().path(self.directory))
        except OSError:
            # Deleted under us, or a directory that takes no entries: recovery closes it once we are gone.
            self.failures += 1

    def _sync_loop(self, interval: float) -> None:
        while not self._stop.wait(interval):
            self.sync()
