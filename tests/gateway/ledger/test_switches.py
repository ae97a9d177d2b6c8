"""Switches in a ledger: set, replaced, cleared, over; each in the audit log."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.clock import ManualClock
from gateway.errors import LedgerError
from gateway.ledger.audit import entries, verify
from gateway.ledger.store import ensure_schema, open_engine
from gateway.ledger.switches import ENDED, StoredSwitch, SwitchStore

HOUR = 3600 * 10**9


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    url = f"sqlite:///{tmp_path}/ledger.db"
    ensure_schema(url)
    return open_engine(url)


@pytest.fixture
def store(engine: Engine, clock: ManualClock) -> SwitchStore:
    return SwitchStore(engine, clock)


def stop(store: SwitchStore, name: str = "search", until_ns: int | None = None, **more: str) -> StoredSwitch:
    fields = {"kind": "stop", "scope": "team", "value": "", "reason": "why", "actor": "cli:a", **more}
    return store.set(name=name, until_ns=until_ns, **fields)


def test_set_replaced_cleared(store: SwitchStore, engine: Engine, clock: ManualClock) -> None:
    """One switch of a kind for one thing; the audit log tells from what to what."""
    first = stop(store, until_ns=clock.now_ns() + HOUR)
    clock.advance(1.0)
    second = stop(store, reason="longer")
    clock.advance(1.0)
    other = stop(store, name="ads")
    assert store.live() == [second, other]
    cleared = store.clear(second.id, reason="fixed", actor="key:ops")
    assert cleared.ended_ns == clock.now_ns()
    assert store.live() == [other]
    assert [each.id for each in store.list()] == [first.id, second.id, other.id]
    told = entries(engine)
    assert [(each.action, each.object) for each in told] == [
        ("switches.stop", "team search"),
        ("switches.stop", "team search"),
        ("switches.stop", "team ads"),
        ("switches.clear", "team search"),
    ]
    assert first.id in told[1].before
    assert told[-1].actor == "key:ops"
    assert verify(engine).broken is None


def test_over_by_itself(store: SwitchStore, clock: ManualClock) -> None:
    made = stop(store, until_ns=clock.now_ns() + HOUR)
    clock.advance(3600.0)
    assert store.live() == []
    with pytest.raises(LedgerError, match="does not hold any more"):
        store.clear(made.id, reason="", actor="cli:a")
    assert store.list() == [made]
    clock.advance(ENDED / 1e9)
    assert store.list() == []


def test_what_cannot_be(store: SwitchStore, clock: ManualClock) -> None:
    with pytest.raises(LedgerError, match="a time to come"):
        stop(store, until_ns=clock.now_ns())
    with pytest.raises(LedgerError, match="there is no switch 'x'"):
        store.clear("x", reason="", actor="cli:a")
