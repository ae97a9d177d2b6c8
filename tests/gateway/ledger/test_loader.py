import io
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, select

from gateway.clock import ManualClock
from gateway.errors import LedgerError
from gateway.ledger import loader as module
from gateway.ledger import segments as segments_module
from gateway.ledger.events import end_line, record_line, start_line
from gateway.ledger.journal import Journal
from gateway.ledger.loader import Loader, loader_lock, main
from gateway.ledger.options import LoaderOptions
from gateway.ledger.segments import Segment, listing
from gateway.ledger.status import read_status
from gateway.ledger.store import open_engine, reading
from gateway.ledger.tables import segments
from tests.gateway.ledger.helpers import count, end, exchange, until
from tests.gateway.ledger.helpers import write_segment as write

QUICK = LoaderOptions(poll=0.01, recover_every=0, status_every=0, back_off_most=0.05, drain=5, retain_events=None)


@pytest.fixture
def loader(ledger_url: str, directory: Path) -> Iterator[Loader]:
    loader = Loader(ledger_url, directory, options=QUICK)
    yield loader
    loader.close()


def test_it_follows_a_living_journal(loader: Loader, ledger_url: str, directory: Path):
    journal = Journal(directory, fsync_interval=0, segment_bytes=3000)
    for number in range(10):
        x = exchange(number)
        journal.start(x)
        journal.finish(x)
        loader.step()
        assert count(ledger_url) == (number + 1, number + 1)
    assert journal.rotations > 1
    assert loader.step() == 0
    journal.close()
    loader.step()
    assert count(ledger_url) == (10, 10)
    assert loader.duplicates == 0
    assert loader.lag_bytes() == 0


def test_a_new_loader_goes_on_where_the_last_one_stopped(ledger_url: str, directory: Path):
    write(directory, *(record_line(end(number)) for number in range(5)))
    for _ in range(2):
        loader = Loader(ledger_url, directory, options=QUICK)
        loader.step()
        loader.close()
    assert count(ledger_url) == (5, 5)
    assert loader.loaded == loader.duplicates == 0


def test_lost_offsets_do_not_count_twice(loader: Loader, ledger_url: str, directory: Path):
    path = write(directory, *(record_line(end(number)) for number in range(5)))
    loader.step()
    path.rename(Segment("other", 1, True).path(directory))
    loader.step()
    assert (loader.loaded, loader.duplicates) == (5, 5)
    assert count(ledger_url) == (5, 5)


def test_large_segments_are_read_in_pieces(
    loader: Loader, ledger_url: str, directory: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(segments_module, "CHUNK", 1000)
    write(directory, *(record_line(end(number)) for number in range(50)))
    loader.step()
    assert count(ledger_url) == (50, 50)


def test_a_torn_line_waits_while_the_segment_is_open(loader: Loader, ledger_url: str, directory: Path):
    journal = Journal(directory, fsync_interval=0)
    x = exchange()
    journal.finish(x)
    [segment] = listing(directory)
    line = end_line(exchange(2))
    with segment.path(directory).open("ab") as file:
        file.write(line[:20])
        file.flush()
        loader.step()
        assert count(ledger_url) == (1, 1)
        assert loader.lag_bytes() == 20
        file.write(line[20:])
    loader.step()
    assert count(ledger_url) == (2, 2)
    journal.close()


def test_a_torn_line_of_a_complete_segment_is_over(loader: Loader, ledger_url: str, directory: Path):
    write(directory, record_line(end(1)), b'{"t":"end","v":1,')
    loader.step()
    assert count(ledger_url) == (1, 1)
    assert (loader.lag_bytes(), loader.rejected) == (0, 0)


def test_bad_lines_are_counted_and_their_segment_is_kept(ledger_url: str, directory: Path):
    clock = ManualClock(time.time_ns())
    options = LoaderOptions(recover_every=0, care_every=0, retain_segments=60, retain_events=None, status_every=0)
    loader = Loader(ledger_url, directory, clock=clock, options=options)
    later = record_line(end(3)).replace(b'"v":1', b'"v":2')
    bad = write(directory, record_line(end(1)), b"\0\0\0garbage\n", later, record_line(end(2)))
    good = write(directory, record_line(end(4)), sequence=2)
    loader.step()
    assert count(ledger_url) == (3, 3)
    assert loader.rejected == 2
    assert bad.exists()
    clock.advance(120)
    loader.step()
    loader.step()
    assert not bad.exists()
    assert not good.exists()
    assert [path.name for path in (directory / "rejected").iterdir()] == [bad.name]
    assert count(ledger_url) == (3, 3)
    engine = open_engine(ledger_url)
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(segments)).scalar() == 0
    engine.dispose()
    loader.close()


def test_a_line_only_the_database_refuses_does_not_stop_the_others(loader: Loader, ledger_url: str, directory: Path):
    """A status beyond 64 bits passes our reading and overflows the column."""
    write(directory, *(record_line(end(number, status=2**70 if number == 3 else 200)) for number in range(6)))
    loader.step()
    assert count(ledger_url) == (5, 5)
    assert loader.rejected == 1
    assert loader.lag_bytes() == 0


def test_it_recovers_dead_writers_by_itself(loader: Loader, ledger_url: str, directory: Path):
    write(directory, start_line(exchange()), done=False)
    loader.step()
    loader.step()
    assert loader.interrupted == 1
    assert count(ledger_url) == (1, 1)


