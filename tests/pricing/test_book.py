"""Own prices over the catalogue: parsing, precedence, dates, discounts."""

import contextlib
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pricing.book import PriceBook
from pricing.overlay import Overlay, OverlayError, parse_overlay
from pricing.usage import Usage

NOW = 1_795_478_400 * 10**9
DAY = 86_400 * 10**9
EXAMPLE = Path(__file__).parents[2] / "config" / "prices.yaml"
MILLION = Usage(input_tokens=1_000_000)


def book(text: str) -> PriceBook:
    return PriceBook(parse_overlay(yaml.safe_load(text)))


def usd(prices: PriceBook, provider: str | None, model: str, usage: Usage = MILLION, **how: object) -> str | None:
    card = prices.card(provider, model)
    if card is None:
        return None
    tier = how.get("tier")
    at_ns = how.get("at_ns", NOW)
    assert tier is None or isinstance(tier, str)
    assert isinstance(at_ns, int)
    nanos = card.cost(usage, tier=tier, at_ns=at_ns).nanos
    return None if nanos is None else f"{Decimal(nanos).scaleb(-9).normalize():f}"


def test_the_example_file_is_valid_and_prices_what_it_says() -> None:
    prices = PriceBook(parse_overlay(yaml.safe_load(EXAMPLE.read_text())))
    assert usd(prices, "local", "llama-3.3-70b", Usage(input_tokens=5, seconds=3600.0)) == "2.49"
    assert usd(prices, "other", "llama-3.3-70b") is None
    assert usd(prices, "local", "house-embedder") == "0.01"
    assert usd(prices, "openai", "example-contract-model", Usage(input_tokens=200_000)) == "0.45"
    assert usd(prices, "openai", "example-contract-model", Usage(input_tokens=200_001)) == "0.9000045"
    assert usd(prices, "openai", "example-contract-model", Usage(input_tokens=1000), tier="flex") == "0.001125"
    assert usd(prices, None, "my-azure-deployment") == usd(PriceBook(), "azure", "gpt-4o") == "2.5"
    assert usd(prices, "openai", "gpt-4o") == "2.5"


def test_own_price_wins_while_it_is_in_force_and_names_its_version() -> None:
    prices = book(
        """
        models:
          - {model: gpt-4o, provider: openai, from: 2026-11-01, until: 2026-12-01, usd_per_million_tokens: {input: "2"}}
          - {model: "gpt-4o*", until: 2026-11-01, usd_per_million_tokens: {input: "3"}}
        """
    )
    start = 20758 * DAY  # 2026-11-01
    assert [usd(prices, "openai", "gpt-4o", at_ns=at) for at in (start - 1, start, start + 30 * DAY)] == [
        "3",
        "2",
        "2.5",
    ]
    card = prices.card("openai", "gpt-4o")
    assert card is not None
    versions = [card.cost(MILLION, at_ns=at).price_version for at in (start - 1, start, start + 30 * DAY)]
    assert versions[:2] == ["config/undated", "config/2026-11-01"]
    assert versions[2].startswith("genai-prices/")
    assert usd(prices, None, "gpt-4o", at_ns=start) == "2.5", "an entry of one provider is not for a request of none"
    assert usd(prices, "openai", "gpt-4o-mini", at_ns=start - 1) == "3"


def test_discounts_come_off_the_catalogue_and_not_off_own_prices() -> None:
    prices = book(
        """
        models: [{model: own, provider: openai, usd_per_million_tokens: {input: "1"}}]
        discounts:
          - {percent: "12.5%", provider: openai, models: [gpt-4o], until: 2026-11-01}
          - {percent: 20, provider: openai}
        """
    )
    start = 20758 * DAY
    assert usd(prices, "openai", "gpt-4o", at_ns=start - 1) == "2.1875"
    assert usd(prices, "openai", "gpt-4o", at_ns=start) == "2"
    assert usd(prices, None, "gpt-4o", at_ns=start) == "2", "the provider is known by the model's name"
    assert usd(prices, "openai", "gpt-4o", tier="priority") == "3.4"
    assert usd(prices, "openai", "own") == "1"
    assert usd(prices, "anthropic", "claude-sonnet-4-5") == usd(PriceBook(), "anthropic", "claude-sonnet-4-5")
    card = prices.card("openai", "gpt-4o")
    assert card is not None
    assert card.cost(MILLION, at_ns=start).price_version.endswith("+config/undated")


def test_seconds_are_announced() -> None:
    prices = book('models: [{model: gpu, usd_per_second: "0.0011"}, {model: free, usd_per_million_tokens: {}}]')
    card, free = prices.card("local", "gpu"), prices.card("local", "free")
    assert card is not None
    assert free is not None
    assert card.by_clock
    assert not free.by_clock
    assert usd(prices, "x", "gpu", Usage(seconds=2.5)) == "0.00275"
    assert free.cost(MILLION, at_ns=NOW).nanos == 0


