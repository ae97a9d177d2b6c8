"""What rules decided, counted for metrics. Rules come from the configuration, so their number needs no bound."""

from typing import Literal

from gateway.quota import Admitted, Bound

What = Literal["refused", "downgraded", "over", "soft"]
"""`over`: let through beyond the amount; `soft`: the soft threshold of a window was passed."""


class Tally:
    """One worker's."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[tuple[str, What], int] = {}
        """(rule, what) → how often."""

    def add(self, bound: Bound, what: What) -> None:
        key = (bound.rule.id, what)
        self.counts[key] = self.counts.get(key, 0) + 1

    def admitted(self, decision: Admitted) -> None:
        for bound in decision.over:
            self.add(bound, "over")
        for bound in decision.crossed:
            self.add(bound, "soft")
