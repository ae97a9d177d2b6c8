"""State files: how `tollway reload` and an operator find the gateways that run, and what each has in force.

Each worker keeps `<runtime_dir>/<pid>.json` while it runs, replaced atomically after every reload.
"""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gateway.settings.reload import Configuration


class State(msgspec.Struct, frozen=True, kw_only=True):
    """One running worker."""

    pid: int
    port: int
    hash: str
    loaded_at: str
    """When the configuration in force was loaded, ISO 8601 UTC."""
    source: str
    last_error: str | None
    reloads: int
    """Reloads that were tried, since the start."""
    born: int = 0
    """The system's own mark of the process's start (0: unknown), so that a pid used again is not mistaken for it."""


class StateFile:
    """This process's state file."""

    def __init__(self, configuration: Configuration, port: int) -> None:
        self._configuration = configuration
        self._port = port
        self.path = Path(configuration.snapshot.server.runtime_dir) / f"{os.getpid()}.json"

    def write(self) -> None:
        """Write or replace it. Raises `OSError` when the directory cannot be written."""
        snapshot = self._configuration.snapshot
        state = State(
            pid=os.getpid(),
            port=self._port,
            hash=snapshot.hash,
            loaded_at=datetime.fromtimestamp(snapshot.loaded_ns / 1e9, UTC).isoformat(),
            source=os.path.abspath(snapshot.source),
            last_error=self._configuration.last_error,
            reloads=sum(self._configuration.reloads.values()),
            born=_born(os.getpid()),
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(state))
        os.replace(part, self.path)

    def remove(self) -> None:
        """Take it away, at the end of the process."""
        with contextlib.suppress(OSError):
            self.path.unlink()


def running(runtime_dir: Path | str) -> list[State]:
    """Workers that run, by pid. What a killed worker left behind is ignored."""
    found: list[State] = []
    for path in sorted(Path(runtime_dir).glob("*.json")):
        try:
            state = msgspec.json.decode(path.read_bytes(), type=State)
        except (OSError, msgspec.DecodeError):
            continue
        if _alive(state):
            found.append(state)
    return sorted(found, key=lambda state: state.pid)


def _alive(state: State) -> bool:
    if state.pid <= 0:
        return False
    try:
        os.kill(state.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    born = _born(state.pid)
    return not (born and state.born) or born == state.born


def _born(pid: int) -> int:
    """Start time of a process in clock ticks since boot (proc(5), field 22); 0 where there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
        return int(stat.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