def test_pieces_are_priced_one_by_one_or_by_the_million() -> None:
    """`usd_per_request`, `usd_per_million_characters`, `usd_per_minute` (of audio) and `usd_per_image`; an image by
    its quality and size first, then by its quality, then by its size, then by the price of all."""
    prices = book("""
models:
  - {model: asks, usd_per_request: "0.002"}
  - {model: speaks, usd_per_million_characters: "15"}
  - {model: hears, usd_per_minute: "0.006"}
  - model: paints
    usd_per_image: "0.04"
    sizes: {1792x1024: "0.08"}
    qualities: {low: "0.01", hd: {usd_per_image: "0.07", sizes: {1792X1024: "0.12"}}}
""")
    assert usd(prices, None, "asks", Usage()) == "0.002"
    assert usd(prices, None, "speaks", Usage(characters=1001)) == "0.015015"
    assert usd(prices, None, "hears", Usage(seconds=8.5)) == "0.00085"
    hears, paints = prices.card(None, "hears"), prices.card(None, "paints")
    assert hears is not None
    assert not hears.by_clock
    assert paints is not None
    for quality, size, price in (
        ("", "", "0.08"),
        ("standard", "1024x1024", "0.08"),
        ("standard", "1792x1024", "0.16"),
        ("low", "1792x1024", "0.02"),
        ("HD", "", "0.14"),
        ("hd", "1792x1024", "0.24"),
    ):
        assert usd(prices, None, "paints", Usage(images=2), tier=paints.picture(quality, size)) == price


@pytest.mark.parametrize(
    ("entry", "at"),
    [
        ({"usd_per_minute": "1", "usd_per_hour": "1"}, ()),
        ({"usd_per_minute": "1", "tiers": {"flex": {"usd_per_second": "1"}}}, ()),
        ({"usd_per_request": "1", "usd_each": {"request": "1"}}, ("usd_per_request",)),
        ({"sizes": {"1x1": "1"}}, ()),
        ({"usd_per_image": "1", "sizes": {"1x1": "x"}}, ("sizes", "1x1")),
        ({"usd_per_image": "1", "qualities": {"hd": {}}}, ("qualities", "hd")),
        (
            {"usd_per_image": "1", "qualities": {"hd": "2"}, "tiers": {"hd/*": {"usd_per_image": "3"}}},
            ("tiers", "hd/*"),
        ),
        ({"usd_per_image": "1", "like": "gpt-4o"}, ("like",)),
    ],
)
def test_prices_that_contradict_each_other_are_refused(entry: dict[str, object], at: tuple[str, ...]) -> None:
    with pytest.raises(OverlayError) as refused:
        parse_overlay({"models": [{"model": "m", **entry}]})
    assert [path for path, _ in refused.value.problems] == [("models", 0, *at)]


def test_cards_are_kept_and_their_number_is_bounded() -> None:
    prices = PriceBook()
    assert prices.card(None, "gpt-4o") is prices.card(None, "gpt-4o")
    for number in range(5000):
        prices.card("openai", f"no-such-model-{number}")
    assert len(prices._cards) <= 4096


def test_nearest_providers() -> None:
    assert PriceBook().nearest_providers("opnai")[0] == "openai"
    assert PriceBook().nearest_providers("openai") == []
    own = book('models: [{model: m, provider: house, usd_per_second: "1"}]')
    assert own.nearest_providers("hous")[0] == "house"
    assert own.nearest_providers("house") == []


def test_nearest_names() -> None:
    assert "claude-sonnet-4-5" in PriceBook().nearest("claude-sonet-4-5")
    assert book('models: [{model: house-model, usd_per_second: "1"}]').nearest("house")[0] == "house-model"


def problems(data: object) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(OverlayError) as refusal:
        parse_overlay(data)
    return refusal.value.problems


