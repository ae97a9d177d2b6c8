"""Streams end one after the other, so that a request which has just come does not wait for all of them.

To end a stream (its settlement, its last bytes, its record) costs as much as to begin one. Streams that began together
end together: fifty ends in one turn of the event loop are some milliseconds in which nobody's first token is passed on.
Nobody waits for an end as somebody waits for a beginning, so each turn of the loop ends one stream, and looks at the
sockets again before the next.

A row in which more have ended than there are exchanges under way is no burst but load: somebody has ended twice in it.
Then what counts is how much is done, and that is more when like is done with like: all that wait end in each turn,
until there was a pause.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.ride import Signal

GAP = 0.002
"""Seconds without an end after which another row begins."""


class Endings:
    """One event loop's."""

    __slots__ = ("_due", "_ended", "_now", "_over_at", "_under_way", "_waiting")

    def __init__(self, now: Callable[[], float], under_way: Callable[[], int]) -> None:
        """`now` is a monotonic clock in seconds; `under_way` tells how many exchanges are."""
        self._now = now
        self._under_way = under_way
        self._waiting: deque[Signal[None]] = deque()
        self._due = False
        """A stream has ended in this turn of the loop."""
        self._ended = 0
        """How many have since the row began."""
        self._over_at = 0.0
        """When the row was over."""

    async def turn(self) -> None:
        """Returns when it is this stream's turn to end: at once, if it is the first in this turn of the loop."""
        if self._due:
            signal: Signal[None] = Signal()
            self._waiting.append(signal)
            await signal
        else:
            self._due = True
            if self._now() - self._over_at > GAP:
                self._ended = 0
            self._ended += 1
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        waiting = self._waiting
        if not waiting:
            self._due = False
            self._over_at = self._now()
            return
        asyncio.get_running_loop().call_soon(self._next)
        ends = 1 if self._ended < self._under_way() else len(waiting)
        self._ended += ends
        for _ in range(ends):
            waiting.popleft().fire(None)
