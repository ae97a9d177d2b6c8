"""What a configuration was read from, and whether any of it has changed since."""

import glob
import os
from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[int, int, int] | None
"""Inode, size and modification time of a file, symbolic links followed; None: it is not there."""


class Sources:
    """Files and include patterns of one attempt to load, as they were just before they were read."""

    def __init__(self) -> None:
        self.stamps: dict[Path, Stamp] = {}
        self._patterns: dict[tuple[Path, str], list[str]] = {}

    def note(self, path: Path) -> None:
        """`path` is about to be read."""
        self.stamps.setdefault(path, _stamp(path))

    def matches(self, directory: Path, pattern: str) -> list[Path]:
        """Files below `directory` that `pattern` means, sorted."""
        names = self._patterns[directory, pattern] = _glob(directory, pattern)
        return [directory / name for name in names]

    def changed(self) -> bool:
        """Whether reading it all again might give something else."""
        return any(_stamp(path) != stamp for path, stamp in self.stamps.items()) or any(
            _glob(directory, pattern) != names for (directory, pattern), names in self._patterns.items()
        )


def _stamp(path: Path) -> Stamp:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _glob(directory: Path, pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, root_dir=directory, recursive=True))
