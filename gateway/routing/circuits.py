"""The circuit breakers of all targets: which are left alone now, and what attempts tell of them.

Nothing is kept of a target that does well, so that as long as all do a request asks one question. A model is never left
without a target: who has only targets whose circuits are open tries the one that is closest to its probe. Each worker
process has its own breakers: a failing target is found out by each with a few requests, and none can shut off others.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from gateway.errors import AtCapacity, CircuitOpen, PoolTimeout, ProviderLimited, TransportError
from gateway.routing.breaker import Breaker, State
from gateway.routing.table import Target
from gateway.seams import Origin

MOST = 256
"""Targets told apart; clients can make up model names where a route has a wildcard. Those beyond share one breaker a
provider."""
OTHER = "other"
MAX_NAME = 120
BROKEN = frozenset({408, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""Statuses that count as a failure. 429 does not: it comes with a pause of its own (`health.py`)."""
MUTE = frozenset({401, 403, 409, 425, 429})
"""Statuses that say neither that a target works nor that it does not."""

Key = tuple[str, str]
"""Provider and model."""


class Flip(msgspec.Struct, frozen=True):
    """A circuit that opened or closed."""

    provider: str
    model: str
    to: Literal["open", "closed"]
    seconds: float = 0.0
    """It stays open for so long before it is tried."""
    again: bool = False
    """Its probe failed: it was open before."""


class _Watched(msgspec.Struct):
    breaker: Breaker
    origin: Origin


class Circuits:
    """World state: survives reloads. Used on the event loop."""

    def __init__(self, told: Callable[[Flip], None]) -> None:
        """`told`: is called with every flip, at once."""
        self._told = told
        self._watched: dict[Key, _Watched] = {}
        self.opened: dict[Key, int] = {}
        """Times each circuit opened."""

    @property
    def watching(self) -> bool:
        """Some target failed lately: `choose` and `enter` have to be asked, and successes to be told."""
        return bool(self._watched)

    def choose(self, targets: list[Target], now: float) -> list[Target]:
        """Of targets in the order to try them, those that are worth trying: without the ones whose circuit is open;
        if all are, the one that is closest to its probe. Never empty, if `targets` is not."""
        if len(targets) < 2:
            return targets
        found = [target for target in targets if self._takes(target, now)]
        return found or [min(targets, key=lambda target: self._remaining(target, now))]

    def enter(self, target: Target, must: bool, now: float) -> int:
        """The ticket of an attempt at `target`. Raises `CircuitOpen` when it opened since it was chosen, or somebody
        else is its probe, but not if it `must` be tried because there is no other."""
        watched = self._of(target)
        if watched is None:
            return 0
        if not must and not watched.breaker.takes(now):
            raise CircuitOpen("its circuit breaker is open")
        return watched.breaker.enter(now)

    def answered(self, target: Target, ticket: int, status: int, now: float) -> None:
        """An attempt got an answer with this status: a stream's began, another's is whole."""
        if status in BROKEN or 300 <= status < 400:
            self.failed(target, ticket, now)
        elif status in MUTE:
            self._left(target, ticket)
        else:
            self._succeeded(target, ticket, now)

    def broke(self, target: Target, ticket: int, error: BaseException, now: float) -> None:
        """An attempt got none. What our own queues refused, and what was cancelled, is not the target's fault."""
        ours = isinstance(error, PoolTimeout | AtCapacity | ProviderLimited) or not isinstance(error, TransportError)
        if ours:
            self._left(target, ticket)
        else:
            self.failed(target, ticket, now)

    def failed(self, target: Target, ticket: int, now: float) -> None:
        """An attempt failed, or the stream it began broke."""
        options = target.provider.breaker
        if options is None:
            return
        key = self._key(target)
        watched = self._of(target)
        if watched is None:
            watched = self._watched[key] = _Watched(Breaker(options), target.provider.origin)
        breaker = watched.breaker
        breaker.options = options
        again = breaker.state(now) != "closed"
        if breaker.failed(ticket, now):
            self.opened[key] = self.opened.get(key, 0) + 1
            self._told(Flip(*key, "open", breaker.remaining(now), again))

    def states(self, now: float) -> Iterator[tuple[Key, State]]:
        """Of every target that failed lately; all others are closed."""
        for key, watched in self._watched.items():
            yield key, watched.breaker.state(now)

    def _succeeded(self, target: Target, ticket: int, now: float) -> None:
        watched = self._of(target)
        if watched is None:
            return
        key = self._key(target)
        if watched.breaker.succeeded(ticket, now):
            self._told(Flip(*key, "closed"))
        elif watched.breaker.idle:
            del self._watched[key]

    def _left(self, target: Target, ticket: int) -> None:
        if (watched := self._of(target)) is not None:
            watched.breaker.left(ticket)

    def _takes(self, target: Target, now: float) -> bool:
        watched = self._of(target)
        return watched is None or watched.breaker.takes(now)

    def _remaining(self, target: Target, now: float) -> float:
        watched = self._of(target)
        return 0.0 if watched is None else watched.breaker.remaining(now)

    def _of(self, target: Target) -> _Watched | None:
        """A provider that a reload has moved elsewhere, or whose breaker it turned off, begins anew."""
        key = self._key(target)
        watched = self._watched.get(key)
        if watched is not None and (watched.origin != target.provider.origin or target.provider.breaker is None):
            del self._watched[key]
            return None
        return watched

    def _key(self, target: Target) -> Key:
        key = key_of(target)
        if key in self._watched or (len(self._watched) < MOST and (key in self.opened or len(self.opened) < MOST)):
            return key
        return target.provider.name, OTHER


def key_of(target: Target) -> Key:
    """What a target is called in metrics and logs."""
    return target.provider.name, target.model[:MAX_NAME]
