"""How often a log-in may fail: per client address, and in all, so that keys cannot be tried out through the console."""

import math
from collections import deque

MOST_FAILURES = 10
"""Failures of one address within the window; then it must wait."""
MOST_IN_ALL = 100
"""Of all addresses of one worker together."""
WINDOW = 300.0
"""Seconds."""
MOST_ADDRESSES = 1000


class Attempts:
    """Failed log-ins of one worker, by monotonic time."""

    def __init__(self) -> None:
        self._failed: dict[str, deque[float]] = {}
        self._all: deque[float] = deque()

    def wait(self, address: str, now: float) -> int:
        """Seconds until this address may try again; 0: now."""
        mine = self._failed.get(address)
        return max(_wait(mine, MOST_FAILURES, now) if mine else 0, _wait(self._all, MOST_IN_ALL, now))

    def failed(self, address: str, now: float) -> None:
        """Take note of a wrong key."""
        if address not in self._failed and len(self._failed) >= MOST_ADDRESSES:
            # The one that has been quiet for longest; the bound on all of them holds on.
            del self._failed[min(self._failed, key=lambda each: self._failed[each][-1])]
        self._failed.setdefault(address, deque(maxlen=MOST_FAILURES)).append(now)
        self._all.append(now)
        while self._all and now - self._all[0] >= WINDOW:
            self._all.popleft()

    def succeeded(self, address: str) -> None:
        """Whoever has a key is no guesser."""
        self._failed.pop(address, None)


def _wait(times: deque[float], most: int, now: float) -> int:
    recent = [at for at in times if now - at < WINDOW]
    return math.ceil(recent[-most] + WINDOW - now) if len(recent) >= most else 0
