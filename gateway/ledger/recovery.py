"""Recovery: closes the segments of dead processes, and books what they were doing when they died.

A start without an end becomes an end with outcome `interrupted`, its usage the reserved estimates, its cost the
reserved cost: the provider may have served it, and nobody is left who knows. Running it twice, or dying in the middle
of it, changes nothing: an end already there is found there.
"""

import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import msgspec

from gateway.errors import LedgerError
from gateway.ledger.events import EndRecord, StartRecord, decode_line, interrupted, record_line
from gateway.ledger.segments import TMP, Segment, Write, listing, lock_orphan, sync_directory
from gateway.seams import Clock

_WRITE_BYTES = 1024 * 1024
_STALE_TMP_SECONDS = 60


class Recovered(msgspec.Struct):
    """What a recovery did."""

    writers: int = 0
    """Dead processes whose journal was closed."""
    interrupted: int = 0
    torn_bytes: int = 0
    """Bytes of a last line that was not complete."""
    failed: int = 0
    """Writers left for the next run, because their segment could not be read or written."""


def recover(directory: Path | str, clock: Clock, write: Write = os.write) -> Recovered:
    """Close every dead writer's segments in `directory`. Cheap when there is none (one `flock` per living writer)."""
    directory = Path(directory)
    result = Recovered()
    for _, group in groupby(listing(directory), key=lambda segment: segment.writer):
        segments = list(group)
        opened = [segment for segment in segments if not segment.done]
        if opened:
            try:
                _recover_writer(directory, segments, opened, result, write)
            except OSError:
                result.failed += 1
    _remove_stale_tmp(directory, clock)
    if result.writers:
        sync_directory(directory)
    return result


def _recover_writer(
    directory: Path, segments: list[Segment], opened: list[Segment], result: Recovered, write: Write
) -> None:
    newest = opened[-1]
    fd = lock_orphan(newest.path(directory))
    if fd is None:
        return
    try:
        died_ns = os.fstat(fd).st_mtime_ns
        # The newest segment begins with every start that was running when it was made. The one before it is read
        # too, because after a lost machine that beginning may be missing from the disk; so are open ones.
        before = [segment for segment in segments if segment < newest][-1:]
        running: dict[str, StartRecord] = {}
        for segment in sorted({*before, *opened}):
            _replay(segment.path(directory), running)
        result.torn_bytes += _cut_torn_line(fd)
        lines = [record_line(interrupted(start, died_ns)) for start in running.values()]
        _append(fd, lines, write)
        os.fsync(fd)
        result.interrupted += len(lines)
        for segment in opened:
            os.rename(segment.path(directory), segment.closed().path(directory))
        result.writers += 1
    finally:
        os.close(fd)


def _replay(path: Path, running: dict[str, StartRecord]) -> None:
    for line in _lines(path):
        try:
            record = decode_line(line)
        except LedgerError:
            continue  # The loader counts it and keeps the segment for a person.
        if isinstance(record, EndRecord):
            running.pop(record.id, None)
        else:
            running[record.id] = record


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _cut_torn_line(fd: int) -> int:
    """Truncate to the last newline; returns the number of bytes cut."""
    size = os.fstat(fd).st_size
    end = size
    while end:
        block = os.pread(fd, min(end, 65_536), max(end - 65_536, 0))
        at = block.rfind(b"\n")
        if at >= 0:
            end = max(end - 65_536, 0) + at + 1
            break
        end = max(end - 65_536, 0)
    if end < size:
        os.ftruncate(fd, end)
    return size - end


def _append(fd: int, lines: list[bytes], write: Write) -> None:
    """Append whole lines; on failure the segment ends after the last whole one and `OSError` is raised."""
    try:
        block: list[bytes] = []
        length = 0
        for line in [*lines, b""]:
            block.append(line)
            length += len(line)
            if length >= _WRITE_BYTES or not line:
                data = b"".join(block)
                while data:
                    data = data[write(fd, data) :]
                block, length = [], 0
    except OSError:
        _cut_torn_line(fd)
        raise


def _remove_stale_tmp(directory: Path, clock: Clock) -> None:
    for path in directory.glob(f"*{TMP}"):
        try:
            if clock.now_ns() - path.stat().st_mtime_ns > _STALE_TMP_SECONDS * 10**9:
                path.unlink()
        except FileNotFoundError:
            pass
