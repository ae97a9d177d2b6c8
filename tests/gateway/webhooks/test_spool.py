"""The spool: one of each event, whole, whatever happens."""

import os
from pathlib import Path

import pytest

from gateway.webhooks.spool import Event, Progress, Spool


def event(name: str = "evt_1", **changes: object) -> Event:
    fields: dict[str, object] = {
        "id": name, "kind": "budget.soft", "at_ns": 1, "forget_ns": 10, "endpoints": ("a", "b"), "body": '{"x":"ü"}',
    }  # fmt: skip
    return Event(**{**fields, **changes})  # type: ignore[arg-type]


def test_an_event_is_kept_once(tmp_path: Path) -> None:
    spool, other = Spool(tmp_path / "s"), Spool(tmp_path / "s")
    assert spool.names() == []
    assert spool.put(event())
    assert not other.put(event(body="another"))
    assert other.names() == ["evt_1"]
    assert other.event("evt_1") == event()
    spool.sync("evt_1")


def test_progress_and_dead_letters(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(event())
    assert spool.progress("evt_1", "a") == Progress()
    spool.note(event(), "a", Progress(attempts=2, next_ns=7, error="status 500"))
    assert Spool(tmp_path).progress("evt_1", "a") == Progress(attempts=2, next_ns=7, error="status 500")
    assert spool.dead() == []
    spool.note(event(), "b", Progress(attempts=9, outcome="dead", error="ConnectError"))
    spool.forget(event())
    assert spool.names() == []
    assert spool.progress("evt_1", "b") == Progress()
    (dead,) = spool.dead()
    assert (dead.event, dead.endpoint, dead.attempts, dead.error) == (event(), "b", 9, "ConnectError")


def test_what_cannot_be_read_is_no_event(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(event())
    (tmp_path / "events" / "evt_2").write_text("{")
    (tmp_path / "events" / ".evt_3.17").write_text("half of one, whose process died")
    assert sorted(spool.names()) == ["evt_1", "evt_2"]
    assert spool.event("evt_2") is None
    assert spool.event("evt_9") is None


def test_one_delivers(tmp_path: Path) -> None:
    with Spool(tmp_path).sole() as first:
        assert first
        with Spool(tmp_path).sole() as second:
            assert not second
    with Spool(tmp_path).sole() as again:
        assert again


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("a file where a directory should be")
    with pytest.raises(OSError, match=os.strerror(20)):
        Spool(tmp_path).put(event())
