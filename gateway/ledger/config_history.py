"""Configurations that were in force, and those that were refused: when, what brought them, and their texts with secrets
masked.

Every worker tells of what it has put in force; one entry comes of it. The history is one per `source`, the absolute
path of the main file: gateways of several hosts that share a ledger and have their configuration at the same place
share it.
"""

import hashlib
import zlib
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, delete, insert, select, update

from gateway.ledger.audit import MAX_REASON
from gateway.ledger.store import reading, writing
from gateway.ledger.tables import audit_head, config_history

KEPT = 200
"""Versions, and refusals, that are kept of one source."""
MOST_TEXT = 4 * 1024 * 1024
"""Characters of all files of a version; of a larger one no text is kept."""
MOST_ERROR = 20_000
"""Characters."""
CLAIM_NS = 15 * 10**9
"""For so long an entry that nobody is named in may still be claimed: the file watch is often faster than who asked."""

START = "start"
"""The cause of what a gateway began with."""

_encode = msgspec.json.Encoder().encode
_MATTERS = ("id", "version", "at_ns", "hash", "digest", "cause", "actor", "reason", "changes", "error")


class KeptFile(msgspec.Struct, frozen=True):
    """One file of a configuration. `text`: as it was written, with literal secrets masked."""

    name: str
    """Relative to the directory of the main file, which comes first."""
    text: str


class Origin(msgspec.Struct, frozen=True):
    """What brought a configuration, and who."""

    cause: str
    """Such as `start`, `file change`, `SIGHUP`, `tollway reload`, `rollback to version 3`."""
    actor: str = ""
    """`key:ID`, `cli:USER`; empty: not known."""
    reason: str = ""


class ConfigEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One entry."""

    id: int
    version: int
    """0: it was refused."""
    at_ns: int
    hash: str
    """Of what it means; of a refused one: of what stayed in force."""
    digest: str
    cause: str
    actor: str
    reason: str
    changes: list[str]
    """What it changed, in readable lines without secrets."""
    error: str = ""
    """Why it was refused: a problem a line."""
    files: list[KeptFile] | None = None
    """None: they were not asked for, or are not kept."""


def digest_of(files: Sequence[KeptFile]) -> str:
    """SHA-256 of files as they are kept. Of masked texts, so that no secret can be tried out against it."""
    return hashlib.sha256(_encode(files)).hexdigest()


class ConfigHistory:
    """The history of one source. Every method blocks, and raises `LedgerError` when the database is away."""

    def __init__(self, engine: Engine, source: str) -> None:
        self._engine = engine
        self._source = source
        self._mine = config_history.c.source == source

    def in_force(
        self,
        *,
        at_ns: int,
        hash: str,
        files: Sequence[KeptFile],
        origin: Origin,
        changes: Sequence[str] = (),
        since_ns: int | None = None,
    ) -> bool:
        """A configuration is in force; whether that was news. It is not when it is the newest version already, or was
        noted after `since_ns`, when this worker put the one before in force: then another worker was faster, and has
        perhaps moved on."""
        digest = digest_of(files)
        same = self._mine & (config_history.c.hash == hash) & (config_history.c.digest == digest)
        with writing(self._engine) as connection:
            newest = self._locked(connection)
            known = newest is not None and (newest.hash, newest.digest) == (hash, digest)
            if not known and since_ns is not None:
                later = select(config_history.c.id).where(same, config_history.c.at_ns > since_ns)
                known = connection.execute(later.limit(1)).first() is not None
            if known:
                if newest is not None:
                    _claim(connection, newest, origin, hash, at_ns)
                return False
            version = 1 if newest is None else newest.version + 1
            kept = sum(len(file.text) for file in files) <= MOST_TEXT
            self._add(connection, version, at_ns, hash, digest, origin, changes, "", files if kept else ())
        return True

    def refused(self, *, at_ns: int, hash: str, origin: Origin, error: str) -> bool:
        """A configuration could not be used; whether that was news. It is not when the newest entry says the same."""
        error = error[:MOST_ERROR]
        with writing(self._engine) as connection:
            self._locked(connection)
            query = select(config_history.c.error).where(self._mine).order_by(config_history.c.id.desc()).limit(1)
            if connection.execute(query).scalar() == error:
                return False
            self._add(connection, 0, at_ns, hash, "", origin, (), error, ())
        return True

    def list(self, limit: int = 2 * KEPT) -> "list[ConfigEvent]":
        """Versions and refusals, newest first, without files."""
        query = select(*(config_history.c[name] for name in _MATTERS)).where(self._mine)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(config_history.c.id.desc()).limit(limit)).mappings().all()
        return [_event(row) for row in rows]

    def find(self, version: int) -> ConfigEvent | None:
        """One version with its files; None: there is none (any more)."""
        if not 0 < version < 2**31:  # beyond it PostgreSQL refuses to compare
            return None
        query = select(config_history).where(self._mine, config_history.c.version == version)
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _event(row)

    def _locked(self, connection: Connection) -> ConfigEvent | None:
        """The newest version, without its files. Whoever adds holds the head of the audit log, as who adds to that one
        does: so two workers do not both find that theirs is new."""
        connection.execute(select(audit_head.c.seq).with_for_update()).one()
        query = select(*(config_history.c[name] for name in _MATTERS)).where(self._mine, config_history.c.version > 0)
        row = connection.execute(query.order_by(config_history.c.version.desc()).limit(1)).mappings().first()
        return None if row is None else _event(row)

    def _add(
        self,
        connection: Connection,
        version: int,
        at_ns: int,
        hash: str,
        digest: str,
        origin: Origin,
        changes: Sequence[str],
        error: str,
        files: Sequence[KeptFile],
    ) -> None:
        row = {
            "source": self._source,
            "version": version,
            "at_ns": at_ns,
            "hash": hash,
            "digest": digest,
            "cause": origin.cause,
            "actor": origin.actor,
            "reason": origin.reason[:MAX_REASON],
            "changes": _encode(list(changes)).decode(),
            "error": error,
            "files": zlib.compress(_encode(list(files))) if files else b"",
        }
        connection.execute(insert(config_history).values(row))
        kind = config_history.c.version == 0 if version == 0 else config_history.c.version > 0
        ids = select(config_history.c.id).where(self._mine, kind).order_by(config_history.c.id.desc())
        if (last := connection.execute(ids.offset(KEPT - 1).limit(1)).scalar()) is not None:
            connection.execute(delete(config_history).where(self._mine, kind, config_history.c.id < last))


def _claim(connection: Connection, newest: ConfigEvent, origin: Origin, hash: str, now_ns: int) -> None:
    if newest.hash != hash or newest.cause == START or now_ns - newest.at_ns > CLAIM_NS:
        return
    # The same one may add why: a reload that a roll back has asked for is known by who asked only.
    unsaid = not newest.actor or (newest.actor == origin.actor and origin.reason and not newest.reason)
    if origin.actor and unsaid:
        values = {"cause": origin.cause, "actor": origin.actor, "reason": origin.reason[:MAX_REASON]}
        connection.execute(update(config_history).where(config_history.c.id == newest.id).values(values))


def _event(row: RowMapping) -> ConfigEvent:
    fields = {str(name): value for name, value in row.items() if name != "source"}
    packed = fields.pop("files", b"")
    files = msgspec.json.decode(zlib.decompress(packed), type=list[KeptFile]) if packed else None
    return msgspec.convert({**fields, "changes": msgspec.json.decode(fields["changes"]), "files": files}, ConfigEvent)