def test_a_database_that_is_away_shows_in_the_status_and_comes_back(directory: Path, tmp_path: Path):
    """The parent of the database is a file at first: no directory can be made there."""
    blocker = tmp_path / "ledger"
    blocker.touch()
    size = write(directory, record_line(end(1))).stat().st_size
    url = f"sqlite:///{blocker}/x.db"
    loader = Loader(url, directory, options=QUICK)
    stop = threading.Event()
    thread = threading.Thread(target=loader.run, args=(stop,))
    thread.start()
    until(lambda: (status := read_status(directory)) is not None and status.database == "away")
    status = read_status(directory)
    assert status is not None
    assert status.lag_bytes == size
    assert "cannot be made" in status.error
    blocker.unlink()
    until(lambda: (status := read_status(directory)) is not None and status.database == "ok")
    stop.set()
    thread.join()
    assert count(url) == (1, 1)


def test_stopping_loads_what_is_left_first(sqlite_url: str, directory: Path):
    write(directory, *(record_line(end(number)) for number in range(5)))
    stop = threading.Event()
    stop.set()
    Loader(sqlite_url, directory, options=QUICK).run(stop)
    assert count(sqlite_url) == (5, 5)


def test_stopping_does_not_wait_for_a_database_that_is_away(directory: Path):
    write(directory, record_line(end(1)))
    stop = threading.Event()
    stop.set()
    begun = time.monotonic()
    Loader("postgresql://nobody@127.0.0.1:1/x", directory, options=QUICK).run(stop)
    assert time.monotonic() - begun < 20


def test_a_lost_answer_to_commit_counts_nothing_twice(
    ledger_url: str, directory: Path, monkeypatch: pytest.MonkeyPatch
):
    """The transaction was committed and the connection broke before we heard of it."""
    write(directory, *(record_line(end(number)) for number in range(5)))
    real, failures = module.writing, [1]

    @contextmanager
    def writing(engine: Engine) -> Generator[Connection]:
        with real(engine) as connection:
            yield connection
        if failures:
            failures.pop()
            raise LedgerError("the connection was lost")

    monkeypatch.setattr(module, "writing", writing)
    stop = threading.Event()
    loader = Loader(ledger_url, directory, options=QUICK)
    thread = threading.Thread(target=loader.run, args=(stop,))
    thread.start()
    until(lambda: not failures and (status := read_status(directory)) is not None and status.database == "ok")
    stop.set()
    thread.join()
    assert count(ledger_url) == (5, 5)
    assert (loader.lag_bytes(), loader.duplicates) == (0, 0)


def test_one_loader_per_journal(directory: Path):
    stop = threading.Event()
    got: list[bool] = []

    def second() -> None:
        with loader_lock(directory, stop, poll=0.01) as held:
            got.append(held)

    with loader_lock(directory, stop) as held:
        assert held
        thread = threading.Thread(target=second)
        thread.start()
        assert not got
    thread.join()
    assert got == [True]
    with loader_lock(directory, stop):
        stop.set()
        second()
    assert got == [True, False]


def test_postgresql_stopped_and_started_again_loses_and_doubles_nothing(postgres, directory: Path):
    url = postgres.new_database()
    loader = Loader(url, directory, options=QUICK)
    stop = threading.Event()
    thread = threading.Thread(target=loader.run, args=(stop,))
    thread.start()
    journal = Journal(directory, segment_bytes=50_000)
    written = 0

    def write_some(number: int) -> None:
        nonlocal written
        for _ in range(number):
            x = exchange(written)
            assert journal.start(x)
            journal.finish(x)
            written += 1

    write_some(200)
    until(lambda: loader.loaded >= 1)
    for _ in range(2):
        write_some(300)
        postgres.stop()
        write_some(300)
        until(lambda: (status := read_status(directory)) is not None and status.database == "away")
        assert journal.healthy
        postgres.start()
        write_some(50)
        until(lambda: (status := read_status(directory)) is not None and status.database == "ok")
    journal.close()
    stop.set()
    thread.join()
    assert count(url) == (written, written)


def test_the_command_line_says_what_is_wrong(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(SystemExit) as caught:
        main(["--journal", str(directory)])
    assert caught.value.code == 2
    assert "--url, or the URL as the first line of standard input" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--journal", str(directory), "--url", "sqlite:///x", "--options", "{"])
    assert "--options" in capsys.readouterr().err


def test_a_loader_stopped_before_it_began_still_has_its_turn(tmp_path: Path):
    stop = threading.Event()
    stop.set()
    with loader_lock(tmp_path, stop) as held:
        assert held
        with loader_lock(tmp_path, stop, poll=0.01) as second:
            assert not second


def test_a_status_that_cannot_be_written_is_said_once(
    loader: Loader, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk would fill the log as well: every second a line."""
    directory.mkdir(exist_ok=True)
    status = directory / "loader.json"
    status.unlink(missing_ok=True)
    for _ in range(2):
        status.mkdir()
        for _ in range(3):
            loader.step()
        status.rmdir()
        loader.step()
        status.unlink()
    said = [record.message for record in caplog.records]
    assert said == ["the loader's status cannot be written: Is a directory"] * 2
