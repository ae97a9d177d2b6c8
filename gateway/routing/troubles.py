"""What goes wrong at providers below HTTP, told to the log: a client only hears that a provider cannot be reached, and
an operator must hear why (its name is not found, its certificate is not trusted, a file of ours is no PEM)."""

from collections.abc import Callable

import msgspec

QUIET = 60.0
"""Seconds during which the same kind of failure of the same provider is counted and not told again."""


class Trouble(msgspec.Struct, frozen=True):
    """A line for the log. `error`: the class of the failure. `reason`: in words, without anything of a request.
    `untold`: failures of this kind since the last line."""

    provider: str
    error: str
    reason: str
    untold: int


class Troubles:
    """Tells the first failure of each kind of each provider at once, and then one a minute at most. World state."""

    def __init__(self, tell: Callable[[Trouble], None]) -> None:
        self._tell = tell
        self.counts: dict[tuple[str, str], int] = {}
        """Failures by provider and class: providers come from the configuration and classes are few."""
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def note(self, provider: str, error: Exception, now: float) -> None:
        """A failure at `now` (monotonic seconds). Never raises."""
        kind = (provider, type(error).__name__)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        quiet_until, untold = self._told.get(kind, (now, 0))
        if now < quiet_until:
            self._told[kind] = (quiet_until, untold + 1)
            return
        self._told[kind] = (now + QUIET, 0)
        self._tell(Trouble(*kind, str(error), untold))
