"""Incidents in the ledger, and the notes their timelines are made of."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from sqlalchemy import Engine, RowMapping, func, insert, or_, select, update

from gateway.errors import LedgerError
from gateway.ledger.audit import Entry, append, entries
from gateway.ledger.store import is_locked, reading, writing
from gateway.ledger.tables import incident_notes, incidents, rollups

Value = str | int | float | list[str]
MOST_NOTES = 500
"""Of one timeline."""
_encode = msgspec.json.Encoder(order="sorted").encode


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One incident. Times are nanoseconds since the epoch."""

    id: str
    gateway: str = ""
    """Which one saw it; empty: all that share this ledger."""
    signal: str
    subject: str
    severity: Literal["page", "ticket"]
    title: str
    detail: dict[str, Value]
    since_ns: int
    """When it began, as far as can be told; no later than `opened_ns`."""
    opened_ns: int
    updated_ns: int
    resolved_ns: int | None = None
    acknowledged_ns: int | None = None
    acknowledged_by: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.signal, self.subject


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a timeline."""

    at_ns: int
    incident: str = ""
    """Empty: of the whole gateway."""
    actor: str = ""
    """`key:ID`, `cli:USER`; empty: the gateway itself."""
    kind: str
    """Such as opened, resolved, comment, config, credential."""
    text: str


class IncidentStore:
    """Incidents of one ledger. Every method blocks, and raises `LedgerError` when the database is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self, gateway: str) -> list[Incident]:
        """Those of `gateway`, and those of all, that are not resolved; oldest first."""
        mine = incidents.c.gateway.in_(["", gateway])
        query = select(incidents).where(mine & incidents.c.resolved_ns.is_(None)).order_by(incidents.c.opened_ns)
        with reading(self._engine) as connection:
            return [_incident(row) for row in connection.execute(query).mappings()]

    def list(self, since_ns: int = 0, only_open: bool = False, limit: int = 200) -> "list[Incident]":
        """Those that were open after `since_ns`, newest first."""
        wanted = incidents.c.resolved_ns.is_(None)
        if not only_open:
            wanted |= incidents.c.resolved_ns > since_ns
        query = select(incidents).where(wanted).order_by(incidents.c.opened_ns.desc(), incidents.c.id).limit(limit)
        with reading(self._engine) as connection:
            return [_incident(row) for row in connection.execute(query).mappings()]

    def is_locked(self, seconds: float = 1.0) -> bool:
        """Whether nothing can be written: what is read is as old as that."""
        return is_locked(self._engine, seconds)

    def find(self, incident_id: str) -> Incident | None:
        with reading(self._engine) as connection:
            query = select(incidents).where(incidents.c.id == incident_id)
            row = connection.execute(query).mappings().first()
        return None if row is None else _incident(row)

    def save(self, changed: Iterable[Incident], notes: Sequence[Note]) -> None:
        """Write incidents as they are now, but for their acknowledgement, which is people's; and notes."""
        with writing(self._engine) as connection:
            for incident in changed:
                values = {
                    name: value
                    for name, value in msgspec.structs.asdict(incident).items()
                    if not name.startswith("acknowledged")
                }
                values["detail"] = _encode(incident.detail).decode()
                one = incidents.c.id == incident.id
                if not connection.execute(update(incidents).where(one).values(values)).rowcount:
                    connection.execute(insert(incidents).values({**values, "acknowledged_by": ""}))
            if notes:
                connection.execute(insert(incident_notes), [msgspec.structs.asdict(note) for note in notes])

    def beat(self, ids: Sequence[str], now_ns: int, stale_ns: int) -> "list[str]":
        """Say that these are still open; resolve those of every gateway that nobody has said so of since `stale_ns`,
        such as of one that is gone. Returns the ids of these."""
        with writing(self._engine) as connection:
            if ids:
                connection.execute(update(incidents).where(incidents.c.id.in_(ids)).values(updated_ns=now_ns))
            left = incidents.c.resolved_ns.is_(None) & (incidents.c.updated_ns < stale_ns)
            gone = [str(each) for each in connection.execute(select(incidents.c.id).where(left)).scalars()]
            if gone:
                connection.execute(update(incidents).where(incidents.c.id.in_(gone)).values(resolved_ns=now_ns))
        return gone

    def acknowledge(self, incident_id: str, *, at_ns: int, actor: str, comment: str) -> Incident:
        """Say who looks after it. Raises `LedgerError` when there is none of this id."""
        return self._told(incident_id, at_ns=at_ns, actor=actor, kind="acknowledged", text=comment)

    def comment(self, incident_id: str, *, at_ns: int, actor: str, text: str) -> Incident:
        """Add to the timeline. Raises `LedgerError` when there is none of this id."""
        return self._told(incident_id, at_ns=at_ns, actor=actor, kind="comment", text=text)

    def _told(self, incident_id: str, *, at_ns: int, actor: str, kind: str, text: str) -> Incident:
        note = Note(at_ns=at_ns, incident=incident_id, actor=actor, kind=kind, text=text)
        one = incidents.c.id == incident_id
        with writing(self._engine) as connection:
            if connection.execute(select(incidents.c.id).where(one)).first() is None:
                raise LedgerError(f"there is no incident {incident_id[:100]!r}")
            if kind == "acknowledged":
                done = {"acknowledged_ns": at_ns, "acknowledged_by": actor}
                connection.execute(update(incidents).where(one).values(done))
            connection.execute(insert(incident_notes).values(msgspec.structs.asdict(note)))
            row = connection.execute(select(incidents).where(one)).mappings().one()
            if kind == "acknowledged":
                append(
                    connection,
                    at_ns=at_ns,
                    actor=actor,
                    action="incidents.acknowledge",
                    object=incident_id,
                    reason=text,
                )
        return _incident(row)

    def notes(self, incident_id: str, since_ns: int, until_ns: int) -> "list[Note]":
        """Its own notes, and those of the whole gateway in this time; oldest first."""
        columns = [incident_notes.c[name] for name in Note.__struct_fields__]
        around = (incident_notes.c.incident == "") & incident_notes.c.at_ns.between(since_ns, until_ns)
        query = select(*columns).where(or_(incident_notes.c.incident == incident_id, around))
        query = query.order_by(incident_notes.c.at_ns.desc(), incident_notes.c.id.desc()).limit(MOST_NOTES)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [msgspec.convert({str(name): value for name, value in row.items()}, Note) for row in reversed(rows)]

    def changes(self, since_ns: int, until_ns: int) -> "list[Entry]":
        """Entries of the audit log in this time."""
        return [each for each in entries(self._engine, since_ns, MOST_NOTES) if each.at_ns <= until_ns]

    def spend(self, hours: Sequence[int]) -> dict[str, dict[int, int]]:
        """Nano-dollars by team and hour (seconds since the epoch), of these hours."""
        total = func.sum(rollups.c.cost_nanos)
        query = select(rollups.c.team, rollups.c.hour, total).where(rollups.c.hour.in_(hours))
        found: dict[str, dict[int, int]] = {}
        with reading(self._engine) as connection:
            for team, hour, nanos in connection.execute(query.group_by(rollups.c.team, rollups.c.hour)):
                found.setdefault(str(team), {})[int(hour)] = int(nanos or 0)
        return found


def _incident(row: RowMapping) -> Incident:
    fields = {str(name): value for name, value in row.items()}
    return msgspec.convert({**fields, "detail": msgspec.json.decode(fields["detail"])}, Incident)
