import errno
import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.clock import ManualClock, SystemClock
from gateway.ledger.events import end_line, start_line
from gateway.ledger.journal import Journal
from gateway.ledger.recovery import recover
from gateway.ledger.segments import Segment, listing
from tests.gateway.ledger.helpers import exchange, journal_lines

CLOCK = SystemClock()


def write_segment(directory: Path, sequence: int, *lines: bytes, done: bool = False, writer: str = "w") -> Path:
    path = Segment(writer, sequence, done).path(directory)
    path.write_bytes(b"".join(lines))
    return path


def outcomes(directory: Path) -> dict[object, object]:
    """id → outcome; fails when an id ended twice."""
    ends = [line for line in journal_lines(directory) if line["t"] == "end"]
    assert len({line["id"] for line in ends}) == len(ends)
    return {line["id"]: line["outcome"] for line in ends}


def test_a_start_without_an_end_becomes_interrupted(tmp_path: Path):
    finished, cut = exchange(1), exchange(2)
    path = write_segment(tmp_path, 1, start_line(finished), start_line(cut), end_line(finished), b'{"t":"end","v')
    os.utime(path, ns=(0, cut.received_ns + 777))
    result = recover(tmp_path, CLOCK)
    assert (result.writers, result.interrupted, result.torn_bytes, result.failed) == (1, 1, 13, 0)
    assert outcomes(tmp_path) == {finished.id: "ok", cut.id: "interrupted"}
    assert [s.done for s in listing(tmp_path)] == [True]
    booked = journal_lines(tmp_path)[-1]
    assert booked["usage"] == {"input_tokens": 100, "output_tokens": 50}
    assert booked["usage_estimated"] is True
    assert booked["cost_nanos"] == 45_000
    assert booked["finished_ns"] == cut.received_ns + 777, "the last sign of life, not the time of recovery"


def test_a_living_writer_is_left_alone(tmp_path: Path):
    journal = Journal(tmp_path, fsync_interval=0)
    x = exchange()
    journal.start(x)
    assert recover(tmp_path, CLOCK).writers == 0
    journal.finish(x)
    assert outcomes(tmp_path) == {x.id: "ok"}
    journal.close()


def test_a_journal_closed_in_the_middle_is_recovered(tmp_path: Path):
    journal = Journal(tmp_path)
    x = exchange()
    journal.start(x)
    journal.close()
    assert recover(tmp_path, CLOCK).interrupted == 1
    assert recover(tmp_path, CLOCK).writers == 0


def test_a_death_during_rotation_books_each_exchange_once(tmp_path: Path):
    """The new segment is there and the old one not yet marked complete; one exchange ended in the new one."""
    a, b = exchange(1), exchange(2)
    write_segment(tmp_path, 1, start_line(a), start_line(b))
    write_segment(tmp_path, 2, start_line(a), start_line(b), end_line(a))
    assert recover(tmp_path, CLOCK).interrupted == 1
    assert outcomes(tmp_path) == {a.id: "ok", b.id: "interrupted"}
    assert all(s.done for s in listing(tmp_path))


def test_a_start_that_only_the_segment_before_holds_is_found(tmp_path: Path):
    """A lost machine may lose the beginning of the newest segment, which was not synced yet."""
    a, b = exchange(1), exchange(2)
    write_segment(tmp_path, 1, start_line(a), start_line(b), end_line(b), done=True)
    write_segment(tmp_path, 2, b"\0" * 100)
    recover(tmp_path, CLOCK)
    assert outcomes(tmp_path) == {a.id: "interrupted", b.id: "ok"}


def test_writers_do_not_disturb_each_other(tmp_path: Path):
    a, b = exchange(1), exchange(2)
    write_segment(tmp_path, 1, start_line(a), writer="one")
    write_segment(tmp_path, 1, start_line(b), writer="two")
    assert recover(tmp_path, CLOCK).writers == 2
    assert outcomes(tmp_path) == {a.id: "interrupted", b.id: "interrupted"}


def test_a_leftover_of_a_death_while_making_a_segment_is_removed_later(tmp_path: Path):
    (tmp_path / "w.000001.open.tmp").touch()
    recover(tmp_path, ManualClock(os.stat(tmp_path / "w.000001.open.tmp").st_mtime_ns))
    assert len(list(tmp_path.iterdir())) == 1
    recover(tmp_path, ManualClock(os.stat(tmp_path / "w.000001.open.tmp").st_mtime_ns + 61 * 10**9))
    assert list(tmp_path.iterdir()) == []


def test_an_empty_or_missing_directory(tmp_path: Path):
    assert recover(tmp_path, CLOCK).writers == 0
    assert recover(tmp_path / "missing", CLOCK).writers == 0


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_killed_at_any_byte_and_recovered_with_any_fault_every_exchange_ends_once(data: st.DataObject):
    """Cut the file anywhere; let recovery itself be cut at any byte, up to three times; then every whole start has
    exactly one end, and ends that were whole are untouched."""
    exchanges = [exchange(number) for number in range(4)]
    lines = [
        *(start_line(x) for x in exchanges[:3]),
        end_line(exchanges[1]),
        start_line(exchanges[3]),
        end_line(exchanges[0]),
    ]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        path = write_segment(directory, 1, whole[:cut])
        kept = whole[: whole[:cut].rfind(b"\n") + 1].splitlines()
        for room in data.draw(st.lists(st.integers(0, 1500), max_size=3)):
            left = [room]

            def write(fd: int, part: bytes, left: list[int] = left) -> int:
                if left[0] == 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
                written = os.write(fd, part[: left[0]])
                left[0] -= written
                return written

            if recover(directory, CLOCK, write).failed:
                assert path.exists()
                assert path.read_bytes().endswith(b"\n") or not path.read_bytes()
        recover(directory, CLOCK)
        assert recover(directory, CLOCK).writers == 0
        started = {x.id for x in exchanges if start_line(x)[:-1] in kept}
        ended = {x.id for x in exchanges if end_line(x)[:-1] in kept}
        assert outcomes(directory) == {id: "ok" if id in ended else "interrupted" for id in started}
