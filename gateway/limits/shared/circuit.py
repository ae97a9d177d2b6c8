"""When to try again to reach a server that is away. Pure: chance is an argument."""

from collections.abc import Callable

STEADY = 5.0
"""Seconds a connection must have held for the next try after its end to be an immediate one."""


class Backoff:
    """Exponential, with full jitter from half of it on: 0 for the first try after a connection that held, then about
    `first`, doubled each time up to `longest` seconds. The workers of a fleet do not come back all at once."""

    def __init__(self, chance: Callable[[], float], first: float = 0.05, longest: float = 1.0) -> None:
        """`chance` gives numbers in [0, 1)."""
        self._chance = chance
        self._first = first
        self._longest = longest
        self._failures = 0

    def held(self, seconds: float) -> None:
        """A connection came about and lasted so long."""
        if seconds >= STEADY:
            self._failures = 0

    def pause(self) -> float:
        """Seconds to wait before the next try."""
        self._failures += 1
        if self._failures == 1:
            return 0.0
        full = min(self._longest, self._first * 2 ** min(self._failures - 2, 16))
        return full * (0.5 + self._chance() / 2)
