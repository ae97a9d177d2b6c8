"""Incidents in a ledger, of one gateway among several."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import LedgerError
from gateway.ledger.incidents import Incident, IncidentStore, Note
from gateway.ledger.posting import post
from gateway.ledger.store import ensure_schema, open_engine, writing
from tests.gateway.ledger.helpers import end

HOUR_NS = 3600 * 10**9


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IncidentStore]:
    url = f"sqlite:///{tmp_path}/ledger.db"
    ensure_schema(url)
    engine = open_engine(url)
    yield IncidentStore(engine)
    engine.dispose()


def incident(name: str, **more: object) -> Incident:
    fields = {
        "signal": "provider",
        "subject": name,
        "severity": "page",
        "title": "x",
        "detail": {"teams": ["a"], "z": 1.5},
    }
    return Incident(**{"id": name, "gateway": "here", "since_ns": 1, "opened_ns": 2, "updated_ns": 2, **fields, **more})


def test_kept_and_changed(store: IncidentStore) -> None:
    """What a person said of it survives what the detector writes."""
    store.save([incident("a"), incident("b", opened_ns=3)], [Note(at_ns=2, incident="a", kind="opened", text="x")])
    assert store.find("a") == incident("a")
    done = store.acknowledge("a", at_ns=5, actor="cli:me", comment="mine")
    assert (done.acknowledged_ns, done.acknowledged_by) == (5, "cli:me")
    store.save([incident("a", resolved_ns=9, title="over")], [])
    found = store.find("a")
    assert found is not None
    assert (found.title, found.resolved_ns, found.acknowledged_by) == ("over", 9, "cli:me")
    assert [each.id for each in store.open("here")] == ["b"]
    assert [each.id for each in store.list()] == ["b", "a"]
    assert [each.id for each in store.list(only_open=True)] == ["b"]
    assert store.find("nobody") is None
    with pytest.raises(LedgerError, match="there is no incident 'nobody'"):
        store.comment("nobody", at_ns=1, actor="x", text="x")
    assert [(each.kind, each.actor) for each in store.notes("a", 0, 9)] == [("opened", ""), ("acknowledged", "cli:me")]
    assert [each.action for each in store.changes(0, 9)] == ["incidents.acknowledge"]


def test_each_gateway_has_its_own_and_shared_ones(store: IncidentStore) -> None:
    store.save([incident("mine"), incident("theirs", gateway="there"), incident("all", gateway="")], [])
    assert {each.id for each in store.open("here")} == {"mine", "all"}


def test_those_of_a_gateway_that_is_gone_are_resolved(store: IncidentStore) -> None:
    """Nobody has said for a quarter of an hour that they are open."""
    store.save([incident("mine"), incident("theirs", gateway="there", updated_ns=100)], [])
    assert store.beat(["mine"], 50, 30) == []
    assert store.beat([], 200, 60) == ["mine"]
    assert [each.id for each in store.list(only_open=True)] == ["theirs"]


def test_spend_by_team_and_hour(store: IncidentStore, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.db")
    with writing(engine) as connection:
        post(connection, [end(1, received_ns=5 * HOUR_NS), end(2, received_ns=7 * HOUR_NS)], 0)
    found = store.spend([5 * 3600, 6 * 3600])
    assert len(found) == 1
    assert list(*[each.keys() for each in found.values()]) == [5 * 3600]
    assert all(nanos > 0 for each in found.values() for nanos in each.values())
    engine.dispose()


def test_a_database_that_is_away_says_so(tmp_path: Path) -> None:
    store = IncidentStore(open_engine(f"sqlite:///{tmp_path}/empty.db"))
    with pytest.raises(LedgerError):
        store.open("here")
