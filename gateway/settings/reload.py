"""The configuration in force: loaded once, replaced as a whole by a reload, never half.

A reload validates and compiles off to the side and then swaps one reference; a file that cannot be used changes
nothing but `last_error`. Reloads and key updates may come from any thread.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from gateway.errors import ConfigError
from gateway.ledger.keystore import StoredKey
from gateway.quota import Adjustment
from gateway.routing.switches import Switch, compiled
from gateway.seams import Clock
from gateway.settings.compile import compile_snapshot, merge_keys
from gateway.settings.diff import difference, needs_restart
from gateway.settings.gate_files import GateFiles
from gateway.settings.load import LoadError, Written, load_config
from gateway.settings.snapshot import Snapshot
from gateway.settings.sources import Sources
from gateway.settings.workshop import Workshop
from pricing.catalogue import Catalogue


class ReloadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a reload."""

    ok: bool
    reason: str
    """Why it was tried, such as `SIGHUP` or `file change`."""
    old_hash: str
    new_hash: str
    """The hash in force now; `old_hash` when the reload failed."""
    difference: list[str] = []
    """Readable lines, without secrets."""
    restart: list[str] = []
    """Options that changed and only count after a restart."""
    error: str | None = None
    """Every problem, a line each."""


class Configuration:
    """The one configuration of a process. `snapshot` is read on the hot path: a plain attribute, swapped whole."""

    def __init__(
        self, path: Path | str, *, clock: Clock, workers: int | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Load `path`. `workers` overrides `server.workers`, now and at every reload; `env` stands in for the process's
        environment. Raises `ConfigError`."""
        self._path = Path(path)
        self._clock = clock
        self._workers = workers
        self._env = env
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        """Held until everybody has heard of a reload: a signal and the file watch may ask for one at once."""
        self._stored: tuple[StoredKey, ...] = ()
        self._adjustments: tuple[Adjustment, ...] = ()
        self._switches: tuple[Switch, ...] = ()
        self._listeners: list[Callable[[ReloadResult], None]] = []
        self._catalogue: Catalogue | None = None
        self.written: Written = load_config(self._path, env=env, workers=workers)
        self.sources: Sources = self.written.sources
        """What the last attempt read, whether it succeeded or not."""
        self._workshop = Workshop(GateFiles(gates_of(self.written)))
        self.snapshot: Snapshot = self._compile(self.written)
        self.last_error: str | None = None
        """Problems of the last reload; None when it succeeded."""
        self.reloads: dict[Literal["success", "failure"], int] = {"success": 0, "failure": 0}
        """How many reloads ended so, for `config_reload_total{result}`."""

    def reload(self, reason: str) -> ReloadResult:
        """Read the files again. Blocks for some milliseconds, or a second where guardrail detectors changed: call it by
        `asyncio.to_thread`. Never raises."""
        with self._turn:
            with self._lock:
                result = self._reloaded(reason)
                self.last_error = result.error
                self.reloads["success" if result.ok else "failure"] += 1
            for listener in self._listeners:
                listener(result)
        return result

    def subscribe(self, listener: Callable[[ReloadResult], None]) -> None:
        """Have `listener` called after every reload, on the thread that reloaded, one at a time and in their order. It
        must not reload."""
        self._listeners.append(listener)

    def set_keys(self, stored: Sequence[StoredKey]) -> None:
        """Put the ledger database's keys in force, beside those of the files."""
        with self._lock:
            self._stored = tuple(stored)
            self.snapshot = merge_keys(self.snapshot, self.written, self._stored)

    def set_adjustments(self, adjustments: Sequence[Adjustment]) -> None:
        """Put these adjustments of limits in force that are valid now, in place of those before."""
        with self._lock:
            self._adjustments = tuple(adjustments)
            self.snapshot = self._adjusted(self.snapshot)

    def set_switches(self, switches: Sequence[Switch]) -> None:
        """Put these kill switches in force, in place of those before; those that are over are left out."""
        with self._lock:
            self._switches = tuple(switches)
            self.snapshot = self._switched(self.snapshot)

    def _switched(self, snapshot: Snapshot) -> Snapshot:
        return msgspec.structs.replace(snapshot, switches=compiled(self._switches, self._clock.now_ns()))

    def _adjusted(self, snapshot: Snapshot) -> Snapshot:
        if snapshot.limits is None:
            return snapshot
        limits = snapshot.limits.adjusted(self._adjustments, self._clock.now_ns())
        return msgspec.structs.replace(snapshot, limits=limits)

    def _reloaded(self, reason: str) -> ReloadResult:
        old, old_hash = self.written, self.snapshot.hash
        try:
            new = load_config(self._path, env=self._env, workers=self._workers)
            self.sources = new.sources  # also of what cannot be compiled: it would be tried again and again
            # The same meaning keeps the same snapshot, and with it all that was bound to it.
            snapshot = self.snapshot if new.hash == old_hash else self._compile(new)
        except ConfigError as error:
            if isinstance(error, LoadError):
                self.sources = error.sources
            return ReloadResult(ok=False, reason=reason, old_hash=old_hash, new_hash=old_hash, error=str(error))
        except Exception as error:  # whatever it is, the last good configuration stays in force
            text = f"{self._path}: a defect of Tollway prevented the reload ({type(error).__name__})"
            return ReloadResult(ok=False, reason=reason, old_hash=old_hash, new_hash=old_hash, error=text)
        self.written, self.snapshot = new, snapshot
        return ReloadResult(
            ok=True,
            reason=reason,
            old_hash=old_hash,
            new_hash=snapshot.hash,
            difference=difference(old, new),
            restart=needs_restart(old, new),
        )

    def _compile(self, written: Written) -> Snapshot:
        if written.prices is not None and self._catalogue is None:
            self._catalogue = Catalogue()
        snapshot = compile_snapshot(
            written,
            clock=self._clock,
            stored_keys=self._stored,
            catalogue=self._catalogue,
            workshop=self._workshop,
        )
        if self._adjustments:
            snapshot = self._adjusted(snapshot)
        return self._switched(snapshot) if self._switches else snapshot


def gates_of(written: Written) -> Path:
    """Where a configuration's compiled gates are kept."""
    return Path(written.root.server.runtime_dir) / "gates"
