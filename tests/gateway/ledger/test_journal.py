import errno
import os
import resource
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.clock import ManualClock
from gateway.errors import LedgerError
from gateway.facts import Exchange
from gateway.ledger.journal import Journal
from gateway.ledger.segments import listing, lock_orphan
from gateway.seams import Sink
from tests.gateway.ledger.helpers import exchange, journal_lines


class Disk:
    """`os.write` with a disk that may be full: `room` bytes are left, None means plenty."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.error: int | None = None

    def write(self, fd: int, data: bytes) -> int:
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        if self.room is None:
            return os.write(fd, data)
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(fd, data[: self.room])
        self.room -= written
        return written


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journal(tmp_path: Path, disk: Disk, clock: ManualClock) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal", fsync_interval=0, clock=clock, write=disk.write)
    yield journal
    journal.close()


def kinds(journal: Journal) -> list[tuple[object, object]]:
    return [(line["t"], line["id"]) for line in journal_lines(journal.directory)]


def test_start_and_end_are_in_the_file_when_the_calls_return(journal: Journal):
    sink: Sink = journal
    x = exchange()
    assert journal.start(x)
    assert x.started
    assert kinds(journal) == [("start", x.id)]
    sink.record(x)
    assert kinds(journal) == [("start", x.id), ("end", x.id)]
    stats = journal.stats()
    assert (stats.healthy, stats.records, stats.running, stats.queued, stats.failures) == (True, 2, 0, 0, 0)
    assert stats.bytes == next(journal.directory.iterdir()).stat().st_size


def test_a_second_end_is_ignored(journal: Journal):
    x = exchange()
    journal.start(x)
    journal.finish(x)
    journal.finish(x)
    assert len(kinds(journal)) == 2


def test_a_refusal_has_an_end_without_a_start(journal: Journal):
    x = exchange(outcome="refused", started=False)
    journal.finish(x)
    assert kinds(journal) == [("end", x.id)]


def test_one_write_per_record(tmp_path: Path):
    sizes: list[int] = []

    def write(fd: int, data: bytes) -> int:
        sizes.append(len(data))
        return os.write(fd, data)

    journal = Journal(tmp_path, fsync_interval=0, write=write)
    x = exchange()
    journal.start(x)
    journal.finish(x)
    assert len(sizes) == 2
    journal.close()


def test_a_full_disk_refuses_new_requests_and_keeps_the_ends_of_running_ones(
    journal: Journal, disk: Disk, clock: ManualClock
):
    running = [exchange(number) for number in range(5)]
    assert all(journal.start(x) for x in running)
    disk.room = 0
    assert not journal.start(exchange(9))
    assert not journal.healthy
    assert journal.reason == "ENOSPC: No space left on device"
    for x in running:
        journal.finish(x)
    journal.finish(exchange(10, outcome="refused"))
    stats = journal.stats()
    assert (stats.queued, stats.running, stats.dropped) == (5, 5, 1)

    disk.room = None
    assert not journal.start(exchange(11)), "not before the retry interval"
    clock.advance(0.25)
    late = exchange(12)
    assert journal.start(late)
    assert journal.healthy
    assert kinds(journal)[5:] == [*(("end", x.id) for x in running), ("start", late.id)]
    assert (journal.stats().queued, journal.stats().running) == (0, 1)
    journal.finish(late)


def test_tick_alone_makes_it_healthy_again(journal: Journal, disk: Disk, clock: ManualClock):
    disk.room = 0
    assert not journal.start(exchange())
    clock.advance(1)
    journal.tick()
    assert not journal.healthy
    disk.room = None
    clock.advance(1)
    journal.tick()
    assert journal.healthy
    assert journal.reason == ""


def test_half_a_line_is_cut_off_again(journal: Journal, disk: Disk, clock: ManualClock):
    first, second = exchange(1), exchange(2)
    journal.start(first)
    disk.room = 7
    assert not journal.start(second)
    assert kinds(journal) == [("start", first.id)]
    disk.room = None
    clock.advance(1)
    journal.finish(first)
    assert kinds(journal) == [("start", first.id), ("end", first.id)]


def test_a_little_room_is_not_health(journal: Journal, disk: Disk, clock: ManualClock):
    """Readiness must not flap while the last block of a full disk still takes a few bytes."""
    disk.room = 0
    assert not journal.start(exchange())
    disk.room = 100
    clock.advance(1)
    journal.tick()
    assert not journal.healthy
    assert kinds(journal) == []


def test_the_queue_is_bounded(tmp_path: Path, disk: Disk, clock: ManualClock):
    journal = Journal(tmp_path, fsync_interval=0, clock=clock, write=disk.write, queue_records=3)
    running = [exchange(number) for number in range(5)]
    for x in running:
        journal.start(x)
    disk.room = 0
    for x in running:
        journal.finish(x)
    assert (journal.stats().queued, journal.stats().dropped) == (3, 2)
    disk.room = None
    journal.close()
    assert [s.done for s in listing(tmp_path)] == [False], "two starts have no end: recovery must see them"


STEPS = st.lists(
    st.one_of(
        st.just("start"),
        st.just("finish"),
        st.just("soon"),
        st.just("flush"),
        st.just("again"),
        st.just("tick"),
        st.just("rotate"),
        st.integers(0, 900),
        st.sampled_from(["plenty", "EIO"]),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, size=st.integers(200, 5000))
def test_whatever_the_disk_does_accepted_exchanges_are_whole(steps: list[str | int], size: int):
    """Every line of every segment is whole; every exchange `start` accepted has a start, and exactly one end once
    the disk has room again, however it was finished. What `finish_soon` took is written "when `flush` or the next
    `start` returns", unless the books are closed."""
    with tempfile.TemporaryDirectory() as directory:
        disk, clock = Disk(), ManualClock()
        journal = Journal(directory, fsync_interval=0, clock=clock, write=disk.write, segment_bytes=size, segment_age=5)
        accepted: list[Exchange] = []
        ended: list[Exchange] = []
        for number, step in enumerate(steps):
            clock.advance(1 if step != "rotate" else 6)
            if step == "start":
                x = exchange(number)
                assert x.started is False
                if journal.start(x):
                    accepted.append(x)
            elif step == "finish" and len(ended) < len(accepted):
                ended.append(accepted[len(ended)])
                journal.finish(ended[-1])
            elif step == "soon" and len(ended) < len(accepted):
                ended.append(accepted[len(ended)])
                journal.finish_soon(ended[-1])
            elif step == "again" and ended:
                (journal.finish_soon if number % 2 else journal.finish)(ended[number % len(ended)])
            elif step == "flush":
                journal.flush()
            elif step in ("tick", "rotate"):
                journal.tick()
            elif step not in ("finish", "soon", "again"):
                disk.error = errno.EIO if step == "EIO" else None
                disk.room = step if isinstance(step, int) else None
            if step in ("start", "flush") and journal.healthy:
                assert journal.stats().queued == 0
            lines = journal_lines(Path(directory))
            ids = {kind: [line["id"] for line in lines if line["t"] == kind] for kind in ("start", "end")}
            assert {x.id for x in accepted} == set(ids["start"])
            assert len(ids["end"]) == len(set(ids["end"]))
        disk.room = disk.error = None
        clock.advance(1)
        journal.tick()
        journal.flush()
        assert journal.healthy
        ends = [line["id"] for line in journal_lines(Path(directory)) if line["t"] == "end"]
        assert sorted(map(str, ends)) == sorted(x.id for x in ended)
        journal.close()
        assert all(s.done for s in listing(Path(directory))) == (len(ended) == len(accepted))


