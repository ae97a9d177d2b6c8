"""Compiled gates on disk, so that a start need not compile what the last one did (some tenths of a second to seconds).

A file is named by the fingerprint of its expressions and engine. One that is damaged, or that somebody else could have
written, is ignored: the engine trusts what it loads. Nothing here ever fails a start.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from guardrails.detector import Expression
from guardrails.matching.gate import Gate, fingerprint, open_gate

KEPT = 8
"""Files that stay, newest first: a few configurations to go back to."""
MOST_BYTES = 1 << 30
_SUM = 32


class GateFiles:
    """Opens gates, with a directory to keep them in. `write`: False leaves the directory as it is."""

    def __init__(self, directory: Path, *, write: bool = True) -> None:
        self.directory = directory
        self._write = write

    def open(self, expressions: Sequence[Expression]) -> Gate:
        """A gate for `expressions`, from disk where it can be. Raises `GateError` as `open_gate` does."""
        path = self.directory / f"{fingerprint(expressions).hex()}.gate"
        saved = self._read(path)
        gate = open_gate(expressions, compiled=saved)
        if self._write and not (saved and getattr(gate, "loaded", False)):
            compiled = gate.dump()
            if compiled:
                with contextlib.suppress(OSError):
                    self._save(path, compiled)
        return gate

    def _read(self, path: Path) -> bytes:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return b""
        with open(descriptor, "rb") as file:
            stat = os.fstat(descriptor)
            if stat.st_uid != os.geteuid() or stat.st_mode & 0o022 or stat.st_size > MOST_BYTES:
                return b""
            data = file.read()
        body = data[_SUM:]
        return body if hashlib.sha256(body).digest() == data[:_SUM] else b""

    def _save(self, path: Path, compiled: bytes) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=".", suffix=".part", dir=self.directory)
        try:
            with open(descriptor, "wb") as file:
                file.write(hashlib.sha256(compiled).digest() + compiled)
            os.replace(part, path)
        except OSError:
            os.unlink(part)
            raise
        self._prune()

    def _prune(self) -> None:
        files = sorted(self.directory.glob("*.gate"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
        for file in files[KEPT:]:
            file.unlink(missing_ok=True)
