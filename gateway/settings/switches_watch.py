"""Keeps kill switches in force: one that is set or cleared counts within a second, in every worker.

Switches of the ledger are looked at as adjustments of limits are: by the number of the newest entry of the audit log.
What was known last is also kept in a file beside the journal, so that a worker that starts while the database is away
does not begin to serve what an operator has stopped.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
from sqlalchemy import Engine

from gateway.errors import LedgerError
from gateway.ledger.audit import Head, head
from gateway.ledger.switches import StoredSwitch, SwitchStore
from gateway.routing.switches import Switch, next_end
from gateway.seams import Clock
from gateway.settings.reload import Configuration
from gateway.telemetry.logs import alert, info

FILE = "switches.json"


class StoredSwitches(Protocol):
    """What is asked of the ledger."""

    def head(self) -> Head: ...

    def live(self) -> list[StoredSwitch]: ...


class LedgerSwitches:
    """`StoredSwitches` of a ledger database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._store = SwitchStore(engine, clock)

    def head(self) -> Head:
        return head(self._engine)

    def live(self) -> list[StoredSwitch]:
        return self._store.live()


class SwitchWatch:
    """Publishes switches when one was set or cleared, and when one ends."""

    def __init__(
        self, configuration: Configuration, store: StoredSwitches, clock: Clock, directory: Path | str | None = None
    ) -> None:
        """`directory`: where the last known switches are kept; None: nowhere."""
        self._configuration = configuration
        self._store = store
        self._clock = clock
        self._file = None if directory is None else Path(directory) / FILE
        self._head: Head | None = None
        self._known: tuple[Switch, ...] = ()
        self._due_ns: int | None = None
        self.failed = False
        """The last look did not succeed; the switches known before stay in force until they end."""

    def recall(self) -> None:
        """Put the switches of the file in force, before the first look."""
        if self._file is not None:
            with suppress(OSError, msgspec.MsgspecError):
                self._publish(msgspec.json.decode(self._file.read_bytes(), type=tuple[Switch, ...]))

    def look(self) -> bool:
        """Publish switches if something changed; whether it did. Blocks. Never raises for a database away."""
        known = self._known
        try:
            # The head is read first: a change between the two reads is then seen by the next look, not lost.
            found = self._store.head()
            if found != self._head:
                known = tuple(map(switch_of, self._store.live()))
                self._head = found
            self.failed = False
        except LedgerError:
            self.failed = True
        due = self._due_ns is not None and self._clock.now_ns() >= self._due_ns
        if known == self._known and not due:
            return False
        changed = known != self._known
        self._publish(known)
        if changed:
            self._keep()
        return True

    def _publish(self, switches: tuple[Switch, ...]) -> None:
        self._known = switches
        self._due_ns = next_end(switches, self._clock.now_ns())
        self._configuration.set_switches(switches)
        info("switches_in_force", switches=[f"{each.kind} {each.scope} {each.name}".strip() for each in switches])

    def _keep(self) -> None:
        if self._file is None:
            return
        made = self._file.with_name(f"{FILE}.{os.getpid()}.new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            made.write_bytes(msgspec.json.encode(self._known))
            os.replace(made, self._file)
        except OSError as error:
            alert("switches_not_kept", reason=error.strerror or "")


def switch_of(stored: StoredSwitch) -> Switch:
    """A stored switch as the road takes it."""
    fields = msgspec.structs.asdict(stored)
    return msgspec.convert({name: fields[name] for name in Switch.__struct_fields__}, Switch)
