import time

import pytest
from sqlalchemy import Engine

from gateway.clock import ManualClock
from gateway.errors import LedgerError
from gateway.ledger.keystore import KeyMaterial, KeyStore

SECOND = 10**9


def material(number: int = 1) -> KeyMaterial:
    return KeyMaterial(digest=f"{number:064x}", prefix="sk-tw-abcd", last4=f"{number:04d}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(engine: Engine, clock: ManualClock) -> KeyStore:
    return KeyStore(engine, clock)


def test_a_created_key_reads_back(store: KeyStore, clock: ManualClock):
    made = store.create(
        material(), team="search", name="ci", models=["a", "local/*"], tags={"app": "x"}, expires_ns=clock.now_ns() + 5
    )
    assert store.list() == store.load() == [made]
    assert made.id.startswith("key-")
    assert (made.models, made.tags, made.last4) == (["a", "local/*"], {"app": "x"}, "0001")
    assert store.create(material(2), team="search").models is None


def test_every_change_raises_the_version(store: KeyStore):
    seen = [store.version()]
    key = store.create(material(1), team="t")
    seen.append(store.version())
    new = store.rotate(key.id, SECOND, material(2))
    seen.append(store.version())
    store.revoke(new.id)
    seen.append(store.version())
    assert seen == sorted(set(seen))
    store.revoke(new.id)
    store.list()
    store.load()
    assert store.version() == seen[-1]


def test_a_revoked_key_is_listed_and_not_loaded(store: KeyStore, clock: ManualClock):
    key = store.create(material(), team="t")
    assert store.revoke(key.id).revoked_ns == clock.now_ns()
    clock.advance(10)
    assert store.revoke(key.id).revoked_ns == clock.now_ns() - 10 * SECOND
    assert store.load() == []
    assert [k.id for k in store.list()] == [key.id]
    assert not store.list()[0].works(clock.now_ns())


def test_an_expired_key_is_not_loaded(store: KeyStore, clock: ManualClock):
    key = store.create(material(), team="t", expires_ns=clock.now_ns() + 10 * SECOND)
    clock.advance(9.9)
    assert key.works(clock.now_ns())
    assert len(store.load()) == 1
    clock.advance(0.1)
    assert not key.works(clock.now_ns())
    assert store.load() == []


def test_rotation_overlaps(store: KeyStore, clock: ManualClock):
    old = store.create(
        material(1), team="t", name="ci", models=["a"], tags={"x": "y"}, expires_ns=clock.now_ns() + 10**15
    )
    clock.advance(1)
    new = store.rotate(old.id, 60 * SECOND, material(2))
    assert (new.team, new.name, new.models, new.tags, new.expires_ns) == ("t", "ci", ["a"], {"x": "y"}, old.expires_ns)
    assert (new.rotated_from, new.digest, new.overlap_until_ns) == (old.id, material(2).digest, None)
    assert {key.id for key in store.load()} == {old.id, new.id}
    assert store.list()[0].ends_ns == clock.now_ns() + 60 * SECOND
    with pytest.raises(LedgerError, match="already replaced"):
        store.rotate(old.id, 0, material(3))
    clock.advance(60)
    assert [key.id for key in store.load()] == [new.id]


def test_rotation_without_overlap_ends_the_old_key_at_once(store: KeyStore):
    old = store.create(material(1), team="t")
    new = store.rotate(old.id, 0, material(2), new_id="key-new")
    assert [key.id for key in store.load()] == [new.id] == ["key-new"]


def test_list_of_one_team(store: KeyStore):
    store.create(material(1), team="a")
    second = store.create(material(2), team="b")
    assert store.list("b") == [second]


def test_mistakes_change_nothing(store: KeyStore):
    key = store.create(material(1), team="t", key_id="mine")
    version = store.version()
    with pytest.raises(LedgerError, match="there is a key 'mine' already"):
        store.create(material(2), team="t", key_id="mine")
    with pytest.raises(LedgerError):
        store.create(material(1), team="t")
    for call in (lambda: store.revoke("other"), lambda: store.rotate("other", 0, material(3))):
        with pytest.raises(LedgerError, match="there is no key 'other'"):
            call()
    assert store.list() == [key]
    assert store.version() == version


def test_asking_for_the_version_is_cheap(store: KeyStore, engine: Engine):
    if engine.dialect.name != "sqlite":
        return
    store.version()
    best = min(_timed(store) for _ in range(50))
    assert best < 0.001


def _timed(store: KeyStore) -> float:
    begun = time.perf_counter()
    store.version()
    return time.perf_counter() - begun
