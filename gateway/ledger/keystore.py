"""Virtual keys in the ledger database: made by `tollway keys …`, watched by every gateway.

Only digests are kept. Every change raises `version()` in the same transaction, so that a gateway can ask every fraction
of a second, for the price of one row, whether it must load the keys again.
"""

import secrets
from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, insert, or_, select, update

from gateway.clock import SystemClock
from gateway.errors import LedgerError
from gateway.ledger.audit import Plain, append
from gateway.ledger.store import counter, reading, writing
from gateway.ledger.tables import counters, keys
from gateway.seams import Clock

_VERSION = "keys_version"


class KeyMaterial(msgspec.Struct, frozen=True):
    """What is kept of a key's secret: its digest, and enough of its text to recognise it by."""

    digest: str
    """HMAC-SHA-256 with the server's secret, 64 hex digits."""
    prefix: str
    last4: str


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """One virtual key. Times are nanoseconds since the epoch, UTC."""

    id: str
    team: str
    name: str
    digest: str
    prefix: str
    last4: str
    models: list[str] | None
    """Names and wildcards it may use; None: all its team may use."""
    tags: dict[str, str]
    created_ns: int
    expires_ns: int | None
    revoked_ns: int | None
    rotated_from: str | None
    """The key this one replaces."""
    overlap_until_ns: int | None
    """It was replaced, and works until then."""

    @property
    def ends_ns(self) -> int | None:
        """When it stops working by itself; None: never."""
        ends = [ns for ns in (self.expires_ns, self.overlap_until_ns) if ns is not None]
        return min(ends) if ends else None

    def works(self, now_ns: int) -> bool:
        """Neither revoked, nor expired, nor replaced for good."""
        return self.revoked_ns is None and (self.ends_ns is None or now_ns < self.ends_ns)