def test_ends_share_a_write_with_each_other_and_the_next_start(tmp_path: Path):
    sizes: list[int] = []

    def write(fd: int, data: bytes) -> int:
        sizes.append(len(data))
        return os.write(fd, data)

    journal = Journal(tmp_path, fsync_interval=0, write=write)
    running = [exchange(number) for number in range(6)]
    for x in running:
        journal.start(x)
    sizes.clear()
    for x in running[:3]:
        journal.finish_soon(x)
    assert (sizes, journal.stats().queued, journal.stats().running) == ([], 3, 6)
    late = exchange(7)
    assert journal.start(late)
    assert len(sizes) == 1
    assert kinds(journal)[6:] == [*(("end", x.id) for x in running[:3]), ("start", late.id)]
    journal.finish_soon(running[3])
    journal.finish_soon(running[4])
    journal.flush()
    journal.flush()
    assert len(sizes) == 2
    assert journal.stats().queued == 0
    journal.finish(running[5])
    journal.finish(late)
    journal.close()
    assert all(s.done for s in listing(tmp_path))


def test_no_more_ends_wait_than_one_turn_brings(journal: Journal):
    running = [exchange(number) for number in range(200)]
    for x in running:
        journal.start(x)
    most = 0
    for x in running:
        journal.finish_soon(x)
        most = max(most, journal.stats().queued)
    journal.flush()
    assert most == 64
    assert [line for line in kinds(journal) if line[0] == "end"] == [("end", x.id) for x in running]


