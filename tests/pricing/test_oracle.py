"""Differential test: our integers against genai-prices' own calculator, on every model it prices of five providers.

The oracle costs about 60 µs and a pydantic validation a call; ours is what the hot path runs.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import cache

from genai_prices import Usage as OracleUsage
from genai_prices.data import providers
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.card import RateCard
from pricing.catalogue import PRICE_KEYS, Catalogue, CatalogueModel
from pricing.rates import rounded
from pricing.usage import Usage

DECIDED = ("openai", "anthropic", "google", "mistral", "deepseek")
TIERS = (None, "default", "flex", "priority", "batch", "fast")
UNMEASURED = {
    "input_annotated_document_kpages",  # pages are counted, annotated or not
    "input_text_messages_kcount",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MODELS = [(p, m) for p in providers if p.id in DECIDED for m in p.models]


def _usage(chance: random.Random, priced: set[str]) -> Usage:
    """A consistent usage; parts the oracle has no price relation for (a modality without a price) are left out."""

    def some(most: int) -> int:
        return chance.choice((0, chance.randint(0, most), chance.randint(0, min(most, 20))))

    size = chance.choice((50, 5_000, 199_999, 200_000, 200_001, 272_000, 272_001, 900_000))
    audio = some(size // 4) if "input_audio_mtok" in priced else 0
    image = some(size // 4) if "input_image_mtok" in priced else 0
    video = some(size // 4) if "input_video_mtok" in priced else 0
    rest = size - audio - image - video
    cached_text, short, long = some(rest // 3), some(rest // 3), some(rest // 3)
    cached_audio = some(audio) if "cache_audio_read_mtok" in priced else 0
    cached_image = some(image) if "cache_image_read_mtok" in priced else 0
    output = some(100_000)
    spoken = some(output // 3) if "output_audio_mtok" in priced else 0
    drawn = some(output // 3) if "output_image_mtok" in priced else 0
    filmed = some(output // 3) if "output_video_mtok" in priced else 0
    return Usage(
        input_tokens=size,
        output_tokens=output,
        cache_read_tokens=cached_text + cached_audio + cached_image,
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=long,
        reasoning_tokens=some(output - spoken - drawn - filmed),
        input_audio_tokens=audio,
        cache_read_audio_tokens=cached_audio,
        output_audio_tokens=spoken,
        input_image_tokens=image,
        output_image_tokens=drawn,
        cache_read_image_tokens=cached_image,
        input_video_tokens=video,
        output_video_tokens=filmed,
        web_searches=some(30),
        file_searches=some(30),
        pages=some(300) if "input_document_kpages" in priced else 0,
        characters=some(5000) if "input_mchars" in priced else 0,
        seconds=chance.choice((0.0, 12.25, round(chance.random() * 4000, 2))) if "audio_hours" in priced else 0.0,
    )


def _oracle(provider: Provider, model: ModelInfo, usage: Usage, tier: str | None, at: datetime) -> int:
    told = OracleUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
        cache_write_5m_tokens=usage.cache_write_5m_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        cache_audio_read_tokens=usage.cache_read_audio_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        input_image_tokens=usage.input_image_tokens,
        output_image_tokens=usage.output_image_tokens,
        cache_image_read_tokens=usage.cache_read_image_tokens,
        input_video_tokens=usage.input_video_tokens,
        output_video_tokens=usage.output_video_tokens,
        web_searches=usage.web_searches,
        storage_searches=usage.file_searches,
        input_document_pages=usage.pages,
        input_annotated_document_pages=0,
        input_characters=usage.characters,
        audio_seconds=usage.seconds,
        input_audio_seconds=usage.seconds,
    )
    context = {"service_tier": tier, "processing": tier, "speed": tier} if tier is not None else None
    with localcontext() as exact:
        exact.prec = 60
        price = model.calc_price(told, provider, genai_request_timestamp=at, price_context=context)
        return int((price.total_price * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN))


def _priced(model: ModelInfo) -> set[str]:
    sheets = [model.prices] if isinstance(model.prices, ModelPrice) else [dated.prices for dated in model.prices]
    return {key for sheet in sheets for key, value in sheet.__dict__.items() if value is not None}


@cache
def _card_at(at: int) -> RateCard:
    provider, model = MODELS[at]
    return RateCard(provider.id, model.id, CatalogueModel(provider, model, "genai-prices/test"))


def _compare(at_model: int, chance: random.Random) -> None:
    provider, model = MODELS[at_model]
    priced = _priced(model)
    card = _card_at(at_model)
    at = EPOCH + timedelta(
        seconds=chance.randint(1_700_000_000, 1_830_000_000), microseconds=chance.randint(0, 999_999)
    )
    tier, usage = chance.choice(TIERS), _usage(chance, priced)
    at_ns = (at - EPOCH) // timedelta(microseconds=1) * 1000
    cost = card.cost(usage, tier=tier, at_ns=at_ns)
    assert cost.nanos == _oracle(provider, model, usage, tier, at), (provider.id, model.id, tier, at, usage)
    with localcontext() as exact:
        exact.prec = 60
        total = sum((line.usd for line in card.meters(usage, tier, at_ns)), Decimal(0)) * 10**9
        assert int(total.quantize(Decimal(1), ROUND_HALF_EVEN)) == cost.nanos


def test_every_priced_model_has_the_oracle_s_price() -> None:
    """OpenAI, Anthropic, Google, Mistral, DeepSeek: each model six times, at random times, tiers and usages."""
    chance = random.Random(20261124)
    assert len(MODELS) > 250
    for at in range(len(MODELS)):
        for _ in range(6):
            _compare(at, chance)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32), at=st.integers(0, len(MODELS) - 1))
def test_random_usage_costs_what_the_oracle_says(seed: int, at: int) -> None:
    _compare(at, random.Random(seed))


def test_only_known_price_keys_are_left_unmeasured() -> None:
    """A price key that we do not map would make us bill too little in silence: a new one must fail here."""
    known = {key for _, keys, _ in PRICE_KEYS for key in keys}
    told = {key for provider in providers for model in provider.models for key in _priced(model)}
    assert told - known == UNMEASURED


def test_every_model_of_every_provider_compiles() -> None:
    """And one that has prices in units we measure has a price."""
    for provider in providers:
        for model in provider.models:
            card = RateCard(provider.id, model.id, CatalogueModel(provider, model, "test"))
            cost = card.cost(Usage(), at_ns=1_790_000_000 * 10**9)
            assert cost.priced is bool(_priced(model) - UNMEASURED or not _priced(model)), (provider.id, model.id)


def _names(clause: object) -> Iterator[str]:
    if isinstance(clause, ClauseEquals):
        yield clause.equals
    for inner in getattr(clause, "or_", ()):
        yield from _names(inner)


def test_names_find_the_oracle_s_model() -> None:
    """With a provider and by the name alone; where the oracle finds nothing by name, we may look further."""
    oracle, catalogue = DataSnapshot(providers=providers, from_auto_update=False), Catalogue()
    names = {(provider.id, name) for provider, model in MODELS for name in (model.id, *_names(model.match))}
    for provider, name in sorted(names):
        for hint in (provider, None):
            try:
                _, wanted = oracle.find_provider_model(name, None, hint, None)
            except LookupError:
                assert hint is None or catalogue.find(hint, name) is None
                continue
            found = catalogue.find(hint, name)
            assert found is not None, (hint, name)
            assert found.model_id == wanted.id


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MODELS), st.integers(0, 2_000_000), st.integers(0, 200_000), st.integers(0, 400))
def test_an_estimate_before_the_request_costs_what_such_a_usage_will(
    named: tuple[Provider, ModelInfo], inputs: int, outputs: int, days: int
) -> None:
    """`RateCard.plain_nanos`, on real prices: equal to `cost` of a usage with the two totals alone, at any date."""
    provider, model = named
    card = RateCard(provider.id, model.id, CatalogueModel(provider, model, "test"))
    at_ns = (1_735_689_600 + days * 86_400 + inputs % 86_400) * 10**9
    usage = Usage(input_tokens=inputs, output_tokens=outputs)
    estimate = card.plain_nanos(inputs, outputs, at_ns=at_ns)
    assert estimate == card.cost(usage, at_ns=at_ns).nanos
    if (plain := card.plain) is not None:
        per_input, per_output, per_request, denominator = plain
        assert estimate == rounded(inputs * per_input + outputs * per_output + per_request, denominator)
