"""Time and chance, as arguments: the real clock, its double, and time-ordered ids."""

import os
import time

timer_ns = time.perf_counter_ns
"""Nanoseconds on the finest clock there is, from any beginning: for what a detector took."""


class SystemClock:
    """The machine's clocks. Implements `gateway.seams.Clock`; called a dozen times a request, so without a frame of its
    own.

    `now_ns`: wall clock, nanoseconds since the epoch, UTC. `monotonic`: seconds on a clock that never steps, with the
    event loop's `time()` as its base.
    """

    now_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)


class ManualClock:
    """A clock a test turns by hand. Implements `gateway.seams.Clock`."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._monotonic = 1000.0

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now_ns += round(seconds * 1e9)
        self._monotonic += seconds


class Ids:
    """UUIDv7 as 36-character text (RFC 9562 section 5.7): 48 bits of milliseconds, then randomness.

    The random parts are made in blocks, and the time is only written out anew when the millisecond changes.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._millis = -1
        self._time = ""

    def uuid7(self, now_ns: int) -> str:
        millis = now_ns // 1_000_000
        if millis != self._millis:
            text = f"{millis:012x}"
            self._millis, self._time = millis, f"{text[:8]}-{text[8:]}-7"
        if not self._parts:
            self._parts = _random_parts()
        return self._time + self._parts.pop()


def _random_parts() -> list[str]:
    """256 ends of ids. Variant 10: the first digit of the fourth group is 8, 9, a or b."""
    digits = os.urandom(256 * 19 // 2).hex()
    return [
        f"{digits[at + 1 : at + 4]}-{'89ab'[ord(digits[at]) & 3]}{digits[at + 4 : at + 7]}-{digits[at + 7 : at + 19]}"
        for at in range(0, len(digits), 19)
    ]
