"""How far the ledger is behind the journal: a small file the loader writes into the journal directory."""

import os
from pathlib import Path

import msgspec

STATUS_FILE = "loader.json"


class LoaderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the loader. Old when `updated_ns` is old: then no loader is running."""

    pid: int
    updated_ns: int
    """Wall clock, nanoseconds since the epoch."""
    lag_bytes: int
    """Journal bytes that are not in the database."""
    lag_seconds: float
    """Since the ledger last held everything the journal did; 0 when it does."""
    loaded: int
    """Events posted since the loader started."""
    duplicates: int
    rejected: int
    """Lines that could not be loaded; their segments are moved to `rejected/` instead of being deleted."""
    interrupted: int
    """Exchanges of dead processes booked by recovery."""
    database: str
    """`ok`, `away` or `starting`."""
    error: str


def write_status(directory: Path, status: LoaderStatus) -> None:
    """Replace the status file at once: a reader sees the old one or the new one."""
    made = directory / f"{STATUS_FILE}.new"
    made.write_bytes(msgspec.json.encode(status))
    os.replace(made, directory / STATUS_FILE)


def read_status(directory: Path | str) -> LoaderStatus | None:
    """The last status written; None when there is none that can be read."""
    try:
        return msgspec.json.decode((Path(directory) / STATUS_FILE).read_bytes(), type=LoaderStatus)
    except (OSError, msgspec.MsgspecError):
        return None
