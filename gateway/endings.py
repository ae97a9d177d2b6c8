"""Streams end one after the other, so that a request which has just come does not wait for all of them.

To end a stream (its settlement, its last bytes, its record) costs as much as to begin one. Streams that began together
end together: fifty ends in one turn of the event loop are some milliseconds in which nobody's first token is passed on.
Nobody waits for an end as somebody waits for a beginning, so each turn of the loop ends one stream, and looks at the
sockets again before the next.
"""

import asyncio
from collections import deque

from gateway.ride import Signal

SHARE = 32
"""So many that wait are one more in each turn: a row that grows is worked off faster, and no end waits for ever."""


class Endings:
    """One event loop's."""

    __slots__ = ("_due", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[Signal[None]] = deque()
        self._due = False
        """A stream has ended in this turn of the loop."""

    async def turn(self) -> None:
        """Returns when it is this stream's turn to end: at once, if it is the first in this turn of the loop."""
        if self._due:
            signal: Signal[None] = Signal()
            self._waiting.append(signal)
            await signal
        else:
            self._due = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        waiting = self._waiting
        if not waiting:
            self._due = False
            return
        asyncio.get_running_loop().call_soon(self._next)
        for _ in range(1 + len(waiting) // SHARE):
            waiting.popleft().fire(None)
