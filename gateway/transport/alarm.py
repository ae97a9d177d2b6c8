"""One lazy timer for all the time-outs of a connection.

Time-outs are set a thousand times for each time one fires, so setting one is storing a float. The event loop's timer
is armed only when none is armed early enough, and when it fires it looks at what is due and arms itself again. A
time-out is judged only after the loop had another chance to read: libuv runs timers before sockets, and a process that
was paused must not blame its peers.
"""

import asyncio
import math

SLACK = 0.0015
"""Seconds by which a loop's timer may fire early (uvloop counts in whole milliseconds)."""
_SECOND_LOOK = 0.001


class Alarm:
    """To be inherited, so that setting a time-out on the road is one comparison and no call: a subclass that lets
    something be due at `at` calls `_arm(at)` if `at < self._timer_at`. All times are the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer_at = math.inf
        """When the loop's timer fires."""
        self._timer: asyncio.TimerHandle | None = None
        self._second_look = False

    def _due(self) -> float:
        """When the next time-out is over; infinite: there is none."""
        raise TypeError

    def _expire(self, now: float) -> None:
        """What was due at `now` or before has passed."""
        raise TypeError

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._tick)

    def _disarm(self) -> None:
        """Nothing will be due any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        due = self._due()
        now = self._loop.time()
        if due > now + SLACK:
            self._second_look = False
            if due < math.inf:
                self._arm(due)
        elif not self._second_look:
            self._second_look = True
            self._arm(now + _SECOND_LOOK)
        else:
            self._second_look = False
            self._expire(now + SLACK)
