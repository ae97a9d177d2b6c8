"""Kill switches in the ledger: each with a reason and an author, and in the audit log."""

import secrets

import msgspec
from sqlalchemy import Engine, RowMapping, insert, or_, select, update

from gateway.errors import LedgerError
from gateway.ledger.audit import MAX_REASON, append
from gateway.ledger.store import reading, writing
from gateway.ledger.tables import switches
from gateway.seams import Clock

ENDED = 30 * 86400 * 10**9
"""Nanoseconds that a switch is listed after its end."""


class StoredSwitch(msgspec.Struct, frozen=True, kw_only=True):
    """One switch. Times are nanoseconds since the epoch, UTC. Fields as in `gateway.routing.switches.Switch`."""

    id: str
    kind: str
    scope: str
    name: str
    value: str
    reason: str
    made_by: str
    """`key:ID` or `cli:USER`."""
    from_ns: int
    until_ns: int | None
    ended_ns: int | None = None

    @property
    def object(self) -> str:
        """What is switched, as the audit log says it."""
        return f"{self.scope} {self.name}".strip()

    def in_force(self, now_ns: int) -> bool:
        return self.ended_ns is None and (self.until_ns is None or now_ns < self.until_ns)


class SwitchStore:
    """Switches of one ledger. Every method blocks, and raises `LedgerError` when the database is away."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def set(
        self, *, kind: str, scope: str, name: str, value: str, until_ns: int | None, reason: str, actor: str
    ) -> StoredSwitch:
        """Switch something from now on. A switch of the same kind for the same thing is replaced by it."""
        now_ns = self._clock.now_ns()
        if until_ns is not None and not now_ns < until_ns < 2**63:
            raise LedgerError("a switch holds until a time to come")
        made = StoredSwitch(
            id=f"sw-{secrets.token_hex(5)}",
            kind=kind,
            scope=scope,
            name=name,
            value=value,
            reason=reason[:MAX_REASON],
            made_by=actor,
            from_ns=now_ns,
            until_ns=until_ns,
        )
        same = (switches.c.kind == kind) & (switches.c.scope == scope) & (switches.c.name == name)
        with writing(self._engine) as connection:
            live = same & switches.c.ended_ns.is_(None)
            live &= or_(switches.c.until_ns.is_(None), switches.c.until_ns > now_ns)
            before = [_stored(row) for row in connection.execute(select(switches).where(live)).mappings()]
            connection.execute(update(switches).where(live).values(ended_ns=now_ns))
            connection.execute(insert(switches).values(msgspec.structs.asdict(made)))
            append(
                connection,
                at_ns=now_ns,
                actor=actor,
                action=f"switches.{kind}",
                object=made.object,
                before={"id": before[-1].id, "value": before[-1].value, "until_ns": before[-1].until_ns}
                if before
                else None,
                after={"id": made.id, "value": value, "until_ns": until_ns},
                reason=reason,
            )
        return made

    def clear(self, switch_id: str, *, reason: str, actor: str) -> StoredSwitch:
        """Take one back now. Raises `LedgerError` when there is none of this id that holds."""
        now_ns = self._clock.now_ns()
        with writing(self._engine) as connection:
            one = switches.c.id == switch_id
            row = connection.execute(select(switches).where(one).with_for_update()).mappings().first()
            if row is None:
                raise LedgerError(f"there is no switch {switch_id[:100]!r}")
            found = _stored(row)
            if not found.in_force(now_ns):
                raise LedgerError(f"the switch {switch_id!r} does not hold any more")
            connection.execute(update(switches).where(one).values(ended_ns=now_ns))
            append(
                connection,
                at_ns=now_ns,
                actor=actor,
                action="switches.clear",
                object=found.object,
                before={"id": found.id, "kind": found.kind, "value": found.value, "until_ns": found.until_ns},
                after={"id": found.id, "until_ns": now_ns},
                reason=reason,
            )
        return msgspec.structs.replace(found, ended_ns=now_ns)

    def live(self) -> list[StoredSwitch]:
        """Those that hold now, oldest first."""
        now_ns = self._clock.now_ns()
        return [found for found in self.list(now_ns) if found.in_force(now_ns)]

    def list(self, since_ns: int | None = None) -> "list[StoredSwitch]":
        """Those that hold, and those that ended after `since_ns` (default: in the last 30 days), oldest first."""
        since_ns = self._clock.now_ns() - ENDED if since_ns is None else since_ns
        recent = or_(switches.c.until_ns.is_(None), switches.c.until_ns > since_ns)
        recent &= or_(switches.c.ended_ns.is_(None), switches.c.ended_ns > since_ns)
        with reading(self._engine) as connection:
            rows = connection.execute(select(switches).where(recent).order_by(switches.c.from_ns, switches.c.id))
            return [_stored(row) for row in rows.mappings()]


def _stored(row: RowMapping) -> StoredSwitch:
    return msgspec.convert({str(name): value for name, value in row.items()}, StoredSwitch)
