"""The audit log: who changed what, when, from what to what, and why; append-only, one chain of hashes.

Each entry carries the SHA-256 of its own content and of the hash before it, so that no entry can be changed, removed
or put in between without every later hash being wrong. The end of a chain proves nothing by itself: entries that were
cut off at the end leave a shorter chain that is right. Three things speak for them:

    audit_head   a row beside the chain, which whoever deletes entries must also change
    anchor       the newest head a gateway or `tollway audit verify` has seen, in a file beside the journal
    --head       a head somebody kept elsewhere (every one is in the gateway's log, as `audit_head`)

Not detected: somebody who may write the database and that file replaces the end of the chain, and nobody kept a head.

An entry is appended in the transaction of the change it tells of. Appending locks `audit_head` (SQLite: the database),
so append last: whoever waits for the head then holds no lock that the head's holder still needs.
"""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, insert, select, update

from gateway.errors import LedgerError
from gateway.ledger.store import reading
from gateway.ledger.tables import audit, audit_head

Plain = str | int | bool | Sequence[str] | Mapping[str, str] | None
"""What a value in `before` and `after` may be."""

START = "0" * 64
"""Stands for the hash before the first entry."""
MAX_REASON = 1000
"""Characters."""
ANCHOR_FILE = "audit-head.json"
_BATCH = 1000

_encode = msgspec.json.Encoder(order="sorted").encode


class Head(msgspec.Struct, frozen=True):
    """The newest entry of a chain: how many there are, and its hash."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One change."""

    seq: int
    """1, 2, 3, …: without gaps."""
    at_ns: int
    """Wall clock, nanoseconds since the epoch."""
    actor: str
    """`key:ID` of an admin key, or `cli:USER`."""
    action: str
    """Such as `keys.revoke`."""
    object: str
    """What was changed: a key's id, a bound's key, a file."""
    before: str
    """JSON object of the values that changed; `{}`: there was nothing."""
    after: str
    reason: str
    previous: str
    hash: str

    def expected(self) -> str:
        """The hash its content must have. Over the JSON array of all fields but `hash`, in their order, UTF-8."""
        content = [getattr(self, name) for name in self.__struct_fields__ if name != "hash"]
        return hashlib.sha256(_encode(content)).hexdigest()


class Broken(msgspec.Struct, frozen=True):
    """The first place where the chain is not right."""

    seq: int
    """Where an entry with this number is wrong or missing."""
    problem: str


class Verified(msgspec.Struct, frozen=True):
    """What a verification came to."""

    entries: int
    """Entries that are right, from the first on."""
    head: Head | None
    """The last of them; None: there is none."""
    broken: Broken | None


def append(
    connection: Connection,
    *,
    at_ns: int,
    actor: str,
    action: str,
    object: str,
    before: Mapping[str, Plain] | None = None,
    after: Mapping[str, Plain] | None = None,
    reason: str = "",
) -> Head:
    """Append an entry inside the caller's `store.writing` transaction, as its last statement."""
    found = connection.execute(select(audit_head.c.seq, audit_head.c.hash).with_for_update()).one()
    entry = Entry(
        seq=found.seq + 1,
        at_ns=at_ns,
        actor=_text(actor),
        action=_text(action),
        object=_text(object),
        before=_text(_encode(before or {}).decode()),
        after=_text(_encode(after or {}).decode()),
        reason=_text(reason)[:MAX_REASON],
        previous=found.hash,
        hash="",
    )
    entry = msgspec.structs.replace(entry, hash=entry.expected())
    connection.execute(insert(audit).values(msgspec.structs.asdict(entry)))
    connection.execute(update(audit_head).values(seq=entry.seq, hash=entry.hash))
    return Head(entry.seq, entry.hash)


def head(engine: Engine) -> Head:
    """The newest entry, as `audit_head` says; its number grows with every change. Raises `LedgerError`."""
    with reading(engine) as connection:
        return _head(connection)


def entries(engine: Engine, since_ns: int = 0, limit: int | None = None) -> list[Entry]:
    """Entries from `since_ns` on, oldest first; of more than `limit` the newest. Raises `LedgerError`."""
    query = select(audit).where(audit.c.at_ns >= since_ns).order_by(audit.c.seq.desc()).limit(limit)
    with reading(engine) as connection:
        rows = connection.execute(query).mappings().all()
    return [_entry(row) for row in reversed(rows)]


