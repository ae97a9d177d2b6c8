"""One worker's share of the limits, for the time in which the shared store is away. Pure.

Of `n` live workers each may let through an n-th of every amount, counted from what the whole fleet had used when this
worker last heard of it. All together let through at most: what was left then, and what others had taken that this
worker had not heard of yet.
"""

import msgspec

from gateway.quota import Bound, Rule, Smooth


def share_of(rule: Rule, workers: int) -> Rule:
    """The rule of one worker of so many. What counts requests or what is under way is at least 1, so that no worker
    stands still: with more workers than the amount they overrun it by their number at most."""
    if workers <= 1:
        return rule
    least = 0 if rule.measure in ("usd", "input_tokens", "output_tokens", "tokens") else 1
    amount = min(rule.amount, max(least, rule.amount // workers))
    window = rule.window
    if isinstance(window, Smooth):
        window = Smooth(window.seconds, max(1, window.burst // workers))
        amount = min(rule.amount, max(1, amount))
    soft = None if rule.soft is None else rule.soft // workers
    return msgspec.structs.replace(rule, amount=amount, window=window, soft=soft)


def bound_of_share(bound: Bound, workers: int) -> Bound:
    return msgspec.structs.replace(bound, rule=share_of(bound.rule, workers))
