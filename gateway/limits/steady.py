"""Wall time that never goes back."""

from gateway.seams import Clock


class SteadyClock:
    """The wall clock, for windows: it never runs backwards.

    When the wall clock is set back by s seconds, this one runs on at half speed until the wall has caught up with it: a
    wait gets longer by s at most, in all, and no window is entered twice. A step forward is believed at once: whoever
    sets the clock forward by s lets the windows age by s.
    """

    def __init__(self, clock: Clock) -> None:
        self._wall = clock.now_ns
        self._monotonic = clock.monotonic
        self._last = 0
        self._slowed = -1
        """What `_last` was made by the last slow step; anything else there: the wall was ahead in between."""
        self._since = 0.0

    def now_ns(self) -> int:
        wall = self._wall()
        if wall >= self._last:
            self._last = wall
            return wall
        return self._slow()

    def _slow(self) -> int:
        elapsed = self._monotonic()
        if self._last == self._slowed:
            self._last += int((elapsed - self._since) * 5e8)
        self._since = elapsed
        self._slowed = self._last
        return self._last
