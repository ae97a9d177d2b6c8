"""Keeps the ledger database's keys in force: a key made or revoked counts within a second, in every worker."""

from typing import Protocol

from gateway.errors import LedgerError
from gateway.ledger.keystore import StoredKey
from gateway.settings.reload import Configuration


class Keys(Protocol):
    """What is asked of `gateway.ledger.keystore.KeyStore`."""

    def version(self) -> int: ...

    def load(self) -> list[StoredKey]: ...


class KeyWatch:
    """Looks at the key store's version and publishes its keys when that changed."""

    def __init__(self, configuration: Configuration, store: Keys) -> None:
        self._configuration = configuration
        self._store = store
        self._version: int | None = None
        self.failed = False
        """The last look did not succeed; the keys known before stay in force."""

    def look(self) -> bool:
        """Publish the keys if they changed; whether they did. Blocks. Never raises for a database that is away."""
        try:
            # The version is read first: a change between the two reads is then seen by the next look, not lost.
            version = self._store.version()
            if version == self._version:
                self.failed = False
                return False
            keys = self._store.load()
        except LedgerError:
            self.failed = True
            return False
        self._configuration.set_keys(keys)
        self._version = version
        self.failed = False
        return True
