"""Which jobs have been booked: each is booked by the first exchange that sees it ended, and by no other.

A job (`dialects/jobs.py`) is claimed by making a file named after it, which only one process of a host can. What claims
it writes its journal line in the same turn of the event loop. Without a directory a process remembers for itself.
"""

import contextlib
import hashlib
import os
from pathlib import Path

KEPT = 40 * 86400.0
"""Seconds a claim is kept: longer than providers keep what it is about (30 days)."""
MOST = 4096
"""Claims a process remembers that could not be written."""
SWEEP = 3600.0
"""Seconds between looks for claims that are older than that."""


class Bills:
    """One worker's view of the claims of all of them."""

    def __init__(self, directory: Path | None) -> None:
        """`directory` is made when the first job is claimed."""
        self._directory = directory
        self._own: dict[str, None] = {}
        self._swept = 0.0

    def claim(self, provider: str, job: str, now: float) -> bool:
        """Whether the caller is the first to claim `job`, and so has to book it. `now` is seconds since the epoch.
        Never raises: a claim that cannot be written holds for this process."""
        name = hashlib.sha256(f"{provider}\n{job}".encode()).hexdigest()[:40]
        if name in self._own:
            return False
        if self._directory is not None:
            with contextlib.suppress(OSError):
                return self._written(self._directory, name, now)
        self._own[name] = None
        if len(self._own) > MOST:
            del self._own[next(iter(self._own))]
        return True

    def _written(self, directory: Path, name: str, now: float) -> bool:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(directory / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return False
        if now - self._swept > SWEEP:
            self._swept = now
            _forget(directory, now - KEPT)
        return True


def _forget(directory: Path, before: float) -> None:
    """Remove claims made before `before` (seconds since the epoch). Another process may be at it, too."""
    for entry in os.scandir(directory):
        with contextlib.suppress(OSError):
            if entry.stat().st_mtime < before:
                os.unlink(entry.path)
