"""A real PostgreSQL of the test's own on a free port, and the ledger on both databases."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from gateway.ledger.posting import HOUR_NS, post
from gateway.ledger.spend import Report, report
from gateway.ledger.store import open_engine, writing
from tests.gateway.ledger.helpers import T0, end
from tests.support.ledgers import ready_ledger
from tests.support.redis_servers import free_port


class Postgres:
    """One cluster. Runs as the user `postgres` when we are root, because the server refuses to run as root."""

    def __init__(self, root: Path) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        on_path = shutil.which("initdb")
        if not found and on_path is None:
            pytest.fail("these tests need PostgreSQL's server programs: install the package `postgresql`")
        self.bin = found[-1] if found else Path(str(on_path)).parent
        self.data = root / "data"
        self.root = root
        self.user = "postgres" if os.getuid() == 0 else None
        if self.user:
            shutil.chown(root, self.user, self.user)
        self.run(self.bin / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")
        self.port = free_port()  # nobody's connection gets it while the server is stopped
        self.start()

    def run(self, *command: object) -> None:
        done = subprocess.run(
            [str(part) for part in command],
            user=self.user,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout.decode()

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        log = self.root / "log"
        self.run(self.bin / "pg_ctl", "-D", self.data, "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        self.run(self.bin / "pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def new_database(self) -> str:
        """URL of an empty ledger: a schema of its own, which costs a hundredth of a database of its own."""
        name = f"t{uuid.uuid4().hex}"
        url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{url}?options=-csearch_path%3D{name}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not below pytest's own directory: that is closed to the user the server runs as.
    root = Path(tempfile.mkdtemp(prefix="tollway-pg-"))
    server = None
    try:
        server = Postgres(root)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(root)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger/tollway.db"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A journal's, with nothing in it."""
    made = tmp_path / "journal"
    made.mkdir()
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger/tollway.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def engine(ledger_url: str) -> Iterator[Engine]:
    """A ledger with its tables, on each kind of database."""
    ready_ledger(ledger_url)
    engine = open_engine(ledger_url)
    yield engine
    engine.dispose()


@pytest.fixture
def two_teams(sqlite_url: str) -> Report:
    """A report of two teams: one priced; one unpriced, estimated, with a name that is a formula."""
    ready_ledger(sqlite_url)
    engine = open_engine(sqlite_url)
    records = [
        end(1, cost_nanos=5_615_000),
        end(2, team="=cmd()", cost_nanos=None, unpriced=True, usage_estimated=True, outcome="client_left"),
    ]
    with writing(engine) as connection:
        post(connection, records, T0)
    answer = report(engine, ["team"], T0 // HOUR_NS * HOUR_NS, (T0 // HOUR_NS + 1) * HOUR_NS)
    engine.dispose()
    return answer
