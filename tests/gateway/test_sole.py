"""One at a time is alone; the next is when it has left."""

from pathlib import Path

import pytest

from gateway.sole import sole


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
