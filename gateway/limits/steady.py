"""Wall time that does not go back, but where it was wrong."""

from collections.abc import Callable

from gateway.seams import Clock

MOST_BACK = 3600.0
"""Seconds the wall clock may be set back by for windows to go on. What is more was no correction of a clock that is a
little off: one of the two times was false, and windows of it would last as long again."""
SET = 60.0
"""Seconds from which on a step is told of."""


class SteadyClock:
    """The wall clock, for windows.

    When the wall clock is set back by s seconds, up to MOST_BACK, this one runs on at half speed until the wall has
    caught up with it: a wait gets longer by s at most, in all, and no window is entered twice. When it is set back by
    more, this one goes back too, and says so first: what was counted must begin anew. A step forward is believed at
    once: whoever sets the clock forward by s lets the windows age by s.
    """

    def __init__(self, clock: Clock, on_back: Callable[[int, int], None] | None = None) -> None:
        """`on_back` is told the time at which it goes on when that is before one it gave, and by how much (ns)."""
        self.wall = clock.now_ns
        """What `now_ns` is while the wall clock is not behind `last`, which it has to become then: a caller in a hurry
        may do both itself."""
        self._monotonic = clock.monotonic
        self._on_back = on_back
        self.last: int = 0
        self._slowed: int = -1
        """What `_last` was made by the last slow step; anything else there: the wall was ahead in between."""
        self._since = 0.0

    def now_ns(self) -> int:
        wall = self.wall()
        if wall >= self.last:
            self.last = wall
            return wall
        return self._slow(wall)

    def _slow(self, wall: int) -> int:
        if self.last - wall > MOST_BACK * 1e9:
            by, self.last = self.last - wall, wall
            if self._on_back is not None:
                self._on_back(wall, by)
            return wall
        elapsed = self._monotonic()
        if self.last == self._slowed:
            self.last += int((elapsed - self._since) * 5e8)
        self._since = elapsed
        self._slowed = self.last
        return self.last


class ClockWatch:
    """Tells when the wall clock was set, by one that never is. (A machine that slept looks like one whose clock was set
    forward, and is one for all that counts in windows.)"""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = self._measured()

    def step(self) -> float:
        """Seconds by which the wall clock was set since the last look, forward or (below 0) back; 0.0: by less than
        SET."""
        before, self._ahead = self._ahead, self._measured()
        by = self._ahead - before
        return by if abs(by) >= SET else 0.0

    def _measured(self) -> float:
        return self._clock.now_ns() / 1e9 - self._clock.monotonic()
