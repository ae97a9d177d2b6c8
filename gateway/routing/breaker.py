"""The circuit breaker of one target. Pure: monotonic time is an argument.

    closed     everything passes; `failures` in a row, or too large a share of a window, open it
    open       left alone for `back_off`; whoever has no other target may still try
    half-open  the back-off is over: one attempt, the probe, closes the circuit, or opens it for twice as long

An attempt carries a ticket from its beginning to its end, so that one that was begun before the circuit last opened
says nothing about how the target does now (M. Nygard, Release It!, "Circuit Breaker"; the share in a window is what
Envoy's outlier detection and resilience4j add to it).
"""

from typing import Literal

import msgspec

State = Literal["closed", "half-open", "open"]
STATES: tuple[State, ...] = ("closed", "half-open", "open")
"""In the order of the numbers they have in metrics."""


class BreakerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """When a circuit opens, and for how long. Seconds."""

    failures: int = 5
    """In a row."""
    errors: float = 0.5
    """Share of a window's attempts that fail, 0 to 1,"""
    least: int = 20
    """of at least so many,"""
    window: float = 30.0
    """in so long."""
    back_off: float = 2.0
    """The first time; doubles with each probe that fails."""
    longest: float = 60.0


class Breaker:
    """Each ticket that `enter` gave comes back in exactly one of `succeeded`, `failed` and `left`; what came in while
    nobody knew of trouble has ticket 0."""

    __slots__ = ("_back_off", "_bad", "_began", "_every", "_in_a_row", "_probing", "_until", "openings", "options")

    def __init__(self, options: BreakerOptions) -> None:
        self.options = options
        """May be replaced; holds for what comes after."""
        self.openings = 0
        """Times it opened, probes that failed among them."""
        self._until: float | None = None
        self._back_off = options.back_off
        self._probing = False
        self._in_a_row = 0
        self._began = 0.0
        self._every = 0
        self._bad = 0

    def state(self, now: float) -> State:
        if self._until is None:
            return "closed"
        return "open" if now < self._until else "half-open"

    def takes(self, now: float) -> bool:
        """Whether an attempt is welcome: the circuit is closed, or waits for its probe."""
        return self._until is None or (now >= self._until and not self._probing)

    @property
    def idle(self) -> bool:
        """It is as good as new: closed, and its window holds no failure."""
        return self._until is None and not self._in_a_row and not self._bad

    def remaining(self, now: float) -> float:
        """Seconds until a probe is due; 0 when it is, or the circuit is closed."""
        return 0.0 if self._until is None else max(0.0, self._until - now)

    def enter(self, now: float) -> int:
        """The ticket of an attempt that is about to be made, welcome or not; negative: it is the probe."""
        if self._until is None or now < self._until or self._probing:
            return self.openings
        self._probing = True
        return -self.openings

    def succeeded(self, ticket: int, now: float) -> bool:
        """True: the circuit closed. Anybody's success does that, since it was had after it opened."""
        if abs(ticket) != self.openings:
            return False
        if self._until is None:
            self._in_a_row = 0
            self._count(now, failed=False)
            return False
        self._until, self._probing = None, False
        self._back_off = self.options.back_off
        self._in_a_row = self._every = self._bad = 0
        self._began = now
        return True

    def failed(self, ticket: int, now: float) -> bool:
        """True: the circuit opened, or opened again."""
        if abs(ticket) != self.openings:
            return False
        if self._until is not None:
            if ticket >= 0 or not self._probing:
                return False
            return self._open(now)
        self._in_a_row += 1
        self._count(now, failed=True)
        options = self.options
        share = self._every >= options.least and self._bad >= options.errors * self._every
        return self._open(now) if share or self._in_a_row >= options.failures else False

    def left(self, ticket: int) -> None:
        """The attempt ended without telling anything of the target: the client left, or its own request was at fault.
        Of a probe: the next one takes its place."""
        if ticket < 0 and -ticket == self.openings:
            self._probing = False

    def _open(self, now: float) -> bool:
        self.openings += 1
        self._until, self._probing = now + self._back_off, False
        self._back_off = min(self._back_off * 2, self.options.longest)
        self._in_a_row = self._every = self._bad = 0
        return True

    def _count(self, now: float, *, failed: bool) -> None:
        if now - self._began >= self.options.window:
            self._began, self._every, self._bad = now, 0, 0
        self._every += 1
        self._bad += failed