def verify(engine: Engine, remembered: Sequence[Head] = ()) -> Verified:
    """Walk the whole chain, and look for every remembered head in it. Raises `LedgerError` when the database is away.

    A thousand entries are in memory at a time.
    """
    with reading(engine) as connection:
        # Several may be remembered of one entry: a head that somebody kept, and the file, which a forger may have
        # written anew.
        due: dict[int, set[str]] = {}
        for kept in remembered:
            due.setdefault(kept.seq, set()).add(kept.hash)
        due.pop(0, None)
        last = Head(0, START)
        for entry in _walk(connection):
            problem = _problem(entry, last) or _differs(entry, due.pop(entry.seq, set()))
            if problem:
                return _verdict(last, problem)
            last = Head(entry.seq, entry.hash)
        stored = _head(connection)
    if stored != last:
        what = "cut off at its end" if stored.seq > last.seq else "not what its head says"
        return _verdict(last, f"the chain is {what}: it ends at {last.seq}, and audit_head says {stored.seq}")
    if due:
        return _verdict(last, f"the chain ends at {last.seq}, but entry {max(due)} is remembered: it was cut off")
    return _verdict(last, "")


def parse_head(text: str) -> Head:
    """`SEQ:HASH`, as `verify` prints it. Raises `LedgerError`."""
    seq, _, digest = text.strip().partition(":")
    if not (seq.isascii() and seq.isdigit() and len(seq) < 19 and len(digest) == 64):
        raise LedgerError(
            "this is no head of an audit log; allowed is NUMBER:HASH, as `tollway audit verify` prints it"
        )
    return Head(int(seq), digest.lower())


def read_anchor(directory: Path | str) -> Head | None:
    """The newest head that was seen by those who use this journal directory; None: none that can be read."""
    try:
        return msgspec.json.decode((Path(directory) / ANCHOR_FILE).read_bytes(), type=Head)
    except (OSError, msgspec.MsgspecError):
        return None


def remember(directory: Path | str, seen: Head) -> bool:
    """Keep `seen` in place of an older head. False: a newer one is kept, so the chain has become shorter.

    Raises `OSError` when the directory cannot be written.
    """
    directory = Path(directory)
    kept = read_anchor(directory)
    if kept is not None and kept.seq >= seen.seq:
        return kept == seen or kept.seq == seen.seq == 0
    directory.mkdir(parents=True, exist_ok=True)
    made = directory / f"{ANCHOR_FILE}.{os.getpid()}.new"
    made.write_bytes(_encode(seen))
    os.replace(made, directory / ANCHOR_FILE)
    return True


def _walk(connection: Connection) -> Iterator[Entry]:
    after = 0
    while True:
        query = select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(_BATCH)
        rows = connection.execute(query).mappings().all()
        for row in rows:
            yield _entry(row)
        if len(rows) < _BATCH:
            return
        after = int(rows[-1]["seq"])


def _entry(row: RowMapping) -> Entry:
    return msgspec.convert({str(name): value for name, value in row.items()}, Entry)


def _problem(entry: Entry, last: Head) -> str:
    if entry.seq != last.seq + 1:
        return f"entry {last.seq + 1} is missing"
    if entry.previous != last.hash:
        return f"entry {entry.seq} does not follow the one before it: that one, or this link, was changed"
    if entry.hash != entry.expected():
        return f"the content of entry {entry.seq} was changed"
    return ""


def _differs(entry: Entry, remembered: Collection[str]) -> str:
    if all(each == entry.hash for each in remembered):
        return ""
    return f"entry {entry.seq} is not the one that is remembered: the chain was written anew from there or before"


def _verdict(last: Head, problem: str) -> Verified:
    head = last if last.seq else None
    return Verified(last.seq, head, Broken(last.seq + 1, problem) if problem else None)


def _head(connection: Connection) -> Head:
    row = connection.execute(select(audit_head.c.seq, audit_head.c.hash)).first()
    return Head(0, START) if row is None else Head(row.seq, row.hash)


def _text(value: str) -> str:
    """Text both databases take and give back as it is: no NUL, no lone surrogate."""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
