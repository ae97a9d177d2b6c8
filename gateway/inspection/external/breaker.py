"""The circuit breaker of one detector. Pure: monotonic time is an argument.

Closed, until `failures` calls in a row failed. Then open for a back-off. After it one call, the probe, is let through:
its success closes the circuit, its failure opens it for twice as long, and if it is abandoned the next call is the
probe.
"""

from typing import Literal

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Every `allow()` that said True is followed by exactly one of `succeeded`, `failed`, `abandoned`."""

    def __init__(self, failures: int, back_off: float, longest: float) -> None:
        """`back_off` and `longest` in seconds."""
        self._failures = max(failures, 1)
        self._first = back_off
        self._longest = longest
        self._back_off = back_off
        self._in_a_row = 0
        self._open_until: float | None = None
        self._is_probing = False

    def state(self, now: float) -> State:
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half-open"

    def allow(self, now: float) -> bool:
        """Whether a call may be made now."""
        if self._open_until is None:
            return True
        if now < self._open_until or self._is_probing:
            return False
        self._is_probing = True
        return True

    def succeeded(self) -> None:
        self._in_a_row = 0
        self._open_until = None
        self._is_probing = False
        self._back_off = self._first

    def failed(self, now: float, retry_after: float | None = None) -> None:
        """`retry_after`: seconds the service asked for; the circuit opens at once, for at least so long."""
        self._in_a_row += 1
        was_probe = self._is_probing
        self._is_probing = False
        if self._open_until is not None and not was_probe:
            return  # A call from before the circuit opened: the back-off counts from then.
        if self._in_a_row < self._failures and not was_probe and retry_after is None:
            return
        wait = min(max(self._back_off, retry_after or 0.0), self._longest)
        self._open_until = now + wait
        self._back_off = min(self._back_off * 2, self._longest)

    def abandoned(self) -> None:
        """The call ended without telling anything of the service: cancelled, or its own text was at fault."""
        self._is_probing = False
