"""Takes a booked amount apart, meter by meter, so that the parts add up to it to the nano-dollar.

What is booked is a total of many requests, each rounded once; what is known of them is how much of each meter they used
together. Prices are linear in that, so with the right rates the bill of the sum is the sum of the bills but for half a
nano-dollar a request. Which rates were the right ones (a service tier, a long-context band) is found by trying: those
whose bill comes to the booked amount are the ones it was booked at. Where none do (requests of several tiers together,
prices that have changed since), the amount is shared out in proportion to the standard bill, and the result says so.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Literal

import msgspec

from pricing.card import RateCard
from pricing.parts import consistent
from pricing.rates import Meter, own_parts
from pricing.usage import Usage

Basis = Literal["rates", "apportioned", "unsplit"]
"""How far the parts are to be trusted: at the rates they were booked at; in proportion; not taken apart at all."""
WHOLE = "usage"
"""The meter of an amount that is not taken apart; it counts requests."""
COUNTED_APART = frozenset({"request", "web_search", "file_search", "page", "character", "second"})
"""Meters that are no tokens, and no part of the bill where they have no price."""
_NANOS = 10**9
_Rates = Mapping[Meter, Fraction]


class Part(msgspec.Struct, frozen=True):
    """One meter's part: its quantity (tokens, or what it counts), nano-dollars, and USD per unit (None: not known)."""

    meter: str
    quantity: int | Decimal
    nanos: int
    usd: Fraction | None


class Apportioned(msgspec.Struct, frozen=True):
    """The parts of an amount; `tier` is the service tier whose rates they are at (empty: standard, or not known)."""

    basis: Basis
    tier: str
    parts: list[Part]
    input_tokens: int = 0
    """The size of request that its rates are of."""


def apportion(card: RateCard | None, usage: Usage, nanos: int, at_ns: int) -> Apportioned:
    """Take `nanos`, booked for requests that used `usage` together, apart. `usage.requests` is how many requests these
    were; at least one part comes back for anything that was used or costs something.

    The parts' nano-dollars add up to `nanos` exactly, and none is negative."""
    quantities = _quantities(usage)
    for tier, size, rates in _candidates(card, usage, at_ns):
        weights = _weights(rates, quantities)
        if abs(sum(weights.values()) - nanos) <= Fraction(usage.requests, 2):
            parts = _parts(
                {meter: quantities[meter] for meter in weights}, shares(list(weights.values()), nanos), rates
            )
            return Apportioned("rates", tier, parts, size)
    size = usage.input_tokens // max(usage.requests, 1)
    rates: _Rates = {} if card is None else card.leaves(None, at_ns, size)
    weights = _weights(rates, quantities)
    if nanos and not any(weights.values()):
        return Apportioned("unsplit", "", [Part(WHOLE, max(usage.requests, 1), nanos, None)])
    amounts = shares(list(weights.values()), nanos)
    parts = _parts({meter: quantities[meter] for meter in weights}, amounts, {})
    if not parts and usage.requests:
        parts = [Part(WHOLE, usage.requests, nanos, None)]
    return Apportioned("apportioned" if nanos else "unsplit", "", parts, size)


def shares(weights: list[Fraction], whole: int) -> list[int]:
    """`whole` in proportion to `weights`: every share is its exact value rounded down or up, and they add up to it
    (largest remainder)."""
    total = sum(weights)
    if not total:
        return [0] * len(weights)
    exact = [weight * whole / total for weight in weights]
    found = [amount.numerator // amount.denominator for amount in exact]
    order = sorted(range(len(exact)), key=lambda at: (found[at] - exact[at], at))
    for at in order[: whole - sum(found)]:
        found[at] += 1
    return found


def _quantities(usage: Usage) -> dict[Meter, int | Decimal]:
    """What was used, each unit in one meter only, without what is 0."""
    own = own_parts(consistent(usage))
    return {
        meter: amount if isinstance(amount, int) else Decimal(repr(amount)) for meter, amount in own.items() if amount
    }


def _candidates(card: RateCard | None, usage: Usage, at_ns: int) -> Iterator[tuple[str, int, _Rates]]:
    """Rates that the amount may have been booked at: tier, size of request, rates; likeliest first."""
    if card is None:
        return
    mean = usage.input_tokens // max(usage.requests, 1)
    for tier in (None, *card.tiers):
        for size in dict.fromkeys((mean, 0, *(start + 1 for start in card.thresholds(tier, at_ns)))):
            if rates := card.leaves(tier, at_ns, size):
                yield tier or "", size, rates


def _weights(rates: _Rates, quantities: Mapping[Meter, int | Decimal]) -> dict[Meter, Fraction]:
    """Exact nano-dollars of every meter. Tokens without a price stay, as 0; what else has none is left out."""
    found: dict[Meter, Fraction] = {}
    for meter, quantity in quantities.items():
        rate = rates.get(meter, Fraction(0))
        if rate or meter not in COUNTED_APART:
            found[meter] = rate * Fraction(quantity) * _NANOS
    return found


def _parts(quantities: Mapping[Meter, int | Decimal], amounts: list[int], rates: _Rates) -> list[Part]:
    return [
        Part(meter, quantity, nanos, rates.get(meter))
        for (meter, quantity), nanos in zip(quantities.items(), amounts, strict=True)
    ]


def bill(card: RateCard | None, usage: Usage, tier: str | None, at_ns: int) -> int | None:
    """What `usage`, of `usage.requests` requests together, costs at the rates of a tier, for requests of their mean
    size: whole nano-dollars. A tier without rates of its own has the standard ones. None: no price is known."""
    rates: _Rates = {} if card is None else card.leaves(tier, at_ns, usage.input_tokens // max(usage.requests, 1))
    return round(sum(_weights(rates, _quantities(usage)).values())) if rates else None
