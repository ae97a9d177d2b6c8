"""Configurations in a ledger: one entry of many workers, refusals, bounds, who brought them."""

import threading

import pytest
from sqlalchemy import Engine

from gateway.ledger import config_history
from gateway.ledger.config_history import CLAIM_NS, START, ConfigHistory, KeptFile, Origin

T0 = 1_700_000_000 * 10**9
CHANGE = Origin("file change")


def files(text: str = "version: 1\n") -> list[KeptFile]:
    return [KeptFile("gateway.yaml", text)]


@pytest.fixture
def history(engine: Engine) -> ConfigHistory:
    return ConfigHistory(engine, "/etc/tollway/gateway.yaml")


def put(history: ConfigHistory, hash: str, at: int = 0, origin: Origin = CHANGE, since: int | None = None) -> bool:
    """In force since `at` seconds after the beginning."""
    since_ns = None if since is None else T0 + since * 10**9
    return history.in_force(
        at_ns=T0 + at * 10**9, hash=hash, files=files(hash), origin=origin, changes=[f"to {hash}"], since_ns=since_ns
    )


def test_versions_and_refusals(history: ConfigHistory) -> None:
    assert history.list() == []
    assert history.find(1) is None
    assert put(history, "a", origin=Origin(START))
    assert history.refused(at_ns=T0 + 1, hash="a", origin=CHANGE, error="line 1\nline 2")
    assert not history.refused(at_ns=T0 + 2, hash="a", origin=CHANGE, error="line 1\nline 2")
    assert put(history, "b", 2)
    assert [(each.version, each.cause) for each in history.list()] == [
        (2, "file change"),
        (0, "file change"),
        (1, START),
    ]
    found = history.find(2)
    assert found is not None
    assert (found.hash, found.files, found.changes) == ("b", files("b"), ["to b"])
    assert history.list()[1].error == "line 1\nline 2"
    assert history.find(0) is history.find(2**40) is None


def test_another_source_has_its_own(history: ConfigHistory, engine: Engine) -> None:
    put(history, "a")
    other = ConfigHistory(engine, "/srv/other.yaml")
    assert put(other, "b")
    assert [each.version for each in other.list()] == [1]
    assert [each.hash for each in history.list()] == ["a"]


def test_many_workers_make_one_entry(history: ConfigHistory) -> None:
    """ "several workers/gateways of one configuration make one entry, not N": also when they tell it at one time."""
    news: list[bool] = []
    threads = [threading.Thread(target=lambda: news.append(put(history, "a"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(news) == [False] * 5 + [True]
    assert [each.version for each in history.list()] == [1]


def test_a_worker_that_is_late_does_not_tell_it_again(history: ConfigHistory) -> None:
    """A to B and back: the slow worker finds both noted since it had the one before."""
    put(history, "a", 0)
    assert put(history, "b", 10, since=0)
    assert put(history, "a", 12, since=10)
    assert not put(history, "b", 13, since=0)
    assert not put(history, "a", 14, since=10)
    assert [each.hash for each in history.list()] == ["a", "b", "a"]


def test_who_asked_is_named_afterwards(history: ConfigHistory) -> None:
    """The file watch is faster than who asked; but a start, an old entry and somebody else's stay as they are."""
    me, you = Origin("tollway reload", "cli:me"), Origin("reload", "key:you")
    put(history, "a", 0, Origin(START))
    assert not put(history, "a", 1, me)
    assert history.list()[0].actor == ""
    put(history, "b", 2)
    put(history, "b", 3, me)
    put(history, "b", 4, you)
    put(history, "b", 5, Origin("rollback to version 1", "cli:me", "too slow"))
    newest = history.list()[0]
    assert (newest.version, newest.actor, newest.cause, newest.reason) == (
        2, "cli:me", "rollback to version 1", "too slow")  # fmt: skip
    put(history, "c", 6)
    put(history, "c", 7 + CLAIM_NS // 10**9, me)
    assert history.list()[0].actor == ""


def test_it_is_bounded(history: ConfigHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    """ "Bounded": the last of versions and of refusals, so that a broken file cannot push out what to go back to."""
    monkeypatch.setattr(config_history, "KEPT", 3)
    monkeypatch.setattr(config_history, "MOST_TEXT", 50)
    for at in range(6):
        put(history, f"h{at}", at)
        history.refused(at_ns=T0, hash="", origin=CHANGE, error=f"e{at}")
    assert [each.version for each in history.list()] == [0, 6, 0, 5, 0, 4]
    assert history.find(3) is None
    assert history.in_force(at_ns=T0, hash="large", files=files("x" * 60), origin=CHANGE)
    large = history.find(7)
    assert large is not None
    assert large.files is None
