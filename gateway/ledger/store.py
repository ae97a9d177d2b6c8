"""The ledger database: how it is opened (SQLite or PostgreSQL), and how its schema is brought up to date."""

import secrets
import sqlite3
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, RootTransaction, Table, create_engine, event, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.errors import LedgerError
from gateway.ledger.tables import counters
from gateway.ledger.turn import give_way, waiting
from gateway.sole import in_turn

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

HEAD = "0011"
"""The newest migration; a test keeps it true. Known here so that a start need not import alembic."""


class LedgerRefused(LedgerError):
    """The database is there and does not take these rows; trying again would not help."""


BUSY_SECONDS = 15
"""How long a SQLite connection waits for another one's write."""
_LOCK_NUMBER = 0x746F6C6C776179
"""PostgreSQL advisory lock taken while migrating (`tollway` in ASCII)."""
_WRITING = "ledger_writing"
_LAST = "ledger_last"


def parse_url(url: str) -> URL:
    """Read a ledger URL: `sqlite:///path`, `postgresql://user@host/db`. Raises `LedgerError` saying what is allowed."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise LedgerError("the ledger URL cannot be read; allowed are sqlite:///PATH and postgresql://…") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise LedgerError("the ledger needs a file: sqlite:///PATH (in-memory databases are private to a process)")
        return parsed
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise LedgerError(f"the ledger cannot use {backend!r}; allowed are sqlite:///PATH and postgresql://…")


def open_engine(url: str) -> Engine:
    """An engine on the ledger; connects on first use. Makes SQLite's parent directory.

    Raises `LedgerError` for a wrong URL, or when PostgreSQL is asked for and the `postgres` extra is not installed.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        try:
            Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"the ledger's directory cannot be made: {error.strerror}") from error
        engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
        return engine
    try:
        return create_engine(
            parsed,
            pool_pre_ping=True,
            pool_size=2,
            connect_args={"connect_timeout": 5, "application_name": "tollway"},
        )
    except ModuleNotFoundError as error:
        raise LedgerError("a PostgreSQL ledger needs the extra: pip install 'tollway[postgres]'") from error


def giving_way(engine: Engine) -> Engine:
    """The same engine for the loader: where all share one write lock, its `writing` lets everybody else go first."""
    return engine.execution_options(**{_LAST: True})


def open_existing(url: str) -> Engine:
    """An engine for reading: unlike `open_engine` it makes no directory and no file.

    Raises `LedgerError` when a SQLite ledger is not there.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise LedgerError(f"there is no ledger at {parsed.database}; has the gateway run with it?")
    return open_engine(url)


@contextmanager
def ledger_at(url: str) -> Generator[Engine]:
    """A ledger for reading, as it is: opened, and closed again. Raises `LedgerError` when there is none, or one of
    another release."""
    engine = open_existing(url)
    try:
        found = schema_version(engine)
        if found is None:
            raise LedgerError("this database holds no ledger yet; has the gateway run with it?")
        if found < HEAD:
            raise LedgerError(
                f"the ledger is of an older release (schema {found}, this one reads {HEAD}); a gateway of this release "
                "brings it up to date when it starts"
            )
        _refuse_newer(found)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def current_ledger(url: str) -> Generator[Engine]:
    """A ledger brought up to date, and made if there is none: opened, and closed again. Raises `LedgerError`."""
    ensure_schema(url)
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """A transaction whose statements all see the same state of the ledger. Translates driver errors."""
    with translated(), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """A transaction that writes. On SQLite it takes the write lock at its beginning, so that it cannot fail later
    for having read first."""
    with translated(), engine.connect() as connection:
        connection = connection.execution_options(**{_WRITING: True})
        with _begun(connection):
            yield connection


def _begun(connection: Connection) -> RootTransaction:
    """A transaction that has begun; on SQLite with the write lock, when it was this one's turn."""
    database = connection.engine.url.database
    if connection.dialect.name != "sqlite" or database is None:
        return connection.begin()
    if connection.get_execution_options().get(_LAST, False):
        give_way(database)
        return connection.begin()
    with waiting(database):
        return connection.begin()


