"""What a worker decides alone while the shared store is away, rule by rule: its share, no, or yes."""

from collections.abc import Callable, Sequence

import msgspec

from gateway.limits.decide import Amounts
from gateway.limits.memory import MemoryStore
from gateway.limits.shared.share import bound_of_share
from gateway.limits.windows import period
from gateway.quota import NOTHING, Admitted, Bound, Calendar, Charge, Decision, Refused, Rolling, Standing
from gateway.seams import Clock

AWAY_RETRY = 1.0
"""Seconds after which a request that was refused because the store is away may come again."""

Known = Callable[[Bound], tuple[int, float] | None]
"""What a counter held when it was last heard of, and how many seconds ago that was."""


class Alone:
    """Decides on this worker's share of the limits, counted in a memory store of its own.

    The share begins with this worker's part of what the whole fleet had used when a counter was last heard of: `reset`
    at the beginning of an outage has every counter looked up again.
    """

    def __init__(self, local: MemoryStore, clock: Clock, known: Known) -> None:
        self._local = local
        self._clock = clock
        self._known = known
        self._shares: dict[Bound, Bound] = {}
        self._begun: set[str] = set()
        self.workers = 1

    def reset(self, workers: int) -> None:
        """The store went away; so many workers share the limits now."""
        self.workers = workers
        self._shares.clear()
        self._begun.clear()

    async def decide(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float) -> Decision:
        """An `Admitted` of this is degraded; a `Refused` says whether it is for lack of the store."""
        for bound in bounds:
            if bound.rule.on_store_failure == "closed":
                amount = charge.of(bound.rule.measure)
                return Refused(bound, AWAY_RETRY, amount, 0, store_away=True)
        shares = {self._share(bound): bound for bound in bounds if bound.rule.on_store_failure == "local"}
        for share, bound in shares.items():
            await self._begin(share, bound)
        decision = self._local.admit_now(hold, tuple(shares), charge, seconds)
        return _of_whole(decision, shares)

    async def extend(self, hold: str, bounds: Sequence[Bound], more: Charge, seconds: float) -> bool:
        """A hold that was taken in Redis is extended by one of its own here; `settle` ends it."""
        if any(bound.rule.on_store_failure == "closed" for bound in bounds):
            return False
        counted = [bound for bound in bounds if bound.rule.window is not None]
        decision = await self.decide(hold, counted, more, seconds)
        return isinstance(decision, Admitted)

    async def extend_own(self, hold: str, more: Charge, seconds: float) -> bool:
        """A hold that was taken here."""
        return await self._local.extend(hold, more, seconds)

    def settle(self, hold: str, actual: Charge = NOTHING) -> None:
        self._local.settle(hold, actual)

    def share(self, bound: Bound) -> Bound:
        """The bound as this worker counts on it."""
        return self._share(bound)

    def _share(self, bound: Bound) -> Bound:
        share = self._shares.get(bound)
        if share is None:
            share = self._shares[bound] = bound_of_share(bound, self.workers)
        return share

    async def _begin(self, share: Bound, bound: Bound) -> None:
        """Let a share begin with its part of what was used, when that is known and still counts."""
        if bound.key in self._begun:
            return
        self._begun.add(bound.key)
        known = self._known(bound)
        if known is not None and self._counts_still(bound, known[1]):
            await self._local.put(share, -(-known[0] // self.workers))

    def _counts_still(self, bound: Bound, age: float) -> bool:
        window = bound.rule.window
        if isinstance(window, Rolling):
            return age < window.seconds
        if isinstance(window, Calendar):
            now = self._clock.now_ns()
            return now - int(age * 1e9) >= period(window, now).start_ns
        return False


def _of_whole(decision: Decision, shares: dict[Bound, Bound]) -> Decision:
    """The same, speaking of the rules as they are written."""

    def standing(one: Standing | None) -> Standing | None:
        return None if one is None else msgspec.structs.replace(one, bound=shares[one.bound])

    requests, tokens = standing(decision.requests), standing(decision.tokens)
    if isinstance(decision, Refused):
        return msgspec.structs.replace(decision, bound=shares[decision.bound], requests=requests, tokens=tokens)
    soft, crossed, over = (
        tuple(shares[bound] for bound in bounds) for bounds in (decision.soft, decision.crossed, decision.over)
    )
    return Admitted(requests, tokens, soft, crossed, over, degraded=True)


def together(one: Amounts, other: Amounts) -> Amounts:
    """What was taken in two goes; under way it is once."""
    a, b, c, d, e, *_ = (left + right for left, right in zip(one, other, strict=True))
    return (a, b, c, d, e, *one[5:])