@pytest.mark.parametrize("room", [*range(0, 1200, 37), None])
def test_a_joined_write_cut_short_keeps_its_whole_lines_and_repeats_the_rest(
    journal: Journal, disk: Disk, clock: ManualClock, room: int | None
):
    running = [exchange(number) for number in range(3)]
    for x in running:
        journal.start(x)
    for x in running:
        journal.finish_soon(x)
    disk.room = room
    late = exchange(9)
    started = journal.start(late)
    assert started is journal.healthy is late.started
    written = [id_ for kind, id_ in kinds(journal) if kind == "end"]
    assert written == [x.id for x in running[: len(written)]]
    assert journal.stats().queued == 3 - len(written)
    assert journal.stats().running == 3 - len(written) + started
    disk.room = None
    clock.advance(1)
    journal.tick()
    expected = [("end", x.id) for x in running]
    assert [line for line in kinds(journal) if line[0] == "end"] == expected
    assert (("start", late.id) in kinds(journal)) is started
    if started:
        journal.finish(late)


@pytest.mark.parametrize("first", ["finish", "finish_soon"])
@pytest.mark.parametrize("second", ["finish", "finish_soon"])
@pytest.mark.parametrize("room", [None, 0])
def test_an_end_taken_twice_is_written_once(
    journal: Journal, disk: Disk, clock: ManualClock, first: str, second: str, room: int | None
):
    """ "A second end of a started exchange is ignored", also while the first one waits."""
    x = exchange()
    journal.start(x)
    disk.room = room
    getattr(journal, first)(x)
    getattr(journal, second)(x)
    disk.room = None
    clock.advance(1)
    journal.tick()
    journal.flush()
    getattr(journal, second)(x)
    assert kinds(journal) == [("start", x.id), ("end", x.id)]
    assert (journal.stats().queued, journal.stats().running) == (0, 0)


def test_an_end_behind_ends_that_wait_is_written_behind_them(journal: Journal):
    one, two = exchange(1), exchange(2)
    journal.start(one)
    journal.start(two)
    journal.finish_soon(one)
    journal.finish(two)
    refusal = exchange(3, outcome="refused")
    journal.finish_soon(refusal)
    assert journal.stats().queued == 0, "who was never started has nothing to wait for"
    assert kinds(journal)[2:] == [("end", one.id), ("end", two.id), ("end", refusal.id)]


def test_a_rotation_between_takes_the_starts_of_ends_that_wait_along(tmp_path: Path, clock: ManualClock):
    """Recovery reads only the newest segment: an end that is still to be written must find its start there."""
    journal = Journal(tmp_path, fsync_interval=0, clock=clock, segment_age=5)
    x = exchange()
    journal.start(x)
    journal.finish_soon(x)
    clock.advance(6)
    journal.tick()
    assert journal.rotations == 1
    assert journal_lines(tmp_path)[-1]["t"] == "start"
    journal.flush()
    newest = listing(tmp_path)[-1].path(tmp_path).read_bytes().splitlines()
    assert [x.id.encode() in line for line in newest] == [True, True]
    journal.close()
    assert all(s.done for s in listing(tmp_path))


