import multiprocessing
import resource
import sqlite3
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, insert, select, text

from gateway.errors import LedgerError
from gateway.ledger import audit, migrations
from gateway.ledger.store import (
    HEAD,
    LedgerRefused,
    counter,
    current_ledger,
    ensure_schema,
    identity,
    is_locked,
    ledger_at,
    open_engine,
    open_existing,
    parse_url,
    reading,
    schema_version,
    writing,
)
from gateway.ledger.tables import DIMENSIONS, SUMS, counters, days, metadata, rollups
from tests.gateway.ledger.helpers import ensure_schema_together


def test_a_ledger_of_an_older_release_is_said_to_be_one(tmp_path: Path):
    """Reports read what the newest schema has; an upgraded command must not speak of tables before that."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    ensure_schema(url)
    engine = open_engine(url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    engine.dispose()
    with pytest.raises(LedgerError, match=r"older release \(schema 0003"), ledger_at(url):
        pass


def test_the_migrations_make_the_tables_the_code_uses(engine: Engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert schema_version(engine) == HEAD


def test_head_is_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_ledger_of_the_first_release_is_brought_up_to_date(ledger_url: str):
    """With what is in it; the audit log begins empty, and of what was not counted then there is none."""
    first_release = SUMS[: SUMS.index("cost_blocked")]
    old = {name: 5 for name in first_release if name != "outcome_cut"}
    first = open_engine(ledger_url)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with writing(first) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(insert(counters).values(name="kept", value=7))
        connection.execute(insert(rollups).values(hour=3600, **dict.fromkeys(DIMENSIONS, ""), **old))
    ensure_schema(ledger_url)
    assert schema_version(first) == HEAD
    assert audit.verify(first) == audit.Verified(0, None, None)
    with reading(first) as connection:
        assert counter(connection, "kept") == 7
        kept = connection.execute(select(*(rollups.c[name] for name in SUMS))).one()
        assert dict(zip(SUMS, kept, strict=True)) == {**dict.fromkeys(SUMS, 0), **old}
        of_day = connection.execute(select(days.c.day, days.c.tagged, *(days.c[name] for name in SUMS))).one()
        assert tuple(of_day) == (0, 0, *kept)
    first.dispose()


def test_a_second_time_changes_nothing_and_needs_no_alembic(
    engine: Engine, ledger_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "alembic", None)
    ensure_schema(ledger_url)


def test_processes_that_start_together_make_one_schema(ledger_url: str):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    processes = [context.Process(target=ensure_schema_together, args=(barrier, ledger_url)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    engine = open_engine(ledger_url)
    assert schema_version(engine) == HEAD
    engine.dispose()


def test_a_ledger_of_a_newer_release_is_not_touched(engine: Engine, ledger_url: str):
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    told = f"written by a newer release of Tollway \\(schema 9999, this one knows {HEAD}\\)"
    with pytest.raises(LedgerError, match=told):
        ensure_schema(ledger_url)
    with pytest.raises(LedgerError, match=told), ledger_at(ledger_url):
        pass
    with pytest.raises(LedgerError, match=told), current_ledger(ledger_url):
        pass


def test_a_failed_transaction_leaves_nothing(engine: Engine):
    def fail() -> None:
        with writing(engine) as connection:
            connection.execute(insert(counters).values(name="x", value=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM counters WHERE name = 'x'")).scalar() == 0


def test_a_reader_sees_one_state_while_another_writes(engine: Engine):
    with reading(engine) as reader:
        before = reader.execute(text("SELECT count(*) FROM counters")).scalar()
        with writing(engine) as writer:
            writer.execute(insert(counters).values(name="x", value=1))
        assert reader.execute(text("SELECT count(*) FROM counters")).scalar() == before


def test_rows_the_database_refuses_are_told_from_a_database_that_is_away(engine: Engine):
    with pytest.raises(LedgerRefused), writing(engine) as connection:
        connection.execute(insert(counters).values(name="x", value=2**70))
    with pytest.raises(LedgerRefused), writing(engine) as connection:
        connection.execute(insert(counters).values(name="x", value=None))


def test_sqlite_is_in_wal_mode_and_its_directory_is_made(sqlite_url: str, tmp_path: Path):
    ensure_schema(sqlite_url)
    with sqlite3.connect(tmp_path / "ledger" / "tollway.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "allowed are sqlite:///PATH and postgresql://"),
        ("mysql://h/d", "cannot use 'mysql'; allowed are"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_a_wrong_url_says_what_is_allowed(url: str, message: str):
    with pytest.raises(LedgerError, match=message):
        parse_url(url)


def test_postgresql_without_its_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"pip install 'tollway\[postgres\]'"):
        open_engine("postgresql://user:secret@127.0.0.1/x")


def test_a_database_that_is_away_is_a_ledger_error_without_the_password():
    with pytest.raises(LedgerError) as caught:
        ensure_schema("postgresql://user:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)
    assert "refused" in str(caught.value)


def test_a_directory_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot be made"):
        open_engine(f"sqlite:///{tmp_path}/file/x.db")


def test_reading_never_makes_a_database(tmp_path: Path):
    with pytest.raises(LedgerError, match="there is no ledger at"):
        open_existing(f"sqlite:///{tmp_path}/none/x.db")
    assert not (tmp_path / "none").exists()


def test_a_current_ledger_is_made_and_closed_again(ledger_url: str):
    """ "Brought up to date, and made if there is none: opened, and closed again." """
    with current_ledger(ledger_url) as engine:
        assert schema_version(engine) == HEAD
        opened = engine.pool
    assert engine.pool is not opened, "a disposed engine has a new pool"


def test_a_ledger_has_a_number_of_its_own(engine: Engine, tmp_path: Path):
    other = f"sqlite:///{tmp_path}/other.db"
    ensure_schema(other)
    with current_ledger(other) as second:
        assert identity(engine) == identity(engine)
        assert identity(second) not in (0, identity(engine))


def test_a_ledger_is_locked_while_somebody_writes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tollway.db"
    ensure_schema(url)
    engine, other = open_engine(url), open_engine(url)
    assert not is_locked(engine, 0.01)
    with writing(other):
        assert is_locked(engine, 0.01)
    assert not is_locked(engine, 0.01)
    assert not is_locked(open_engine(f"sqlite:///{tmp_path}"), 0.01), "a directory can be opened by nobody"


def test_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    """What asks for a ledger tries again after a `LedgerError`; a driver's own error ended it for good. The process's
    limit of file sizes plays the disk."""
    url = f"sqlite:///{tmp_path}/tollway.db"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(LedgerError, match=r"^the ledger database: "):
            ensure_schema(url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    ensure_schema(url)
