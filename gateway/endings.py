"""Streams end one after the other, so that a request which has just come does not wait for all of them.

To end a stream (its settlement, its last bytes, its record) costs as much as to begin one. Streams that began together
end together: fifty ends in one turn of the event loop are some milliseconds in which nobody's first token is passed on.
Nobody waits for an end as somebody waits for a beginning, so each turn of the loop ends one stream, and looks at the
sockets again before the next.

A row that is not worked off soon is no burst but load. Then what counts is how much is done, and that is more when like
is done with like: all that wait end in each turn, until a turn finds nobody waiting.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.ride import Signal

BURST = 0.01
"""Seconds after which a row that has not been empty is load."""


class Endings:
    """One event loop's."""

    __slots__ = ("_due", "_now", "_since", "_waiting")

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is a monotonic clock in seconds."""
        self._now = now
        self._waiting: deque[Signal[None]] = deque()
        self._due = False
        """A stream has ended in this turn of the loop."""
        self._since = 0.0
        """When the row began."""

    async def turn(self) -> None:
        """Returns when it is this stream's turn to end: at once, if it is the first in this turn of the loop."""
        if self._due:
            signal: Signal[None] = Signal()
            self._waiting.append(signal)
            await signal
        else:
            self._due = True
            self._since = self._now()
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        waiting = self._waiting
        if not waiting:
            self._due = False
            return
        asyncio.get_running_loop().call_soon(self._next)
        for _ in range(1 if self._now() - self._since < BURST else len(waiting)):
            waiting.popleft().fire(None)
