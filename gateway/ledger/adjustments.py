"""Adjustments of limits: what is allowed beyond a limit for a while, with a reason, each in the audit log.

A raise adds to a limit until it expires. A reset of a calendar budget is the same with another name: as much as was
used so far is added until the window ends, so that no counter is touched and all of it can be traced.
"""

import secrets
from typing import Literal

import msgspec
from sqlalchemy import Engine, RowMapping, insert, select, update

from gateway.errors import LedgerError
from gateway.ledger.audit import append
from gateway.ledger.spend import usd
from gateway.ledger.store import reading, writing
from gateway.ledger.tables import limit_adjustments
from gateway.seams import Clock

Kind = Literal["raise", "reset"]


class StoredAdjustment(msgspec.Struct, frozen=True, kw_only=True):
    """One adjustment. Times are nanoseconds since the epoch, UTC."""

    id: str
    bound_key: str
    """The counter it is for (`gateway.quota.Bound.key`)."""
    kind: Kind
    extra: int
    """Requests, tokens or nano-dollars beyond the limit."""
    from_ns: int
    until_ns: int
    reason: str
    made_by: str
    """`key:ID` or `cli:USER`."""
    ended_ns: int | None = None
    """When it was taken back."""

    def in_force(self, now_ns: int) -> bool:
        return self.ended_ns is None and self.from_ns <= now_ns < self.until_ns


class AdjustmentStore:
    """Adjustments of one ledger. Every method blocks, and raises `LedgerError` when the database is away."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def add(
        self,
        *,
        bound_key: str,
        kind: Kind,
        extra: int,
        until_ns: int,
        reason: str,
        actor: str,
        limit: int,
        money: bool = False,
    ) -> StoredAdjustment:
        """Store one that holds from now on. `limit` is what was allowed before, for the audit log, which shows amounts
        as `money` in US dollars."""
        now_ns = self._clock.now_ns()
        if extra <= 0 or until_ns <= now_ns:
            raise LedgerError("an adjustment adds something, until a time to come")
        if extra + limit >= 2**62 or until_ns >= 2**63:
            raise LedgerError("an adjustment of this size, or for this long, cannot be counted")
        made = StoredAdjustment(
            id=f"adj-{secrets.token_hex(5)}",
            bound_key=bound_key,
            kind=kind,
            extra=extra,
            from_ns=now_ns,
            until_ns=until_ns,
            reason=reason,
            made_by=actor,
        )
        with writing(self._engine) as connection:
            connection.execute(insert(limit_adjustments).values(msgspec.structs.asdict(made)))
            append(
                connection,
                at_ns=now_ns,
                actor=actor,
                action=f"budgets.{kind}",
                object=bound_key,
                before={"limit": usd(limit) if money else limit},
                after={"limit": usd(limit + extra) if money else limit + extra, "until_ns": until_ns, "id": made.id},
                reason=reason,
            )
        return made

    def end(self, adjustment_id: str, *, reason: str, actor: str) -> StoredAdjustment:
        """Take one back now. Raises `LedgerError` when there is none of this id that holds."""
        now_ns = self._clock.now_ns()
        with writing(self._engine) as connection:
            query = select(limit_adjustments).where(limit_adjustments.c.id == adjustment_id)
            row = connection.execute(query.with_for_update()).mappings().first()
            if row is None:
                raise LedgerError(f"there is no adjustment {adjustment_id[:100]!r}")
            found = _stored(row)
            if found.ended_ns is not None or found.until_ns <= now_ns:
                raise LedgerError(f"the adjustment {adjustment_id!r} does not hold any more")
            one = limit_adjustments.c.id == adjustment_id
            connection.execute(update(limit_adjustments).where(one).values(ended_ns=now_ns))
            append(
                connection,
                at_ns=now_ns,
                actor=actor,
                action="budgets.end",
                object=found.bound_key,
                before={"id": found.id, "until_ns": found.until_ns},
                after={"id": found.id, "until_ns": now_ns},
                reason=reason,
            )
        return msgspec.structs.replace(found, ended_ns=now_ns)

    def live(self) -> list[StoredAdjustment]:
        """Those that hold now, or will (another host's clock may be ahead of this one), oldest first."""
        return [found for found in self.list(since_ns=self._clock.now_ns()) if found.ended_ns is None]

    def list(self, since_ns: int = 0) -> "list[StoredAdjustment]":
        """Those that end after `since_ns`, oldest first."""
        query = select(limit_adjustments).where(limit_adjustments.c.until_ns > since_ns)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(limit_adjustments.c.from_ns, limit_adjustments.c.id))
            return [_stored(row) for row in rows.mappings()]


def _stored(row: RowMapping) -> StoredAdjustment:
    return msgspec.convert({str(name): value for name, value in row.items()}, StoredAdjustment)
