"""Who writes next to a SQLite ledger: whoever waits, before the loader.

SQLite has one write lock and no line for it: who waits looks again every tenth of a second, and a loader with much to
load has taken the lock again by then. So those who wait hold `<database>.turn` shared until they have the write lock,
and before each of its transactions the loader waits until nobody does. A file that cannot be opened costs the courtesy
and nothing else.
"""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager

GIVES_WAY_SECONDS = 5.0
"""The loader gives way for at most so long: somebody who was stopped while waiting must not stop the books."""
_LOOK_SECONDS = 0.002


@contextmanager
def waiting(database: str) -> Generator[None]:
    """Held while one waits for the write lock of the file `database`."""
    fd = _opened(database)
    if fd is None:
        yield
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)  # the loader holds it exclusively for an instant at a time
        yield
    finally:
        os.close(fd)


def give_way(database: str, seconds: float = GIVES_WAY_SECONDS) -> bool:
    """Blocks until nobody waits for the write lock. False: somebody still did after `seconds`."""
    fd = _opened(database)
    if fd is None:
        return True
    until = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
            time.sleep(_LOOK_SECONDS)
    finally:
        os.close(fd)


def _opened(database: str) -> int | None:
    try:
        return os.open(f"{database}.turn", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError:
        return None