def test_every_problem_is_reported_with_its_path() -> None:
    found = problems(
        {
            "modles": [],
            "models": [
                {"model": "x", "usd_per_million_tokens": {"inptu": "1", "output": "-1"}, "from": "2026-13-01"},
                {"model": "y"},
                5,
                {"usd_per_second": "1", "usd_per_hour": "x"},
                {"model": "a*b", "like": "gpt-4o", "usd_per_second": "1"},
                {"model": "z", "usd_per_second": "1", "from": "2026-02-01", "until": "2026-01-01"},
                {"model": "t", "usd_per_million_tokens": {"input": "1"}, "above": [{"input_tokens": 0}]},
                {
                    "model": "u",
                    "usd_per_million_tokens": {"input": "1"},
                    "above": [{"input_tokens": "9", "usd_per_million_tokens": {"output": "1"}}],
                },
            ],
            "discounts": [{"percent": "150"}, {"percent": True}, {"percent": 1, "models": "gpt"}],
        }
    )
    assert {path for path, _ in found} == {
        ("modles",),
        ("models", 0, "usd_per_million_tokens", "inptu"),
        ("models", 0, "usd_per_million_tokens", "output"),
        ("models", 0, "from"),
        ("models", 1),
        ("models", 2),
        ("models", 3, "model"),
        ("models", 3, "usd_per_hour"),
        ("models", 4, "model"),
        ("models", 4, "like"),
        ("models", 5, "until"),
        ("models", 6, "above", 0, "input_tokens"),
        ("models", 7, "above", 0, "usd_per_million_tokens", "output"),
        ("discounts", 0, "percent"),
        ("discounts", 1, "percent"),
        ("discounts", 2, "models"),
    }
    assert dict(found)[("modles",)] == "unknown key; did you mean models?"
    assert dict(found)[("models", 0, "usd_per_million_tokens", "inptu")] == "unknown key; did you mean input?"


RATE = {"usd_each": {"request": "1"}}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"model": "x"}, {"model": "X"}),
        ({"model": "x", "provider": "p"}, {"model": "x", "provider": "P"}),
        ({"model": "x"}, {"model": "x", "provider": "p"}),
        ({"model": "x*"}, {"model": "x-large"}),
        ({"model": "x*"}, {"model": "x-*"}),
        ({"model": "x", "from": "2026-01-01"}, {"model": "x", "from": "2026-02-01", "until": "2026-03-01"}),
    ],
)
def test_an_entry_that_never_wins_is_refused(first: dict, second: dict) -> None:
    """docs/prices.md: "The first entry that matches and is in force wins"; so the second of these never does."""
    with pytest.raises(OverlayError, match=r"never used, because models\.0 matches first") as refusal:
        parse_overlay({"models": [{**first, **RATE}, {**second, **RATE}]})
    assert refusal.value.earlier == {("models", 1): ("models", 0)}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"model": "x", "provider": "p"}, {"model": "x"}),
        ({"model": "x", "provider": "p"}, {"model": "x", "provider": "q"}),
        ({"model": "x-large"}, {"model": "x*"}),
        ({"model": "x"}, {"model": "x*"}),
        ({"model": "x", "until": "2026-01-01"}, {"model": "x", "from": "2026-01-01"}),
        ({"model": "x", "from": "2026-01-01"}, {"model": "x"}),
    ],
)
def test_entries_that_follow_on_are_kept(first: dict, second: dict) -> None:
    """ "Outside its dates the next one, or the catalogue, holds"."""
    assert len(parse_overlay({"models": [{**first, **RATE}, {**second, **RATE}]}).entries) == 2


def test_numbers_may_stay_text_as_the_gateway_s_yaml_reader_leaves_them() -> None:
    overlay = parse_overlay(
        {
            "version": "1",
            "models": [
                {
                    "model": "x",
                    "from": "2026-01-01",
                    "usd_per_million_tokens": {"input": "1"},
                    "above": [{"input_tokens": "100", "usd_per_million_tokens": {"input": "2"}}],
                }
            ],
        }
    )
    assert overlay.entries[0].rates["input"].above[0][0] == 100


def test_nothing_written_is_an_empty_overlay() -> None:
    assert parse_overlay(None) == parse_overlay({}) == Overlay()


_WORDS = (
    "model",
    "provider",
    "from",
    "until",
    "like",
    "above",
    "tiers",
    "percent",
    "models",
    "input",
    "output",
    "request",
)
_KEYS = st.sampled_from(
    [
        *_WORDS,
        "usd_each",
        "usd_per_image",
        "usd_per_minute",
        "sizes",
        "qualities",
        "tiers",
        "usd_per_hour",
        "usd_per_second",
        "usd_per_million_tokens",
        "input_tokens",
    ]
)
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(st.fixed_dictionaries({}, optional={"models": _ANY, "discounts": _ANY, "version": _ANY}) | _ANY)
def test_any_tree_is_parsed_or_refused(data: object) -> None:
    """Whatever a person writes: an overlay that compiles, or a list of problems; no other exception."""
    with contextlib.suppress(OverlayError):
        _price_everything(parse_overlay(data))


def _price_everything(overlay: Overlay) -> None:
    for entry in overlay.entries:
        if entry.like is None:
            card = PriceBook(overlay).card(entry.provider, entry.model or "x")
            assert card is None or card.cost(MILLION, at_ns=NOW) is not None
