"""How the workers of one gateway find each other's pages: a directory with a file per worker.

Three rules make the sums right. What a scrape shows is in a file first, so that a counter a worker has shown survives
its death. A worker holds a lock on its own file while it lives, so that a dead one is told from a slow one whatever
happens to process ids. The dead are added up in one file under the directory's lock, and that file names whom it
contains, so that a crash between writing it and deleting theirs counts nobody twice.

The first worker of a gateway finds nobody alive and begins anew: counters start at zero when the whole gateway does.
"""

import contextlib
import fcntl
import os
import secrets
import threading
from pathlib import Path

import msgspec

from gateway.sole import in_turn
from gateway.telemetry.page import Page, decode, encode

_DEAD = "dead"
_LOCK = "lock"


class _Dead(msgspec.Struct):
    """The sums of workers that are gone, and the names of those whose files may still be there."""

    page: Page
    names: list[str]


class Share:
    """One worker's place in the directory, taken at once or, where a disk is full or read-only and keeps nobody from
    serving, as soon as it can be. Until then `publish` and `gather` raise `OSError`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._guard = threading.Lock()
        self._closed = False
        self._published = 0
        self._fd = -1
        with contextlib.suppress(OSError):
            self._enter()

    def publish(self, page: Page) -> None:
        """Replace this worker's page."""
        with self._guard:
            if not self._closed and page.number >= self._published:
                if self._fd < 0:
                    self._enter()
                self._published = page.number
                self._write(f"{self._name}.page", encode(page))

    def gather(self, page: Page) -> Page:
        """Publish `page`, and add up every worker's, living and dead."""
        self.publish(page)
        with in_turn(self._directory / _LOCK):
            self._bury()
            total = self._dead().page
            for path in self._directory.glob("*.page"):
                other = decode(path.read_bytes())
                if other is not None:
                    total.add(other)
            return total

    def close(self, page: Page) -> None:
        """Publish the last page and give up the lock: from now on this worker counts as dead."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            if self._fd < 0:
                return
            with contextlib.suppress(OSError):
                self._write(f"{self._name}.page", encode(page))
            os.close(self._fd)

    def _enter(self) -> None:
        """Take a place; who finds nobody alive begins anew."""
        directory = self._directory
        directory.mkdir(parents=True, exist_ok=True)
        with in_turn(directory / _LOCK):
            if not any(_lives(path) for path in directory.glob("*.live")):
                for path in (*directory.glob("*.page*"), *directory.glob("*.live"), directory / _DEAD):
                    path.unlink(missing_ok=True)
            fd = os.open(directory / f"{self._name}.live", os.O_RDWR | os.O_CREAT, 0o640)
            fcntl.flock(fd, fcntl.LOCK_EX)
            self._fd = fd

    def _bury(self) -> None:
        """Move the counters of dead workers to the file of the dead."""
        gone = [path.stem for path in self._directory.glob("*.live") if not _lives(path)]
        if not gone:
            return
        dead = self._dead()
        for name in gone:
            path = self._directory / f"{name}.page"
            if name not in dead.names and path.exists() and (page := decode(path.read_bytes())) is not None:
                dead.page.add(page.without_gauges())
        dead.names = gone
        self._write(_DEAD, msgspec.msgpack.encode(dead))
        # The `.live` file goes last: while it is there, a burial that was cut short is taken up again.
        for name in gone:
            for suffix in ("page", "page.new", "live"):
                (self._directory / f"{name}.{suffix}").unlink(missing_ok=True)

    def _dead(self) -> _Dead:
        try:
            return msgspec.msgpack.decode((self._directory / _DEAD).read_bytes(), type=_Dead)
        except (FileNotFoundError, msgspec.MsgspecError):
            return _Dead(Page(), [])

    def _write(self, name: str, data: bytes) -> None:
        made = self._directory / f"{name}.new"
        made.write_bytes(data)
        os.replace(made, self._directory / name)


def _lives(path: Path) -> bool:
    """Whether the owner of a `.live` file still holds it."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
