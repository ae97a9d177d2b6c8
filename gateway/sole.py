"""One of several processes does a thing: whoever holds a lock file."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sole(lock: Path) -> Generator[bool]:
    """Whether this process is the only one in here. The lock ends with the process at the latest. Makes the file, and
    its directory. Raises `OSError`."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        held = True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = False
        yield held
    finally:
        os.close(fd)
