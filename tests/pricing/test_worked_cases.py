"""Bills that public gateways got wrong, to the nano-dollar, from the providers' own usage objects."""

import pytest

from pricing.book import PriceBook
from pricing.shapes import merge, usage_from_json
from pricing.usage import Usage

NOW = 1_795_478_400 * 10**9
"""2026-11-24."""


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook()


CASES = [
    (
        "openai",
        "gpt-4o",
        b'{"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,'
        b' "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},'
        b' "completion_tokens_details": {"reasoning_tokens": 0}}',
        None,
        5_615_000,
    ),
    (
        "anthropic",
        "claude-3-7-sonnet-20250219",
        b'{"input_tokens": 3, "cache_creation_input_tokens": 12304, "cache_read_input_tokens": 0,'
        b' "output_tokens": 550, "service_tier": "standard"}',
        "standard",
        54_399_000,
    ),
    ("google", "gemini-2.5-pro", b'{"promptTokenCount": 200000, "candidatesTokenCount": 1000}', None, 260_000_000),
    ("google", "gemini-2.5-pro", b'{"promptTokenCount": 200001, "candidatesTokenCount": 1000}', None, 515_002_500),
    ("openai", "gpt-5-nano", b'{"prompt_tokens": 1000, "completion_tokens": 1000}', "flex", 225_000),
    (
        "openai",
        "o3",
        b'{"input_tokens": 1000, "output_tokens": 1000, "output_tokens_details": {"reasoning_tokens": 900}}',
        "default",
        10_000_000,
    ),
    # The provider's own cost is not trusted over its tokens.
    (
        "openai",
        "gpt-4o",
        b'{"prompt_tokens": 1000, "completion_tokens": 0, "cost": 0, "is_byok": false}',
        None,
        2_500_000,
    ),
]


@pytest.mark.parametrize(("provider", "model", "raw", "tier", "nanos"), CASES)
@pytest.mark.parametrize("named", [True, False], ids=["provider given", "found by name"])
def test_bill(
    book: PriceBook, provider: str, model: str, raw: bytes, tier: str | None, nanos: int, named: bool
) -> None:
    card = book.card(provider if named else None, model)
    usage = usage_from_json(raw)
    assert card is not None
    assert usage is not None
    cost = card.cost(usage, tier=tier, at_ns=NOW)
    assert cost.nanos == nanos
    assert cost.price_version.startswith("genai-prices/")
    assert sum(line.usd for line in card.meters(usage, tier, NOW)) * 10**9 == nanos


def test_streamed_cost_equals_unary_cost(book: PriceBook) -> None:
    """Anthropic's stream tells the prompt first and the output cumulatively; the sum must be the unary usage."""
    unary = usage_from_json(
        b'{"input_tokens": 3, "cache_creation_input_tokens": 12304, "cache_read_input_tokens": 9, "output_tokens": 550}'
    )
    start = usage_from_json(
        b'{"input_tokens": 3, "cache_creation_input_tokens": 12304, "cache_read_input_tokens": 9, "output_tokens": 1}'
    )
    deltas = [usage_from_json(b'{"output_tokens": %d}' % count) for count in (17, 300, 550)]
    streamed: Usage | None = start
    for delta in deltas:
        streamed = merge(streamed, delta)
    card = book.card("anthropic", "claude-3-7-sonnet-latest")
    assert card is not None
    assert unary is not None
    assert streamed == unary
    assert card.cost(streamed, at_ns=NOW) == card.cost(unary, at_ns=NOW)


def test_unknown_is_unpriced_never_zero(book: PriceBook) -> None:
    assert book.card(None, "no-such-model") is None
    assert book.card("no-such-provider", "gpt-4o") is None
    assert book.card("openai", "no-such-model") is None


def test_tier_decides(book: PriceBook) -> None:
    card = book.card("openai", "gpt-4o")
    usage = Usage(input_tokens=1000, output_tokens=1000)
    assert card is not None
    costs = {
        tier: card.cost(usage, tier=tier, at_ns=NOW).nanos
        for tier in (None, "default", "priority", "PRIORITY", "batch")
    }
    assert costs == {
        None: 12_500_000,
        "default": 12_500_000,
        "priority": 21_250_000,
        "PRIORITY": 21_250_000,
        "batch": 6_250_000,
    }


def test_time_of_day_decides(book: PriceBook) -> None:
    """DeepSeek is dearer from 01:00 to 04:00 and from 06:00 to 10:00 UTC."""
    card = book.card("deepseek", "deepseek-v4-flash")
    usage = Usage(input_tokens=1_000_000)
    assert card is not None
    midnight = NOW - NOW % (86_400 * 10**9)
    hour = 3600 * 10**9
    by_hour = [card.cost(usage, at_ns=midnight + at * hour).nanos for at in range(24)]
    peak = [at for at, nanos in enumerate(by_hour) if nanos == 300_000_000]
    assert peak == [1, 2, 3, 6, 7, 8, 9]
    assert {by_hour[at] for at in range(24) if at not in peak} == {150_000_000}
    assert card.cost(usage, at_ns=midnight + 4 * hour - 1).nanos == 300_000_000


def test_date_decides(book: PriceBook) -> None:
    card = book.card("mistral", "mistral-large-4")
    usage = Usage(input_tokens=1_000_000)
    assert card is not None
    day = 86_400 * 10**9
    start = 20746 * day  # 2026-10-20
    assert [card.cost(usage, at_ns=at).nanos for at in (start - 1, start, start + 9 * day)] == [
        680_000_000,
        1_360_000_000,
        700_000_000,
    ]


def test_a_reseller_s_borrowed_model_has_the_standard_price_in_every_tier(book: PriceBook) -> None:
    """As in the catalogue's own calculator: Google sells Anthropic's models, whose batch price is Anthropic's alone."""
    lent, own = book.card("google", "claude-sonnet-4-5"), book.card("anthropic", "claude-sonnet-4-5")
    usage = Usage(input_tokens=1000)
    assert lent is not None
    assert own is not None
    assert lent.provider == "google"
    assert own.tiers == ("batch",)
    assert lent.tiers == ()
    assert lent.cost(usage, tier="batch", at_ns=NOW) == lent.cost(usage, at_ns=NOW) == own.cost(usage, at_ns=NOW)
