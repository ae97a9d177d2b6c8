"""Long work on texts, done beside the event loop and a slice at a time, so that a huge text holds up nobody else.

Work of this kind is pure computation without awaits, ten layers deep: guardrails on 20 MB of text, on JSON of a million
values, on one event of a megabyte. It runs on a thread as it is, hence with the result it has on the event loop, byte
for byte. Two threads of Python share one processor, and a loop that must ask for its turn after every system call is
slow: so the work itself stops after `SLICE` seconds, wherever it calls `breathe`, until the loop has had a whole turn
for itself. Of all the work that is waiting one has the next slice, each in its turn.

Who waits for work and is cancelled has it abandoned: it ends at its next `breathe`.
"""

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
Breathe = Callable[[], None]
"""Called by long work where it may stop for a while. Raises `Abandoned` when nobody wants it any more."""

SLICE = 0.002
"""Seconds of work between two turns of the event loop."""
SWITCH = 0.001
"""Seconds after which work that does not breathe lets the loop go on in between (Python's own default is 0.005)."""
MOST = 32
"""Pieces of work under way; more wait until one of these has ended."""


class Abandoned(BaseException):
    """Nobody waits for this work any more. No `Exception`: nothing on the way may take it for a failure."""


class _Work:
    """One piece of work, as the loop and its thread know it."""

    __slots__ = ("_monotonic", "_parked", "_turn", "_until", "abandoned", "over", "started")

    def __init__(self, monotonic: Callable[[], float], parked: "Callable[[_Work], None]") -> None:
        self._monotonic = monotonic
        self._parked = parked
        self._turn = threading.Semaphore(0)
        self._until = 0.0
        self.abandoned = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.started: Future[Any] | None = None

    def breathe(self) -> None:
        """On its thread: stop here, if its slice is over, until it has the next one."""
        if self.abandoned:
            raise Abandoned
        if self._monotonic() >= self._until:
            self._parked(self)
            self._turn.acquire()
            if self.abandoned:
                raise Abandoned
            self._until = self._monotonic() + SLICE

    def go(self) -> None:
        """On the loop: it has the next slice."""
        self._turn.release()


class Slices:
    """All such work of one event loop."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._threads: ThreadPoolExecutor | None = None
        self._waiting: deque[_Work] = deque()
        self._running: _Work | None = None

    async def run(self, work: Callable[[Breathe], T]) -> T:
        """What `work` returns or raises. It runs on a thread and must not touch what the event loop uses meanwhile.
        Returns or raises, also when cancelled, only after it has ended."""
        loop = asyncio.get_running_loop()
        if self._threads is None:
            sys.setswitchinterval(SWITCH)
            self._threads = ThreadPoolExecutor(MOST, "slices")
        one = _Work(self._monotonic, lambda parked: _tell(loop, self._stopped, parked))

        def whole() -> T:
            try:
                one.breathe()
                return work(one.breathe)
            finally:
                _tell(loop, self._ended, one)

        started = one.started = self._threads.submit(whole)
        try:
            await asyncio.shield(one.over)
        except asyncio.CancelledError:
            self._abandon(one)
            await one.over
            raise
        return started.result()

    def close(self) -> None:
        """The loop ends; every `run` has returned by now."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def _stopped(self, one: _Work) -> None:
        """It has come to the end of its slice, or to its beginning, and waits."""
        if self._running is one:
            self._running = None
        self._waiting.append(one)
        asyncio.get_running_loop().call_soon(self._next)

    def _ended(self, one: _Work) -> None:
        if self._running is one:
            self._running = None
            asyncio.get_running_loop().call_soon(self._next)
        if not one.over.done():
            one.over.set_result(None)

    def _next(self) -> None:
        if self._running is None and self._waiting:
            self._running = self._waiting.popleft()
            self._running.go()

    def _abandon(self, one: _Work) -> None:
        one.abandoned = True
        if one.started is not None and one.started.cancel():
            one.over.set_result(None)  # it had not begun
        elif one in self._waiting:
            self._waiting.remove(one)
            one.go()
        # Else it runs, or is about to say that it waits: then its turn comes soon, and ends it.


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[_Work], None], one: _Work) -> None:
    """On a thread: have the loop call `what`. A loop that is closed has nobody left who waits."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(what, one)