def is_locked(engine: Engine, seconds: float) -> bool:
    """Whether somebody holds a SQLite ledger's write lock all of that time: nothing can be written, while it is read
    as it was. Writes nothing. A ledger that cannot be opened is not locked."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or database is None:
        return False
    try:
        with waiting(database), closing(sqlite3.connect(database, timeout=seconds, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    return False


@contextmanager
def translated() -> Generator[None]:
    """Turn a driver's error into `LedgerError`; its message names no row and no credential."""
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        raise LedgerError(f"the ledger database: {_first_line(error)}") from error
    except DBAPIError as error:
        raise LedgerRefused(f"the ledger database refused ({type(error.orig).__name__})") from error
    except OverflowError as error:
        raise LedgerRefused("the ledger database refused (a number beyond 64 bits)") from error
    except sqlite3.Error as error:  # what is asked of the driver itself, such as pragmas on a disk that is full
        raise LedgerError(f"the ledger database: {str(error).partition(chr(10))[0]}") from error
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger database failed ({type(error).__name__})") from error


def schema_version(engine: Engine) -> str | None:
    """The database's migration, None when it has none yet."""
    with translated(), engine.connect() as connection:
        if not engine.dialect.has_table(connection, "alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def ensure_schema(url: str) -> None:
    """Create or upgrade the ledger's tables. Safe when several processes do it at once; fast when nothing is due.

    Raises `LedgerError` when the database is away, or was written by a newer release.
    """
    engine = open_engine(url)
    try:
        found = schema_version(engine)
        if found != HEAD:
            _refuse_newer(found)
            with _migration_lock(engine):
                _upgrade(engine)
    finally:
        engine.dispose()


def _refuse_newer(found: str | None) -> None:
    """Migrations are numbered. What a newer release keeps in a column, or where else it does, is not known here."""
    if found is not None and found > HEAD:
        raise LedgerError(
            f"the ledger was written by a newer release of Tollway (schema {found}, this one knows {HEAD}); use that "
            "release, or another ledger"
        )


def inserting(connection: Connection, table: Table) -> "postgresql.Insert | sqlite.Insert":
    """An INSERT that may say what happens `on_conflict`, as this database writes it. Only the dialect in use is
    imported: PostgreSQL's takes 30 ms of a start."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def counter(connection: Connection, name: str) -> int:
    """A counter's value; 0 when it was never set."""
    return connection.execute(select(counters.c.value).where(counters.c.name == name)).scalar() or 0


def identity(engine: Engine) -> int:
    """A number that is this ledger's own, wherever it is reached: made when it is first asked for."""
    with reading(engine) as connection:
        if known := counter(connection, "ledger_id"):
            return known
    with writing(engine) as connection:
        made = inserting(connection, counters).values(name="ledger_id", value=secrets.randbits(62) | 1)
        connection.execute(made.on_conflict_do_nothing(index_elements=["name"]))
    with reading(engine) as connection:
        return counter(connection, "ledger_id")


@contextmanager
def _migration_lock(engine: Engine) -> Generator[None]:
    database = engine.url.database
    if engine.dialect.name == "sqlite":
        with ExitStack() as held:
            try:
                held.enter_context(in_turn(Path(f"{database}.lock")))
            except OSError as error:
                raise LedgerError(f"the ledger's directory cannot be written: {error.strerror}") from error
            yield
        return
    with translated(), engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": _LOCK_NUMBER})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": _LOCK_NUMBER})


def _upgrade(engine: Engine) -> None:
    # Imported only when there is something to do: alembic costs a tenth of a second.
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    if engine.dialect.name == "sqlite":
        with translated(), engine.connect() as connection:
            # Kept in the file. Cannot be changed inside a transaction, which every SQLAlchemy connection is in.
            cursor = connection.connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.close()
    config = Config()
    config.set_main_option("script_location", str(files("gateway.ledger") / "migrations").replace("%", "%%"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise LedgerError(f"the ledger was written by a newer release of Tollway ({error})") from error


def _sqlite_connected(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # The driver's own idea of when a transaction begins leaves SELECT and DDL outside of one: we say BEGIN.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
