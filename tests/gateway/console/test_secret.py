import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway.console.secret import FILE, SIZE, signing_key


def test_the_servers_secret_makes_the_same_key_everywhere(tmp_path: Path):
    assert signing_key(b"s" * 16, str(tmp_path / "a")) == signing_key(b"s" * 16, str(tmp_path / "b"))
    assert signing_key(b"s" * 16, str(tmp_path)) != signing_key(b"t" * 16, str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_without_one_a_key_is_kept_that_only_its_owner_reads(tmp_path: Path):
    key = signing_key(None, str(tmp_path / "run"))
    assert len(key) == SIZE
    assert signing_key(None, str(tmp_path / "run")) == key
    assert (tmp_path / "run" / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "run").iterdir()] == [FILE]


def test_workers_that_start_at_one_time_agree(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: signing_key(None, str(tmp_path)), range(32)))) == 1


def test_a_key_that_others_could_read_or_that_is_cut_is_replaced(tmp_path: Path):
    key = signing_key(None, str(tmp_path))
    os.chmod(tmp_path / FILE, 0o644)
    fresh = signing_key(None, str(tmp_path))
    assert fresh != key
    (tmp_path / FILE).write_bytes(b"short")
    assert len(signing_key(None, str(tmp_path))) == SIZE


def test_a_directory_that_cannot_be_written_still_gives_a_key(tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert len(signing_key(None, str(tmp_path / "file" / "below"))) == SIZE
