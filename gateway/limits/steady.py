"""Wall time that never goes back."""

from gateway.seams import Clock


class SteadyClock:
    """The wall clock, for windows: it never runs backwards.

    When the wall clock is set back by s seconds, this one runs on at half speed until the wall has caught up with it: a
    wait gets longer by s at most, in all, and no window is entered twice. A step forward is believed at once: whoever
    sets the clock forward by s lets the windows age by s.
    """

    def __init__(self, clock: Clock) -> None:
        self.wall = clock.now_ns
        """What `now_ns` is while the wall clock is not behind `last`, which it has to become then: a caller in a hurry
        may do both itself."""
        self._monotonic = clock.monotonic
        self.last: int = 0
        self._slowed: int = -1
        """What `_last` was made by the last slow step; anything else there: the wall was ahead in between."""
        self._since = 0.0

    def now_ns(self) -> int:
        wall = self.wall()
        if wall >= self.last:
            self.last = wall
            return wall
        return self._slow()

    def _slow(self) -> int:
        elapsed = self._monotonic()
        if self.last == self._slowed:
            self.last += int((elapsed - self._since) * 5e8)
        self._since = elapsed
        self._slowed = self.last
        return self.last
