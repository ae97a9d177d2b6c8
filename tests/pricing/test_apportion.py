from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.apportion import apportion, shares
from pricing.book import PriceBook
from pricing.catalogue import Catalogue
from pricing.overlay import parse_overlay
from pricing.usage import Usage

NOW = 1_790_000_000 * 10**9


@pytest.fixture(scope="module")
def book() -> PriceBook:
    overlay = {
        "models": [
            {
                "model": "tiered",
                "usd_per_million_tokens": {"input": 3, "cache_read": "0.3", "output": 15},
                "above": [{"input_tokens": 200_000, "usd_per_million_tokens": {"input": 6, "output": "22.5"}}],
                "tiers": {"batch": {"usd_per_million_tokens": {"input": "1.5", "output": 1}}},
            },
            {"model": "gpu", "usd_per_hour": "2.5"},
        ]
    }
    return PriceBook(parse_overlay(overlay), Catalogue())


USAGES = st.builds(
    lambda read, plain, out, thought: Usage(
        input_tokens=read + plain, cache_read_tokens=read, output_tokens=out + thought, reasoning_tokens=thought
    ),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**5),
    st.integers(0, 10**5),
)


def together(usages: list[Usage]) -> Usage:
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "requests")
    return Usage(**{name: sum(getattr(each, name) for each in usages) for name in names})


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8), st.integers(0, 10**16))
def test_shares_add_up_and_are_off_by_less_than_one(weights: list[int], whole: int):
    """ "Every share is its exact value rounded down or up, and they add up to it." """
    found = shares([Fraction(weight, 7) for weight in weights], whole)
    total = sum(weights)
    assert sum(found) == (whole if total else 0)
    for weight, share in zip(weights, found, strict=True):
        assert not total or abs(Fraction(weight * whole, total) - share) < 1


@given(usages=st.lists(USAGES, min_size=1, max_size=6), tier=st.sampled_from([None, "batch"]))
def test_what_was_booked_at_one_price_is_split_at_that_price(book: PriceBook, usages: list[Usage], tier: str | None):
    """ "Which rates were the right ones is found by trying": within a band and tier every part is its own bill, to a
    nano-dollar and the half that each request was rounded by."""
    card = book.card("openai", "tiered")
    assert card is not None
    small = [Usage(input_tokens=each.input_tokens % 200_000, output_tokens=each.output_tokens) for each in usages]
    booked = sum(card.cost(each, tier=tier, at_ns=NOW).nanos or 0 for each in small)
    found = apportion(card, together(small), booked, NOW)
    assert sum(part.nanos for part in found.parts) == booked
    assert found.basis == "rates"
    rates = card.leaves(found.tier or None, NOW)
    for part in found.parts:
        assert part.usd == rates[part.meter]  # type: ignore[index]
        assert abs(part.usd * Fraction(part.quantity) * 10**9 - part.nanos) <= 1 + Fraction(len(small), 2)


@given(usages=st.lists(USAGES, min_size=1, max_size=6), nanos=st.integers(0, 10**13), known=st.booleans())
def test_parts_add_up_whatever_was_booked(book: PriceBook, usages: list[Usage], nanos: int, known: bool):
    """ "The parts' nano-dollars add up to `nanos` exactly, and none is negative." """
    card = book.card("openai", "tiered") if known else None
    found = apportion(card, together(usages), nanos, NOW)
    assert sum(part.nanos for part in found.parts) == nanos
    assert all(part.nanos >= 0 and part.quantity > 0 for part in found.parts)
    if nanos and not known:
        assert found.basis == "unsplit"


def test_long_context_is_recognised(book: PriceBook):
    card = book.card("openai", "tiered")
    assert card is not None
    usage = Usage(input_tokens=300_000, output_tokens=1000)
    booked = card.cost(usage, at_ns=NOW).nanos or 0
    found = apportion(card, usage, booked, NOW)
    assert {part.meter: part.nanos for part in found.parts} == {"input": 1_800_000_000, "output": 22_500_000}
    assert found.basis == "rates"


def test_mixed_tiers_are_shared_out_and_said(book: PriceBook):
    card = book.card("openai", "tiered")
    assert card is not None
    usage = Usage(input_tokens=1000, output_tokens=1000)
    booked = (card.cost(usage, at_ns=NOW).nanos or 0) + (card.cost(usage, tier="batch", at_ns=NOW).nanos or 0)
    found = apportion(card, together([usage, usage]), booked, NOW)
    assert found.basis == "apportioned"
    assert all(part.usd is None for part in found.parts)
    assert sum(part.nanos for part in found.parts) == booked


def test_time_is_a_meter_too(book: PriceBook):
    card = book.card(None, "gpu")
    assert card is not None
    usage = Usage(input_tokens=10, seconds=7.2)
    booked = card.cost(usage, at_ns=NOW).nanos or 0
    found = apportion(card, usage, booked, NOW)
    assert [(part.meter, part.quantity, part.nanos) for part in found.parts] == [
        ("input", 10, 0),
        ("second", Decimal("7.2"), 5_000_000),
    ]
