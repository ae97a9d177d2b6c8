"""The workers of one gateway as seen from beside them: telling them to reload, and what each says came of it.

Each worker keeps `<runtime_dir>/<pid>.reload` beside its state file: the outcome of its last reload, and the last one
that changed anything. So `tollway reload` can show what changed though the file watch was faster.
"""

import contextlib
import os
import signal
from pathlib import Path

import msgspec

from gateway.seams import Clock
from gateway.settings.reload import Configuration, ReloadResult
from gateway.settings.state import State, running
from gateway.telemetry.logs import alert

SUFFIX = ".reload"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of its reloads."""

    number: int = 0
    """Reloads tried since the worker began."""
    last: ReloadResult | None = None
    change: ReloadResult | None = None
    """The last one that changed the configuration."""
    changed_ns: int = 0
    """When that was; wall clock, nanoseconds since the epoch."""


class Reporter:
    """Writes this process's report after every reload. `follow` once, at the start of the worker."""

    def __init__(self, runtime_dir: str, clock: Clock) -> None:
        self._path = Path(runtime_dir) / f"{os.getpid()}{SUFFIX}"
        self._clock = clock
        self._report = Report()

    def follow(self, configuration: Configuration) -> None:
        """Begin with an empty report, in place of what a process of the same id left; clear away those of the dead."""
        self._sweep()
        self._write()
        configuration.subscribe(self.note)

    def note(self, result: ReloadResult) -> None:
        """Take down one outcome. Called on the thread that reloads, one at a time."""
        changed = result.ok and result.old_hash != result.new_hash
        self._report = Report(
            number=self._report.number + 1,
            last=result,
            change=result if changed else self._report.change,
            changed_ns=self._clock.now_ns() if changed else self._report.changed_ns,
        )
        self._write()

    def _write(self) -> None:
        made = self._path.with_suffix(f"{SUFFIX}.new")
        try:
            made.parent.mkdir(parents=True, exist_ok=True)
            made.write_bytes(msgspec.json.encode(self._report))
            os.replace(made, self._path)
        except OSError as error:
            alert("reload_report_not_written", reason=error.strerror or "")

    def _sweep(self) -> None:
        alive = {str(state.pid) for state in running(self._path.parent)}
        with contextlib.suppress(OSError):
            for path in self._path.parent.glob(f"*{SUFFIX}"):
                if path.stem not in alive:
                    path.unlink(missing_ok=True)


def read_report(runtime_dir: Path | str, pid: int) -> Report:
    """The report of a worker; an empty one when there is none that can be read."""
    try:
        return msgspec.json.decode((Path(runtime_dir) / f"{pid}{SUFFIX}").read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError):
        return Report()


def tell(state: State) -> bool:
    """Send SIGHUP to a worker; False when it has gone or belongs to somebody else."""
    try:
        os.kill(state.pid, signal.SIGHUP)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def signal_others(runtime_dir: str) -> int:
    """Send SIGHUP to every running worker but this one; returns how many got it."""
    return sum(tell(state) for state in running(runtime_dir) if state.pid != os.getpid())
