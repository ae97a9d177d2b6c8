"""What one combination of bounds asks of a shared store, and how its answer is read. Pure.

The script returns what each counter holds; what that means is worked out here, with the same rules as in
`gateway.limits.decide`, so that the server does as little as can be.
"""

from collections.abc import Sequence

from gateway.limits.decide import Amounts
from gateway.quota import MEASURES, Admitted, Bound, Decision, Refused, Smooth, Standing

MICROS = 1_000_000
_NEVER = 1 << 63
_TOKENS = ("input_tokens", "output_tokens", "tokens")


class Asked:
    """A bound as it is asked for and judged."""

    __slots__ = ("bound", "extends", "limit", "pick", "soft", "strict", "watch")

    def __init__(self, bound: Bound) -> None:
        rule = bound.rule
        self.bound = bound
        self.pick = MEASURES.index(rule.measure)
        """Where its measure stands in `Amounts`."""
        self.limit = min(rule.amount, 1) * rule.window.burst if isinstance(rule.window, Smooth) else rule.amount
        self.soft = _NEVER if rule.soft is None else rule.soft
        self.strict = not bound.lenient and rule.when_exhausted != "warn"
        self.watch = min(self.soft, self.limit + 1)
        """With less than this used there is nothing to tell."""
        self.extends = rule.window is not None and not isinstance(rule.window, Smooth)
        """An extension of a hold counts on it."""


class Plan:
    """The bounds of one request."""

    __slots__ = ("asked", "bounds", "extended", "groups", "parts", "requests", "tokens")

    def __init__(self, bounds: tuple[Bound, ...]) -> None:
        self.bounds = bounds
        self.asked = tuple(Asked(bound) for bound in bounds)
        numbered = tuple(enumerate(self.asked))
        self.requests = tuple((at, one) for at, one in numbered if one.bound.rule.measure == "requests")
        self.tokens = tuple((at, one) for at, one in numbered if one.bound.rule.measure in _TOKENS)
        self.extended = tuple(one for one in self.asked if one.extends)
        self.groups = tuple(sorted({bound.group for bound in bounds})) or ("g",)
        self.parts: tuple[Plan, ...] = (self,)
        """By group, in the order in which a Cluster is asked."""
        if len(self.groups) > 1:
            self.parts = tuple(Plan(tuple(b for b in bounds if b.group == group)) for group in self.groups)

    def decision(
        self, amounts: Amounts, answer: Sequence[int], resets: Sequence[int], numbers: Sequence[int]
    ) -> Decision:
        """Read `{1, crossed, over, used…}` or `{0, position, wait, used…}`. `resets` are microseconds, in the order of
        the batch; `numbers` say, from 1, where our bounds stand there."""
        used = answer[3:]
        if not answer[0]:
            return self._refused(amounts, answer, used, resets, numbers)
        requests = _tightest(self.requests, used, resets, numbers) if self.requests else None
        tokens = _tightest(self.tokens, used, resets, numbers) if self.tokens else None
        for one, now_used in zip(self.asked, used, strict=True):
            if now_used >= one.watch:
                break
        else:
            if not answer[2]:
                return Admitted(requests, tokens)
        soft = tuple(one.bound for one, now_used in zip(self.asked, used, strict=True) if now_used >= one.soft)
        return Admitted(requests, tokens, soft, self._of(answer[1]), self._of(answer[2]))

    def _of(self, mask: int) -> tuple[Bound, ...]:
        return tuple(bound for at, bound in enumerate(self.bounds) if mask >> at & 1)

    def _refused(
        self,
        amounts: Amounts,
        answer: Sequence[int],
        used: Sequence[int],
        resets: Sequence[int],
        numbers: Sequence[int],
    ) -> Refused:
        position, wait = answer[1], answer[2]
        one = self.asked[position]
        return Refused(
            one.bound,
            None if wait < 0 else wait / MICROS,
            amounts[one.pick],
            max(0, one.limit - used[position]),
            _tightest(self.requests, used, resets, numbers) if self.requests else None,
            _tightest(self.tokens, used, resets, numbers) if self.tokens else None,
        )


def _tightest(
    numbered: tuple[tuple[int, Asked], ...], used: Sequence[int], resets: Sequence[int], numbers: Sequence[int]
) -> Standing:
    """Where the bound with the smallest share left stands; the first of equals."""
    at, one = numbered[0]
    left = max(0, one.limit - used[at])
    for other_at, other in numbered[1:]:
        rest = max(0, other.limit - used[other_at])
        if rest * one.limit < left * other.limit:
            at, one, left = other_at, other, rest
    return Standing(one.bound, one.limit, left, resets[numbers[at] - 1] / MICROS)


def joined(decisions: Sequence[Admitted]) -> Admitted:
    """What several places of a Cluster said, as one."""
    return Admitted(
        _tighter([one.requests for one in decisions]),
        _tighter([one.tokens for one in decisions]),
        tuple(bound for one in decisions for bound in one.soft),
        tuple(bound for one in decisions for bound in one.crossed),
        tuple(bound for one in decisions for bound in one.over),
    )


def _tighter(standings: Sequence[Standing | None]) -> Standing | None:
    found = [one for one in standings if one is not None]
    return min(found, key=lambda one: one.remaining / one.limit if one.limit else 0.0, default=None)
