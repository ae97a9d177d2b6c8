"""Time and chance, as arguments: the real clock, its double, and time-ordered ids."""

import os
import time


class SystemClock:
    """The machine's clocks. Implements `gateway.seams.Clock`."""

    def now_ns(self) -> int:
        """Wall clock, nanoseconds since the epoch, UTC."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds on a clock that never steps; same base as the event loop's `time()`."""
        return time.monotonic()


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

    Random bits are drawn in blocks of 4 KiB, because one `os.urandom` call an id costs more than the rest of it.
    """

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def uuid7(self, now_ns: int) -> str:
        if self._at >= len(self._pool):
            self._pool, self._at = os.urandom(4096), 0
        at = self._at
        self._at = at + 16
        random = int.from_bytes(self._pool[at : at + 10], "big")
        high = (now_ns // 1_000_000) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64
        value = high | 0b10 << 62 | random & (1 << 62) - 1
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
