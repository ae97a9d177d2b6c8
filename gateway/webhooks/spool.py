"""The spool: events on disk until each of their receivers has them, and as long after as they must not be told again.

A directory beside the journal rather than a table: an event is made on the road, in the middle of a request, where
nothing may wait for a database; and it must be there after a crash, and while the database is away. The workers of a
gateway share it.

    events/ID                an event; its name is made of what it tells, so that there is one of each
    receivers/ID.ENDPOINT    how far its delivery to one receiver is
    dead/ID.ENDPOINT         what was given up, with the reason, for a person: `MOST_DEAD` of them, for `DEAD_KEPT`
    lock                     held by the worker that delivers

An event is written beside and linked into place: it is there whole, once, or not at all. It survives the end of the
process at any moment; `sync` makes it survive that of the machine too, about a second later, as the journal does.
"""

import errno
import os
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from gateway.sole import sole

MOST_EVENTS = 20_000
"""Events kept, delivered ones that must not be told again with them: at 1 kB each. A client that may make counters
(rules by tag) makes events with them, while a receiver may be down for days."""
UNCOUNTED = MOST_EVENTS // 20
"""So many one process may add before it counts again what is there: each of them may pass the bound by so much."""
UNSEEN = 64
"""A process that found it full counts again after so many that it refused."""
MOST_DEAD = 1_000
DEAD_KEPT = 30 * 86_400
"""Seconds."""

Outcome = Literal["", "delivered", "dead"]

_encode = msgspec.json.Encoder().encode


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell."""

    id: str
    """Letters, digits and `_`; the same for the same thing. Receivers see it as `webhook-id`."""
    kind: str
    at_ns: int
    forget_ns: int
    """From then on it may be told again (wall clock, nanoseconds)."""
    endpoints: tuple[str, ...]
    """Ids of those who wanted it when it happened."""
    stream: str = ""
    """Events of the same stream reach a receiver in their order; empty: in any."""
    body: str
    """The very text that is sent and signed."""
    draft_until_ns: int = 0
    """Until then it may be said better (`Spool.amend`), and is not told; 0: it is what it will be."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One event's delivery to one receiver."""

    attempts: int = 0
    next_ns: int = 0
    """Not before then."""
    outcome: Outcome = ""
    error: str = ""
    """Of the last attempt: a status or the name of a failure."""


class Dead(msgspec.Struct, frozen=True):
    """What was given up."""

    event: Event
    endpoint: str
    attempts: int
    error: str


class Spool:
    """The spool in `directory`. Methods raise `OSError` when the disk does not take them; they block for a write."""

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self._events = self.directory / "events"
        self._receivers = self.directory / "receivers"
        self._dead = self.directory / "dead"
        self._room = 0
        """Events that may be added before they are counted."""
        self._refusing = 0
        """Events that are refused without counting."""

    def put(self, event: Event) -> bool:
        """Keep an event; False: it was told already. Raises `OSError` (EDQUOT) when there are too many."""
        self._take_room()
        made = self._events / f".{event.id}.{os.getpid()}"
        try:
            made.write_bytes(_encode(event))
        except FileNotFoundError:
            self._events.mkdir(parents=True, exist_ok=True)
            made.write_bytes(_encode(event))
        try:
            os.link(made, self._events / event.id)
        except FileExistsError:
            return False
        finally:
            made.unlink(missing_ok=True)
        return True

    def _take_room(self) -> None:
        if self._room <= 0 and self._refusing <= 0:
            self._room = min(MOST_EVENTS - len(self.names()), UNCOUNTED)
            self._refusing = 0 if self._room > 0 else UNSEEN
        if self._room <= 0:
            self._refusing -= 1
            raise OSError(errno.EDQUOT, f"{MOST_EVENTS} webhooks are waiting or remembered")
        self._room -= 1

    def amend(self, event: Event) -> None:
        """Say an event better that is kept: what is delivered from now on is this."""
        if (self._events / event.id).exists():
            _replace(self._events / event.id, _encode(event))

    def names(self) -> list[str]:
        """Ids of all events that are kept, in no order."""
        with suppress(FileNotFoundError):
            return [name for name in os.listdir(self._events) if not name.startswith(".")]
        return []

    def event(self, event_id: str) -> Event | None:
        """None: it is not there, or cannot be read."""
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((self._events / event_id).read_bytes(), type=Event)
        return None

    def progress(self, event_id: str, endpoint: str) -> Progress:
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((self._receivers / f"{event_id}.{endpoint}").read_bytes(), type=Progress)
        return Progress()

    def note(self, event: Event, endpoint: str, progress: Progress) -> None:
        """Keep how far a delivery is; of one that is given up, also the event itself."""
        name = f"{event.id}.{endpoint}"
        if progress.outcome == "dead":
            _replace(self._dead / name, _encode(Dead(event, endpoint, progress.attempts, progress.error)))
        _replace(self._receivers / name, _encode(progress))

    def forget(self, event: Event) -> None:
        """Drop an event that every receiver has, or that was given up."""
        (self._events / event.id).unlink(missing_ok=True)
        for endpoint in event.endpoints:
            (self._receivers / f"{event.id}.{endpoint}").unlink(missing_ok=True)

    def dead(self) -> list[Dead]:
        """What was given up, by name."""
        found: list[Dead] = []
        with suppress(FileNotFoundError):
            for path in sorted(self._dead.iterdir()):
                with suppress(OSError, msgspec.MsgspecError):
                    found.append(msgspec.json.decode(path.read_bytes(), type=Dead))
        return found

    def bury(self, now_ns: int) -> tuple[int, int]:
        """Delete dead letters that are older than `DEAD_KEPT`, and the oldest beyond `MOST_DEAD`. Returns how many are
        left, and how many went."""
        letters: list[tuple[int, Path]] = []
        with suppress(FileNotFoundError):
            for path in self._dead.iterdir():
                with suppress(FileNotFoundError):
                    letters.append((path.stat().st_mtime_ns, path))
        letters.sort(reverse=True)
        oldest_ns = now_ns - DEAD_KEPT * 10**9
        gone = [path for at, (made_ns, path) in enumerate(letters) if at >= MOST_DEAD or made_ns < oldest_ns]
        for path in gone:
            path.unlink(missing_ok=True)
        return len(letters) - len(gone), len(gone)

    def sync(self, event_id: str) -> None:
        """Make one event survive a power failure."""
        for path in (self._events / event_id, self._events):
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def sole(self) -> AbstractContextManager[bool]:
        """Be the only one who delivers, if nobody else is."""
        return sole(self.directory / "lock")


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.{os.getpid()}")
    made.write_bytes(data)
    os.replace(made, path)
