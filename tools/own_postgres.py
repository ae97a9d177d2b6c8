"""A PostgreSQL of one's own for measurements: made in a directory, on a free port of the loopback, and stopped again.

Uses the newest server below /usr/lib/postgresql (Debian) or the one on PATH. As root it runs as the user `postgres`,
for the server refuses to run as root.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgres(directory: Path) -> Iterator[str]:
    """The URL of a database in `directory`, which is made if it is not there; its data stay. Raises `SystemExit`."""
    binaries = _binaries()
    user = "postgres" if os.getuid() == 0 else None
    directory.mkdir(parents=True, exist_ok=True)
    if user:
        shutil.chown(directory, user, user)
    data = directory / "data"
    if not (data / "PG_VERSION").exists():
        _run(
            user, directory, binaries / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_wal_size=8GB -c fsync=off"
    _run(user, directory, binaries / "pg_ctl", "-D", data, "-o", options, "-l", directory / "log", "-w", "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        _run(user, directory, binaries / "pg_ctl", "-D", data, "-m", "fast", "-t", "300", "-w", "stop")


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return found[-1]
    on_path = shutil.which("initdb")
    if on_path is None:
        raise SystemExit("PostgreSQL's server programs are needed: install the package `postgresql`")
    return Path(on_path).parent


def _run(user: str | None, directory: Path, *command: object) -> None:
    done = subprocess.run(  # noqa: S603 - our own
        [str(part) for part in command],
        user=user,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}")
