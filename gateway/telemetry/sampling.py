"""Which exchanges are traced: decided when they are over, from what became of them.

Kept are those the operator never wants to miss, those whose caller records its own trace, and a share of the rest. The
share is decided by the trace id alone, by OpenTelemetry's consistent probability sampling (OTEP 235: keep when the last
56 bits are not below a threshold), so that every gateway and every collector decides alike, and a greater share holds
all of a smaller one.
"""

from collections.abc import Collection
from typing import Literal

import msgspec

from gateway.facts import Exchange
from gateway.wire.traceparent import chance_of

Keep = Literal["error", "blocked", "slow", "refused"]

NEVER = "g"
"""A threshold above every hex digit."""
_BUDGET_EXHAUSTED = 402
_OUTCOMES: dict[str, tuple[str, ...]] = {
    "error": ("error", "upstream_error", "upstream_timeout", "upstream_status", "shutdown", "interrupted"),
    "blocked": ("blocked", "cut"),
    "refused": ("refused",),
}


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """A compiled choice of exchanges; see `sampling`."""

    threshold: str
    outcomes: frozenset[str]
    budgets: bool
    """A refusal because of an exhausted budget is kept."""
    slow: float
    """Seconds from which on an exchange is kept; infinite: never for that."""

    def keeps(self, x: Exchange) -> bool:
        """Whether `x`, which is over, is traced. Every request asks: `samples` is written out here."""
        parent, id_ = x.parent, x.id
        if id_[21:23] + id_[24:] >= self.threshold if parent is None else parent.flags & 1:
            return True
        outcome = x.outcome
        if outcome in self.outcomes or x.finished_at - x.received_at >= self.slow:
            return True
        return outcome == "refused" and x.status == _BUDGET_EXHAUSTED and self.budgets

    def samples(self, x: Exchange) -> bool:
        """Whether `x` is traced whatever becomes of it: the caller's own decision, else chance."""
        parent = x.parent
        return chance_of(x) >= self.threshold if parent is None else parent.flags & 1 == 1


def sampling(share: float, keep: Collection[str], slow: float) -> Sampling:
    """The choice of `share` (0 to 1) of all, and of every exchange that is one of `keep`: error (the provider or the
    gateway failed), blocked (by a guardrail or an exhausted budget, while an answer was streamed too), slow (`slow`
    seconds or more), refused (by the gateway: key, model, size, limits)."""
    return Sampling(
        threshold=threshold_of(share),
        outcomes=frozenset(outcome for kind in keep for outcome in _OUTCOMES.get(kind, ())),
        budgets="blocked" in keep,
        slow=slow if "slow" in keep else float("inf"),
    )


def threshold_of(share: float) -> str:
    """14 hex digits that the last 56 bits of a kept trace id are not below."""
    if share <= 0.0:
        return NEVER
    return f"{min(round((1.0 - share) * (1 << 56)), (1 << 56) - 1):014x}" if share < 1.0 else "0" * 14
