import errno
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import segments
from gateway.ledger.segments import Segment, create, listing, lock_orphan, parse, read_lines


@given(writer=st.text(min_size=1), sequence=st.integers(0, 10**9), done=st.booleans())
def test_a_name_reads_back(writer: str, sequence: int, done: bool):
    segment = Segment(writer, sequence, done)
    assert parse(segment.path(Path()).name if "/" not in writer and writer != "." else "x.1.open") in (
        segment,
        Segment("x", 1, False),
    )


@pytest.mark.parametrize(
    "name", ["loader.json", "loader.lock", "a.open", ".1.open", "a.1.open.tmp", "a.x.done", "a.².open"]
)
def test_other_files_are_no_segments(name: str):
    assert parse(name) is None


def test_listing_is_in_writing_order(tmp_path: Path):
    for name in ("b.000002.open", "a.000010.open", "b.000001.done", "a.000009.done", "loader.json"):
        (tmp_path / name).touch()
    assert [s.name for s in listing(tmp_path)] == ["a.000009", "a.000010", "b.000001", "b.000002"]
    assert listing(tmp_path / "missing") == []


def test_a_segment_is_locked_before_anybody_can_see_it(tmp_path: Path):
    seen: list[list[Segment]] = []

    def write(fd: int, data: bytes) -> int:
        seen.append(listing(tmp_path))
        return os.write(fd, data)

    segment = Segment("w", 1, False)
    fd = create(tmp_path, segment, b"head\n", write)
    assert seen == [[]]
    assert segment.path(tmp_path).read_bytes() == b"head\n"
    assert lock_orphan(segment.path(tmp_path)) is None
    os.close(fd)
    orphan = lock_orphan(segment.path(tmp_path))
    assert orphan is not None
    assert lock_orphan(segment.path(tmp_path)) is None
    os.close(orphan)


def test_no_room_for_a_segment_leaves_nothing_behind(tmp_path: Path):
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        create(tmp_path, Segment("w", 1, False), b"head\n", full)
    assert list(tmp_path.iterdir()) == []


@given(
    lines=st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=20),
    tail=st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")),
    chunk=st.integers(1, 40),
    complete=st.booleans(),
)
def test_any_chunk_size_reads_the_same_lines(lines: list[bytes], tail: bytes, chunk: int, complete: bool):
    data = b"".join(line + b"\n" for line in lines) + tail
    file = io.BytesIO(data)
    read: list[bytes] = []
    at = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "CHUNK", chunk)
        while True:
            file.seek(at)
            some, taken, rejected = read_lines(file, complete=complete)
            assert rejected == 0
            if not taken:
                break
            read += some
            at += taken
    assert read == lines
    assert at == len(data) - (0 if complete else len(tail))


def test_a_long_run_without_a_newline_is_skipped_as_one_bad_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(segments, "CHUNK", 10)
    monkeypatch.setattr(segments, "MAX_LINE", 40)
    file = io.BytesIO(b"\0" * 60 + b"\nrest\n")
    assert read_lines(file, complete=False) == ([], 40, 1)
    file.seek(40)
    assert read_lines(file, complete=False)[0][0] == b"\0" * 20
