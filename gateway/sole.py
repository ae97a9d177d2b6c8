"""One of several processes does a thing, or they do it in turn: whoever holds a lock file.

A lock ends with its process at the latest. The files of the journal and of workers' metrics are locked by their owners
too, but otherwise: there the lock is on the thing itself, and tells others that its owner lives.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sole(lock: Path) -> Generator[bool]:
    """Whether this process is the only one in here. Makes the file, and its directory. Raises `OSError`."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with _opened(lock) as fd:
        held = True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = False
        yield held


@contextmanager
def in_turn(lock: Path) -> Generator[None]:
    """Waits, without an end, until this process is the only one in here. Makes the file. Raises `OSError`."""
    with _opened(lock) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened(lock: Path) -> Generator[int]:
    fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        yield fd
    finally:
        os.close(fd)
