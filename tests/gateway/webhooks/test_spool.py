"""The spool: one of each event, whole, whatever happens."""

import errno
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


def test_it_is_bounded_and_what_went_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process counts now and then, so that all together pass the bound by `UNCOUNTED` each at most."""
    monkeypatch.setattr("gateway.webhooks.spool.MOST_EVENTS", 20)
    monkeypatch.setattr("gateway.webhooks.spool.UNCOUNTED", 3)
    monkeypatch.setattr("gateway.webhooks.spool.UNSEEN", 4)
    workers = [Spool(tmp_path) for _ in range(4)]
    errors: list[int | None] = []
    for number in range(100):
        try:
            workers[number % 4].put(event(f"evt_{number}"))
        except OSError as error:
            errors.append(error.errno)
    kept = workers[0].names()
    assert 20 <= len(kept) < 20 + 4 * 3
    assert errors == [errno.EDQUOT] * (100 - len(kept))
    for name in kept:
        workers[0].forget(event(name))
    refused = 0
    while refused < 100:
        try:
            workers[0].put(event("evt_again"))
            break
        except OSError:
            refused += 1
    assert refused <= 4
    assert workers[0].names() == ["evt_again"]


def test_dead_letters_are_kept_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ "`MOST_DEAD` of them, for `DEAD_KEPT`" """
    monkeypatch.setattr("gateway.webhooks.spool.MOST_DEAD", 3)
    spool, now_ns = Spool(tmp_path), 2_000_000_000 * 10**9
    assert spool.bury(now_ns) == (0, 0)
    for day in range(6):
        spool.note(event(f"evt_{day}"), "a", Progress(outcome="dead"))
        os.utime(tmp_path / "dead" / f"evt_{day}.a", ns=(0, now_ns - day * 86_400 * 10**9))
    assert spool.bury(now_ns) == (3, 3)
    assert [letter.event.id for letter in spool.dead()] == ["evt_0", "evt_1", "evt_2"]
    assert spool.bury(now_ns + 29 * 86_400 * 10**9) == (2, 1)
    assert spool.bury(now_ns + 31 * 86_400 * 10**9) == (0, 2)
