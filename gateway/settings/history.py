"""Tells the ledger's history of every configuration that this process puts in force, and of every one it refuses.

What is to be told waits in memory while the database is away, `MOST_WAITING` events at the most, and is told when it is
back. Nothing waits for it.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable

import msgspec
from sqlalchemy import Engine

from gateway.errors import LedgerError
from gateway.ledger.config_history import START, ConfigHistory, KeptFile, Origin
from gateway.seams import Clock
from gateway.settings.load import Written
from gateway.settings.reload import Configuration, ReloadResult
from gateway.settings.versions import kept_files, source_of
from gateway.telemetry.logs import alert

MOST_WAITING = 64
AGAIN = 1.0
"""Seconds until the database is asked again after it was away."""
PATIENCE = 10
"""Times in a row it is not worth a word: at the first start, the tables are being made."""
_ASKED = re.compile(r"(?:(rollback to version \d+) by )?admin key (\S+)")


class _Happened(msgspec.Struct, frozen=True, kw_only=True):
    at_ns: int
    since_ns: int | None
    """When this process put the one before in force."""
    hash: str
    origin: Origin
    files: list[KeptFile]
    changes: list[str]
    error: str | None


class Historian:
    """One per process. `follow` takes note of what happens from now on; `run` tells the ledger."""

    def __init__(self, configuration: Configuration, engine: Engine, clock: Clock) -> None:
        self._configuration = configuration
        self._history = ConfigHistory(engine, source_of(configuration.snapshot.source))
        self._clock = clock
        self._waiting: deque[_Happened] = deque(maxlen=MOST_WAITING)
        self._since_ns: int | None = None
        self._due = asyncio.Event()
        self._wake: Callable[[], object] = bool
        self.failures = 0
        """Times in a row that the database could not be told; it is tried again."""

    def follow(self) -> None:
        """Take note of what is in force, and of every reload. Called on the event loop."""
        self._put(Origin(START), None)
        loop = asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(self._due.set)
        self._due.set()
        self._configuration.subscribe(self._reloaded)

    def tell(self) -> bool:
        """Tell what waits, oldest first; whether all of it was. Blocks. Never raises for a database away."""
        while self._waiting:
            happened = self._waiting[0]
            try:
                tell(self._history, happened)
            except LedgerError as error:
                self.failures += 1
                if self.failures == PATIENCE:
                    alert("config_history_behind", reason=str(error))
                return False
            self.failures = 0
            if self._waiting and self._waiting[0] is happened:
                self._waiting.popleft()
        return True

    async def run(self) -> None:
        """Tell whenever there is something, on a thread, until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            if not await asyncio.to_thread(self.tell):
                self._due.set()
                await asyncio.sleep(AGAIN)

    def _reloaded(self, result: ReloadResult) -> None:
        """Called on the thread that reloaded."""
        self._put(origin_of(result.reason), result)
        self._wake()

    def _put(self, origin: Origin, result: ReloadResult | None) -> None:
        self._waiting.append(_happened(self._configuration, self._clock.now_ns(), origin, result, self._since_ns))
        if result is None or result.ok:
            self._since_ns = self._clock.now_ns()


def tell(history: ConfigHistory, happened: _Happened) -> bool:
    """Write one event; whether it was news. Raises `LedgerError`."""
    if happened.error is not None:
        return history.refused(at_ns=happened.at_ns, hash=happened.hash, origin=happened.origin, error=happened.error)
    return history.in_force(
        at_ns=happened.at_ns,
        hash=happened.hash,
        files=happened.files,
        origin=happened.origin,
        changes=happened.changes,
        since_ns=happened.since_ns,
    )


def tell_now(
    configuration: Configuration, engine: Engine, clock: Clock, origin: Origin, result: ReloadResult | None
) -> bool:
    """Write what has just been reloaded (None: what is in force), in the name of who asked for it. The process's
    `Historian` and the other workers then find that it is known. Raises `LedgerError`."""
    history = ConfigHistory(engine, source_of(configuration.snapshot.source))
    return tell(history, _happened(configuration, clock.now_ns(), origin, result, None))


def origin_of(reason: str) -> Origin:
    """Of a reload's reason: `admin key ID` names who asked, `file change` and `SIGHUP` do not."""
    found = _ASKED.fullmatch(reason)
    return Origin(reason) if found is None else Origin(found[1] or "reload", f"key:{found[2]}")


def _happened(
    configuration: Configuration, at_ns: int, origin: Origin, result: ReloadResult | None, since_ns: int | None
) -> _Happened:
    refused = result is not None and not result.ok
    return _Happened(
        at_ns=at_ns,
        since_ns=since_ns,
        hash=configuration.snapshot.hash,
        origin=origin,
        files=[] if refused else _kept(configuration.written),
        changes=[] if result is None else result.difference,
        error=(result.error or "") if refused and result is not None else None,
    )


def _kept(written: Written) -> list[KeptFile]:
    """What can be kept of it. A text that was read a moment ago can be masked; should it not, none is kept rather than
    one with a secret in it."""
    try:
        return kept_files(written)
    except Exception as error:
        alert("config_history_defect", error=type(error).__name__)
        return []
