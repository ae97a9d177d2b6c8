"""Adjustments: kept, expired, taken back, and each in the audit log."""

import json

import pytest
from sqlalchemy import Engine

from gateway.clock import ManualClock
from gateway.errors import LedgerError
from gateway.ledger.adjustments import AdjustmentStore, StoredAdjustment
from gateway.ledger.audit import entries, head, verify
from tests.gateway.ledger.helpers import T0

HOUR = 3600 * 10**9


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
def store(engine: Engine, clock: ManualClock) -> AdjustmentStore:
    return AdjustmentStore(engine, clock)


def add(store: AdjustmentStore, **changes: object) -> StoredAdjustment:
    fields: dict[str, object] = {
        "bound_key": "teams.search.budget",
        "kind": "raise",
        "extra": 50 * 10**9,
        "until_ns": T0 + HOUR,
        "reason": "launch day",
        "actor": "key:fin",
        "limit": 500 * 10**9,
        "money": True,
    }
    return store.add(**{**fields, **changes})  # type: ignore[arg-type]


def test_one_holds_until_it_expires(store: AdjustmentStore, clock: ManualClock) -> None:
    made = add(store)
    assert store.live() == [made] == store.list()
    clock.advance(3599)
    assert store.live() == [made]
    clock.advance(1)
    assert store.live() == []
    assert store.list() == [made]
    assert made.in_force(T0)
    assert not made.in_force(T0 - 1)
    assert not made.in_force(T0 + HOUR)


def test_one_can_be_taken_back_once(store: AdjustmentStore, clock: ManualClock) -> None:
    made = add(store)
    ended = store.end(made.id, reason="sold out", actor="cli:anna")
    assert ended.ended_ns == T0
    assert store.live() == []
    with pytest.raises(LedgerError, match="does not hold any more"):
        store.end(made.id, reason="", actor="cli:anna")
    with pytest.raises(LedgerError, match="there is no adjustment 'adj-x'"):
        store.end("adj-x", reason="", actor="cli:anna")


def test_every_change_is_in_the_audit_log(store: AdjustmentStore, engine: Engine) -> None:
    before = head(engine).seq
    made = add(store)
    store.end(made.id, reason="sold out", actor="cli:anna")
    raised, ended = entries(engine)
    assert (raised.actor, raised.action, raised.object, raised.reason) == (
        "key:fin", "budgets.raise", "teams.search.budget", "launch day",
    )  # fmt: skip
    assert json.loads(raised.before) == {"limit": "500.000000000"}
    assert json.loads(raised.after) == {"limit": "550.000000000", "until_ns": T0 + HOUR, "id": made.id}
    assert (ended.actor, ended.action, ended.reason) == ("cli:anna", "budgets.end", "sold out")
    assert head(engine).seq == before + 2
    assert verify(engine).broken is None


@pytest.mark.parametrize(
    "wrong", [{"extra": 0}, {"extra": -1}, {"until_ns": T0}, {"extra": 2**62}, {"until_ns": 2**63}]
)
def test_what_cannot_be_is_refused(store: AdjustmentStore, engine: Engine, wrong: dict[str, object]) -> None:
    with pytest.raises(LedgerError, match="adjustment"):
        add(store, **wrong)
    assert store.list() == []
    assert entries(engine) == []