def test_a_full_segment_is_left_before_ends_are_written(tmp_path: Path):
    journal = Journal(tmp_path, fsync_interval=0, segment_bytes=500)
    running = [exchange(number) for number in range(5)]
    for x in running:
        journal.start(x)
        journal.finish_soon(x)
    journal.flush()
    assert journal.rotations > 1
    ends = [line["id"] for line in journal_lines(tmp_path) if line["t"] == "end"]
    assert ends == [x.id for x in running]
    journal.close()
    assert all(s.done for s in listing(tmp_path))


@pytest.mark.parametrize("full", [False, True])
def test_closing_writes_the_ends_that_wait(tmp_path: Path, disk: Disk, full: bool):
    journal = Journal(tmp_path, fsync_interval=0, write=disk.write)
    x = exchange()
    journal.start(x)
    journal.finish_soon(x)
    disk.room = 0 if full else None
    journal.close()
    journal.flush()
    assert [s.done for s in listing(tmp_path)] == [not full], "what has no end is left to recovery"
    assert len(journal_lines(tmp_path)) == (1 if full else 2)


def test_rotation_by_size_carries_running_starts_on(tmp_path: Path, disk: Disk):
    journal = Journal(tmp_path, fsync_interval=0, write=disk.write, segment_bytes=2000)
    long_one = exchange(0)
    journal.start(long_one)
    for number in range(1, 6):
        x = exchange(number)
        journal.start(x)
        journal.finish(x)
    assert journal.rotations >= 1
    segments = listing(tmp_path)
    assert [s.done for s in segments] == [True] * (len(segments) - 1) + [False]
    newest = segments[-1].path(tmp_path).read_bytes()
    assert long_one.id.encode() in newest.splitlines()[0]
    journal.finish(long_one)
    journal.close()
    assert all(s.done for s in listing(tmp_path))


def test_rotation_by_age_happens_on_tick(journal: Journal, clock: ManualClock):
    journal.tick()
    clock.advance(601)
    journal.tick()
    assert journal.rotations == 0, "an empty segment is not rotated"
    journal.finish(exchange(outcome="refused"))
    journal.tick()
    assert journal.rotations == 1


