"""Ledgers with nothing in them, as the migrations make them, without running the migrations for each test."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.ledger.store import ensure_schema, parse_url


@cache
def empty_ledger() -> bytes:
    """A SQLite ledger that the migrations have just made."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "tollway.db"
        ensure_schema(f"sqlite:///{path}")
        return path.read_bytes()


def ready_ledger(url: str) -> None:
    """What `ensure_schema` does, which takes 55 ms, for a database of its own: a new SQLite file is a copy of one that
    was made so. Whose subject is the schema calls `ensure_schema` itself."""
    parsed = parse_url(url)
    path = Path(parsed.database or "")
    if parsed.get_backend_name() == "sqlite" and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(empty_ledger())
    else:
        ensure_schema(url)