class KeyStore:
    """Create, list, revoke and rotate. Every method raises `LedgerError` when the database is away."""

    def __init__(self, engine: Engine, clock: Clock | None = None, actor: str = "unknown") -> None:
        """`actor` is who makes the changes, for the audit log: `key:ID` or `cli:USER`."""
        self._engine = engine
        self._clock = clock or SystemClock()
        self._actor = actor

    def create(
        self,
        material: KeyMaterial,
        *,
        team: str,
        name: str = "",
        models: list[str] | None = None,
        tags: dict[str, str] | None = None,
        expires_ns: int | None = None,
        key_id: str | None = None,
    ) -> StoredKey:
        """Store a new key. Raises `LedgerError` when `key_id` is taken."""
        key = StoredKey(
            id=key_id or f"key-{secrets.token_hex(5)}",
            team=team,
            name=name,
            digest=material.digest,
            prefix=material.prefix,
            last4=material.last4,
            models=models,
            tags=tags or {},
            created_ns=self._clock.now_ns(),
            expires_ns=expires_ns,
            revoked_ns=None,
            rotated_from=None,
            overlap_until_ns=None,
        )
        with writing(self._engine) as connection:
            self._insert(connection, key)
            self._note(connection, "keys.create", key.id, after=_told(key))
        return key

    def list(self, team: str | None = None) -> "list[StoredKey]":
        """Every key ever made, or every one of a team, oldest first."""
        query = select(keys).order_by(keys.c.created_ns, keys.c.id)
        if team is not None:
            query = query.where(keys.c.team == team)
        with reading(self._engine) as connection:
            return [_stored(row) for row in connection.execute(query).mappings()]

    def load(self) -> "list[StoredKey]":
        """The keys that work now or will not end before now: what a gateway compiles into its snapshot."""
        now_ns = self._clock.now_ns()
        query = select(keys).where(
            keys.c.revoked_ns.is_(None),
            or_(keys.c.expires_ns.is_(None), keys.c.expires_ns > now_ns),
            or_(keys.c.overlap_until_ns.is_(None), keys.c.overlap_until_ns > now_ns),
        )
        with reading(self._engine) as connection:
            return [_stored(row) for row in connection.execute(query).mappings()]

    def revoke(self, key_id: str) -> StoredKey:
        """End a key now. Revoking it again changes nothing. Raises `LedgerError` when there is no such key."""
        with writing(self._engine) as connection:
            key = self._find(connection, key_id)
            if key.revoked_ns is not None:
                return key
            now_ns = self._clock.now_ns()
            connection.execute(update(keys).where(keys.c.id == key_id).values(revoked_ns=now_ns))
            _raise_version(connection)
            self._note(connection, "keys.revoke", key_id, {"revoked_ns": None}, {"revoked_ns": now_ns})
            return self._find(connection, key_id)

    def rotate(self, key_id: str, overlap_ns: int, material: KeyMaterial, *, new_id: str | None = None) -> StoredKey:
        """Replace a key: the new one has its team, name, models, tags and expiry; the old one works `overlap_ns` on.

        Raises `LedgerError` when there is no such key, or it does not work any more.
        """
        now_ns = self._clock.now_ns()
        with writing(self._engine) as connection:
            old = self._find(connection, key_id)
            if not old.works(now_ns) or old.overlap_until_ns is not None:
                raise LedgerError(f"key {key_id!r} was revoked, has expired or is already replaced; create a new one")
            new = msgspec.structs.replace(
                old,
                id=new_id or f"key-{secrets.token_hex(5)}",
                digest=material.digest,
                prefix=material.prefix,
                last4=material.last4,
                created_ns=now_ns,
                rotated_from=key_id,
            )
            connection.execute(update(keys).where(keys.c.id == key_id).values(overlap_until_ns=now_ns + overlap_ns))
            self._insert(connection, new)
            before, after = (
                {"key": key_id, "overlap_until_ns": None},
                {**_told(new), "overlap_until_ns": now_ns + overlap_ns},
            )
            self._note(connection, "keys.rotate", new.id, before, after)
        return new

    def version(self) -> int:
        """A number that grows with every change."""
        with reading(self._engine) as connection:
            return counter(connection, _VERSION)

    def _note(
        self,
        connection: Connection,
        action: str,
        key_id: str,
        before: Mapping[str, Plain] | None = None,
        after: Mapping[str, Plain] | None = None,
    ) -> None:
        now_ns = self._clock.now_ns()
        append(connection, at_ns=now_ns, actor=self._actor, action=action, object=key_id, before=before, after=after)

    def _insert(self, connection: Connection, key: StoredKey) -> None:
        row = msgspec.structs.asdict(key)
        row["models"] = None if key.models is None else msgspec.json.encode(key.models).decode()
        row["tags"] = msgspec.json.encode(key.tags).decode()
        if connection.execute(select(keys.c.id).where(keys.c.id == key.id)).first() is not None:
            raise LedgerError(f"there is a key {key.id!r} already")
        connection.execute(insert(keys).values(row))
        _raise_version(connection)

    def _find(self, connection: Connection, key_id: str) -> StoredKey:
        row = connection.execute(select(keys).where(keys.c.id == key_id)).mappings().first()
        if row is None:
            raise LedgerError(f"there is no key {key_id!r} in the ledger")
        return _stored(row)


def _told(key: StoredKey) -> dict[str, Plain]:
    """What the audit log says of a key: what it may, and how it is recognised; no digest."""
    return {
        "team": key.team,
        "name": key.name,
        "prefix": key.prefix,
        "last4": key.last4,
        "models": key.models,
        "tags": key.tags,
        "expires_ns": key.expires_ns,
    }


def _raise_version(connection: Connection) -> None:
    connection.execute(update(counters).where(counters.c.name == _VERSION).values(value=counters.c.value + 1))


def _stored(row: RowMapping) -> StoredKey:
    fields = {str(name): value for name, value in row.items()}
    if fields["models"] is not None:
        fields["models"] = msgspec.json.decode(str(fields["models"]))
    fields["tags"] = msgspec.json.decode(str(fields["tags"]))
    return msgspec.convert(fields, StoredKey)