def test_no_room_for_a_new_segment_goes_on_in_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    journal = Journal(tmp_path, fsync_interval=0, segment_bytes=1000)
    real_open = os.open

    def no_inode(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_open(path, flags, mode)

    monkeypatch.setattr(os, "open", no_inode)
    exchanges = [exchange(number) for number in range(10)]
    for x in exchanges:
        assert journal.start(x)
        journal.finish(x)
    assert journal.healthy
    assert journal.failures > 0
    assert len(journal_lines(tmp_path)) == 20
    monkeypatch.undo()
    journal.close()


def test_a_journal_deleted_under_us_is_opened_anew(tmp_path: Path):
    directory = tmp_path / "journal"
    journal = Journal(directory, fsync_interval=0)
    x = exchange(1)
    journal.start(x)
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
    journal.sync()
    y = exchange(2)
    assert journal.start(y)
    assert kinds(journal) == [("start", x.id), ("start", y.id)]
    journal.finish(x)
    journal.finish(y)
    journal.close()


def test_a_sync_that_fails_closes_the_books_until_one_succeeds(
    journal: Journal, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    x = exchange(1)
    journal.start(x)

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    journal.sync()
    assert not journal.healthy
    clock.advance(1)
    assert not journal.start(exchange(2))
    monkeypatch.undo()
    journal.sync()
    clock.advance(1)
    assert journal.start(exchange(3))
    assert journal.rotations == 1, "what a failed sync did to the old segment is not known: go on in a new one"


def test_the_background_thread_syncs_on_its_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import threading

    synced = threading.Event()
    real = os.fsync

    def fsync(fd: int) -> None:
        real(fd)
        synced.set()

    monkeypatch.setattr(os, "fsync", fsync)
    journal = Journal(tmp_path, fsync_interval=0.01)
    journal.finish(exchange(outcome="refused"))
    assert synced.wait(60)
    journal.close()


def test_close_marks_the_segment_complete(tmp_path: Path):
    journal = Journal(tmp_path)
    x = exchange()
    journal.start(x)
    journal.finish(x)
    journal.close()
    assert [s.done for s in listing(tmp_path)] == [True]
    assert not journal.start(exchange(2)), "closed books take nothing"
    journal.close()


def test_close_leaves_a_segment_with_a_running_exchange_to_recovery(tmp_path: Path):
    journal = Journal(tmp_path)
    journal.start(exchange())
    journal.close()
    [segment] = listing(tmp_path)
    assert not segment.done
    fd = lock_orphan(segment.path(tmp_path))
    assert fd is not None
    os.close(fd)


def test_an_unused_journal_leaves_no_file(tmp_path: Path):
    Journal(tmp_path).close()
    assert listing(tmp_path) == []


def test_an_exchange_that_cannot_be_written_is_left_to_recovery(journal: Journal):
    x = exchange()
    journal.start(x)
    x.status = object()  # type: ignore[assignment]
    journal.finish(x)
    assert (journal.stats().running, journal.failures) == (1, 1)
    journal.close()
    assert [s.done for s in listing(journal.directory)] == [False]


def test_a_directory_that_cannot_be_made_is_said_at_start(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot be made: Not a directory"):
        Journal(tmp_path / "file" / "journal")


def test_a_disk_full_at_start_recovers(tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch):
    real_open = os.open

    def full(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_open(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    journal = Journal(tmp_path, fsync_interval=0, clock=clock)
    assert not journal.healthy
    assert not journal.start(exchange())
    journal.finish(exchange(outcome="refused"))
    monkeypatch.undo()
    clock.advance(1)
    x = exchange()
    assert journal.start(x)
    journal.finish(x)
    journal.close()


def test_dev_full_is_a_disk_that_is_really_full(tmp_path: Path, clock: ManualClock):
    """The kernel's own ENOSPC, not our idea of it."""
    full = os.open("/dev/full", os.O_WRONLY)
    broken = True

    def write(fd: int, data: bytes) -> int:
        return os.write(full if broken else fd, data)

    journal = Journal(tmp_path, fsync_interval=0, clock=clock, write=write)
    assert not journal.start(exchange())
    assert journal.reason.startswith("ENOSPC")
    broken = False
    clock.advance(1)
    x = exchange()
    assert journal.start(x)
    journal.finish(x)
    journal.close()
    os.close(full)


def test_a_real_file_size_limit_in_a_child_process(tmp_path: Path):
    """RLIMIT_FSIZE makes the kernel cut a write short, as a disk does when it fills up."""
    program = textwrap.dedent("""
        import resource, sys
        from gateway.clock import ManualClock
        from gateway.ledger.journal import Journal
        from tests.gateway.ledger.helpers import exchange
        clock = ManualClock()
        journal = Journal(sys.argv[1], fsync_interval=0, clock=clock)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
        accepted = []
        for number in range(100):
            x = exchange(number)
            if not journal.start(x):
                break
            accepted.append(x)
        assert not journal.healthy and len(accepted) < 20, journal.stats()
        for x in accepted:
            journal.finish(x)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        clock.advance(1)
        journal.tick()
        assert journal.healthy, journal.stats()
        journal.close()
        print(len(accepted))
    """)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    lines = journal_lines(tmp_path)
    ends = [line["id"] for line in lines if line["t"] == "end"]
    assert len(ends) == len(set(map(str, ends))) == int(done.stdout)
    assert {line["id"] for line in lines if line["t"] == "start"} == set(ends)
