"""Keys of the ledger database get in force, and out of it, without a reload."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.auth.keys import digest_of, make_key
from gateway.clock import ManualClock
from gateway.errors import LedgerError
from gateway.ledger.keystore import KeyMaterial, KeyStore, StoredKey
from gateway.ledger.store import open_engine
from gateway.settings.keys_watch import KeyWatch
from gateway.settings.looking import keep_looking
from gateway.settings.reload import Configuration
from gateway.tasks import TaskGroup
from tests.support.ledgers import ready_ledger

SECRET = "server-secret-0123456789"


@pytest.fixture
def configuration(write: Callable[..., Path], minimal: str) -> Configuration:
    path = write(minimal + f"prices: off\nteams: {{t: {{}}}}\nsecrets: {{key_hash: {SECRET}}}\n")
    return Configuration(path, clock=ManualClock(), env={})


class Store:
    """A key store that can be away, and counts how often it is asked for all keys."""

    def __init__(self) -> None:
        self.keys: list[StoredKey] = []
        self.number = 0
        self.away = False
        self.loads = 0

    def version(self) -> int:
        if self.away:
            raise LedgerError("away")
        return self.number

    def load(self) -> list[StoredKey]:
        self.loads += 1
        return self.keys


def test_all_keys_are_only_read_when_something_changed(configuration: Configuration) -> None:
    store = Store()
    watch = KeyWatch(configuration, store)
    assert watch.look()
    assert not watch.look()
    assert store.loads == 1
    store.number = 1
    assert watch.look()
    assert store.loads == 2


def test_a_database_that_is_away_keeps_the_keys_known_before(configuration: Configuration, tmp_path: Path) -> None:
    store = Store()
    watch = KeyWatch(configuration, store)
    watch.look()
    before = configuration.snapshot
    store.away, store.number = True, 1
    assert not watch.look()
    assert watch.failed
    assert configuration.snapshot is before
    store.away = False
    assert watch.look()
    assert not watch.failed


async def test_a_key_made_works_and_a_key_revoked_does_not(configuration: Configuration, tmp_path: Path) -> None:
    """With the real store on SQLite: revocation is effective within a second."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    ready_ledger(url)
    store = KeyStore(open_engine(url))
    tasks = TaskGroup(lambda _name, _error: None)
    tasks.start(keep_looking([KeyWatch(configuration, store)], 0.01), "keys")
    key = make_key()
    digest = digest_of(key.secret.encode(), "hmac", SECRET.encode()).hex()
    made = store.create(KeyMaterial(digest, key.prefix, key.last4), team="t")

    def known() -> bool:
        return configuration.snapshot.keys.find(key.secret.encode()) is not None

    async with asyncio.timeout(60):
        while not known():
            await asyncio.sleep(0.01)
        store.revoke(made.id)
        while known():
            await asyncio.sleep(0.01)
    await tasks.close()
