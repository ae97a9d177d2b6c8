"""One at a time is alone; the next is when it has left."""

import threading
from pathlib import Path

import pytest

from gateway.sole import in_turn, sole


def test_one_at_a_time_is_alone(tmp_path: Path) -> None:
    lock = tmp_path / "made" / "a.lock"
    with sole(lock) as first, sole(lock) as second, sole(lock.with_name("b.lock")) as other:
        assert (first, second, other) == (True, False, True)
    with sole(lock) as again:
        assert again


def test_it_is_given_back_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), sole(tmp_path / "lock"):
        raise KeyError
    with sole(tmp_path / "lock") as held:
        assert held


def test_who_waits_for_its_turn_comes_in_when_the_other_has_left(tmp_path: Path) -> None:
    seen: list[str] = []

    def other() -> None:
        with in_turn(tmp_path / "lock"):
            seen.append("other")

    with in_turn(tmp_path / "lock"):
        waiting = threading.Thread(target=other)
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
        seen.append("first")
    waiting.join(10)
    assert seen == ["first", "other"]


def test_a_lock_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), in_turn(tmp_path / "missing" / "lock"):
        pass
