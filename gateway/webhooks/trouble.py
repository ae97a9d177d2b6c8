"""What is said of a disk that does not take webhooks: at once, then once a minute, and when it does again."""

from typing import Protocol

from gateway.seams import Clock

EVERY = 60.0
"""Seconds between two lines while it lasts."""


class Report(Protocol):
    """Says what happened: `gateway.telemetry.logs.alert`."""

    def __call__(self, event: str, /, **fields: str | int) -> None: ...


class SpoolTrouble:
    """One kind of access to the spool, which is tried again and again."""

    __slots__ = ("_clock", "_count", "_report", "_told", "_told_at")

    def __init__(self, report: Report, clock: Clock) -> None:
        self._report = report
        self._clock = clock
        self._count = self._told = 0
        """Failures in a row, and how many of them were told."""
        self._told_at = 0.0

    def failed(self, error: OSError) -> None:
        """It failed. The line says how often since the one before."""
        self._count += 1
        now = self._clock.monotonic()
        if self._count == 1 or now - self._told_at >= EVERY:
            self._report("webhook_spool_failed", reason=error.strerror or "", failures=self._count - self._told)
            self._told, self._told_at = self._count, now

    def well(self) -> None:
        """It succeeded."""
        if self._count:
            self._report("webhook_spool_well", failures=self._count)
            self._count = self._told = 0
