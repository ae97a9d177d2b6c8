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

    Random digits are drawn in blocks, and the time is only written out anew when the millisecond changes: an id costs
    a few slices.
    """

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0
        self._millis = -1
        self._time = ""

    def uuid7(self, now_ns: int) -> str:
        millis = now_ns // 1_000_000
        if millis != self._millis:
            text = f"{millis:012x}"
            self._millis, self._time = millis, f"{text[:8]}-{text[8:]}-7"
        at = self._at
        digits = self._digits
        if at + 19 > len(digits):
            digits, at = os.urandom(4750).hex(), 0
            self._digits = digits
        self._at = at + 19
        # Variant 10: the first digit of the fourth group is 8, 9, a or b.
        variant = "89ab"[ord(digits[at]) & 3]
        return f"{self._time}{digits[at + 1 : at + 4]}-{variant}{digits[at + 4 : at + 7]}-{digits[at + 7 : at + 19]}"
