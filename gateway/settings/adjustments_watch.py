"""Keeps adjustments of limits in force: one that is made, taken back or over counts within a second, in every worker.

What is looked at is the head of the audit log, one row: every adjustment is in that log, so its number grows with each.
The head is remembered beside the journal on the way, so that a log that is cut off at its end is noticed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine

from gateway.errors import LedgerError
from gateway.ledger.adjustments import AdjustmentStore, StoredAdjustment
from gateway.ledger.audit import Head, head, remember
from gateway.limits.program import next_change
from gateway.quota import Adjustment
from gateway.seams import Clock
from gateway.settings.reload import Configuration
from gateway.telemetry.logs import alert, info


class Adjustments(Protocol):
    """What is asked of the ledger."""

    def head(self) -> Head: ...

    def live(self) -> list[StoredAdjustment]: ...


class LedgerAdjustments:
    """`Adjustments` of a ledger database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self.live: Callable[[], list[StoredAdjustment]] = AdjustmentStore(engine, clock).live

    def head(self) -> Head:
        return head(self._engine)


class AdjustmentWatch:
    """Looks at the audit log's head and publishes adjustments when it moved, and when one begins or ends."""

    def __init__(
        self, configuration: Configuration, store: Adjustments, clock: Clock, journal: Path | str | None = None
    ) -> None:
        """`journal`: the directory the head is remembered in; None: nowhere."""
        self._configuration = configuration
        self._store = store
        self._clock = clock
        self._journal = journal
        self._head: Head | None = None
        self._adjustments: tuple[Adjustment, ...] = ()
        self._due_ns: int | None = None
        self.failed = False
        """The last look did not succeed; the adjustments known before stay in force until they end."""

    def look(self) -> bool:
        """Publish adjustments if something changed; whether it did. Blocks. Never raises for a database away."""
        known = self._adjustments
        try:
            # The head is read first: a change between the two reads is then seen by the next look, not lost.
            found = self._store.head()
            if found != self._head:
                known = tuple(map(adjustment_of, self._store.live()))
                self._remember(found)
                self._head = found
            self.failed = False
        except LedgerError:
            self.failed = True
        now_ns = self._clock.now_ns()
        due = self._due_ns is not None and now_ns >= self._due_ns
        if known == self._adjustments and not due:
            return False
        self._adjustments = known
        self._due_ns = next_change(known, now_ns)
        self._configuration.set_adjustments(known)
        return True

    def _remember(self, found: Head) -> None:
        if self._head is not None:
            info("audit_head", entries=found.seq, hash=found.hash)
        if self._journal is None:
            return
        try:
            if not remember(self._journal, found):
                alert("audit_log_changed", entries=found.seq, advice="tollway audit verify")
        except OSError as error:
            alert("audit_head_not_remembered", reason=error.strerror or "")


def adjustment_of(stored: StoredAdjustment) -> Adjustment:
    """A stored adjustment as the limit program takes it."""
    return Adjustment(stored.bound_key, stored.extra, stored.from_ns, stored.until_ns)
