"""Segment files of a journal: their names, their locks, and how one is made.

A journal directory holds `WRITER.SEQUENCE.open` (being written, held with `flock` by a living process) and
`WRITER.SEQUENCE.done` (complete). A segment is made under a `.tmp` name, locked, given its first records and only then
renamed to `.open`: so nobody ever sees an `.open` segment that its living owner does not hold.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from gateway.errors import LedgerError

Write = Callable[[int, bytes], int]
"""`os.write`, or a test's stand-in for a disk with faults."""

CHUNK = 1024 * 1024
"""Bytes read at a time: a loader's batch, about 1,300 exchanges."""
MAX_LINE = 8 * CHUNK
"""A longer run of bytes without a newline is garbage and is skipped."""
_OPEN = ".open"
_DONE = ".done"
TMP = ".tmp"


class Segment(msgspec.Struct, frozen=True, order=True):
    """One segment file. Sorts in the order it was written, writer by writer."""

    writer: str
    sequence: int
    done: bool

    @property
    def name(self) -> str:
        """What identifies the segment in the ledger, whether open or done."""
        return f"{self.writer}.{self.sequence:06d}"

    def path(self, directory: Path) -> Path:
        return directory / (self.name + (_DONE if self.done else _OPEN))

    def closed(self) -> "Segment":
        return Segment(self.writer, self.sequence, True)


def make_directory(directory: Path) -> None:
    """A directory that segments can be written into. Raises `LedgerError` saying why it cannot be."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(f"the journal directory {directory} cannot be made: {error.strerror}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise LedgerError(f"the journal directory {directory} cannot be written; check its owner and mode")


def parse(file_name: str) -> Segment | None:
    """The segment a file name stands for; None for every other file."""
    stem, dot, ending = file_name.rpartition(".")
    writer, _, digits = stem.rpartition(".")
    if not dot or ending not in ("open", "done") or not writer or not (digits.isascii() and digits.isdigit()):
        return None
    return Segment(writer, int(digits), ending == "done")


def listing(directory: Path) -> list[Segment]:
    """Every segment in `directory`, in writing order; empty when there is no such directory."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(segment for name in names if (segment := parse(name)) is not None)


def read_lines(file: IO[bytes], *, complete: bool, most: int | None = None) -> tuple[list[bytes], int, int]:
    """The next whole lines, the bytes they take, and how many unreadable ones were skipped among those bytes.

    Of at most `most` bytes (None: `CHUNK`), but always a line where there is one.

    In a `complete` segment the rest after the last newline is a torn line and is taken without one.
    """
    data = file.read(CHUNK if most is None else most)
    while data and b"\n" not in data and len(data) < MAX_LINE and (more := file.read(CHUNK)):
        data += more
    end = data.rfind(b"\n") + 1
    if end:
        return data[: end - 1].split(b"\n"), end, 0
    if len(data) >= MAX_LINE:
        return [], len(data), 1
    return [], (len(data) if complete else 0), 0


def create(directory: Path, segment: Segment, head: bytes, write: Write) -> int:
    """Make an open segment that begins with `head`; returns its descriptor, locked and appending.

    Raises `OSError` and leaves nothing behind when there is no room for it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = segment.path(directory)
    made = path.with_name(path.name + TMP)
    fd = os.open(made, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        at = 0
        while at < len(head):
            at += write(fd, head[at:])
        os.rename(made, path)
    except BaseException:
        os.close(fd)
        made.unlink(missing_ok=True)
        raise
    return fd


def lock_orphan(path: Path) -> int | None:
    """Open and lock an `.open` segment whose owner is dead; None while it lives (or somebody else got it first)."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between open and lock another process may have recovered and renamed it.
        if os.path.samestat(os.fstat(fd), os.stat(path)):
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def sync_directory(directory: Path) -> None:
    """Make renames in `directory` durable."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
