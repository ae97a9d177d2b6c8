"""The public price list: what the installed `genai-prices` package says a model costs, when, and in which tier.

Only its data and its own choice of the price in force are used. Its calculator costs 60 µs a call and serves as the
oracle in the tests. Nothing here touches the network: the package's updater is never started.
"""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction
from typing import TYPE_CHECKING

from pricing.rates import DAY_NS, Meter, Rate, Sheet

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

PRICE_KEYS: tuple[tuple[Meter, tuple[str, ...], int], ...] = (
    ("input", ("input_mtok",), 10**6),
    ("output", ("output_mtok",), 10**6),
    ("cache_read", ("cache_read_mtok",), 10**6),
    ("cache_write_5m", ("cache_write_5m_mtok", "cache_write_mtok"), 10**6),
    ("cache_write_1h", ("cache_write_1h_mtok", "cache_write_mtok"), 10**6),
    ("reasoning", ("output_reasoning_mtok",), 10**6),
    ("citation", ("output_citation_mtok",), 10**6),
    ("input_audio", ("input_audio_mtok",), 10**6),
    ("cache_read_audio", ("cache_audio_read_mtok",), 10**6),
    ("output_audio", ("output_audio_mtok",), 10**6),
    ("input_image", ("input_image_mtok",), 10**6),
    ("cache_read_image", ("cache_image_read_mtok",), 10**6),
    ("output_image", ("output_image_mtok",), 10**6),
    ("input_video", ("input_video_mtok",), 10**6),
    ("output_video", ("output_video_mtok",), 10**6),
    ("tool_input", ("input_tool_mtok",), 10**6),
    ("web_search", ("web_searches_kcount",), 10**3),
    ("file_search", ("storage_searches_kcount",), 10**3),
    ("request", ("requests_kcount",), 10**3),
    ("page", ("input_document_kpages",), 10**3),
    ("character", ("input_mchars",), 10**6),
    ("second", ("input_audio_hours", "audio_hours"), 3600),
)
"""Our meter, the package's price keys for it (the first that is set counts), and how many units a price is for."""

_FIRST_PARTY = ("openai", "anthropic", "google", "mistral", "deepseek", "cohere", "x-ai", "voyageai", "moonshotai")
"""Whose models are looked through when a name alone does not tell the provider; resellers are not guessed at."""
_TIER_KEYS: tuple[str, ...] = ("service_tier", "processing", "speed")


class CatalogueModel:
    """One model of the catalogue, as a source of sheets."""

    def __init__(self, provider: "Provider", model: "ModelInfo", version: str) -> None:
        self.provider_id = provider.id
        self.model_id = model.id
        self._model = model
        self._version = version
        # A model that a reseller borrows from another provider has the standard price only, as in the package.
        self._variants = (model.price_variants or []) if any(model is own for own in provider.models) else []
        whisper = provider.id == "groq" and model.id in ("whisper-large-v3", "whisper-large-v3-turbo")
        self._minimum_seconds = 10 if whisper else 0

    def tiers(self) -> set[str]:
        """Names of the service tiers that have a price of their own (`batch` among them)."""
        return {
            value
            for variant in self._variants
            for key, value in variant.when.items()
            if key in _TIER_KEYS and any(price is not None for price in variant.prices.__dict__.values())
        }

    def dates(self) -> set[int]:
        """Instants, in nanoseconds since the epoch, at which a price may change for good."""
        starts = (getattr(constraint, "start_date", None) for constraint in self._constraints())
        return {(start - _EPOCH.date()).days * DAY_NS for start in starts if start is not None}

    def times(self) -> set[int]:
        """Times of day (UTC), in nanoseconds since midnight, at which a price may change every day."""
        found: set[int] = set()
        for constraint in self._constraints():
            for name in ("start_time", "end_time"):
                at = getattr(constraint, name, None)
                if isinstance(at, time):
                    found.add(_time_ns(at))
        return found

    def sheet(self, at_ns: int, tier: str | None) -> Sheet | None:
        """The prices in force; None when none of them is on a meter that is measured here."""
        context = dict.fromkeys(_TIER_KEYS, tier) if tier is not None and self._variants else None
        at = _EPOCH + timedelta(microseconds=at_ns // 1000)
        prices = self._model.get_prices(at, context)
        return _sheet(prices, self._version, self._minimum_seconds)

    def _constraints(self) -> list[object]:
        from genai_prices.types import ModelPrice

        prices = self._model.prices
        dated = [] if isinstance(prices, ModelPrice) else [price.constraint for price in prices]
        return [constraint for constraint in (*dated, *(v.constraint for v in self._variants)) if constraint]


class Catalogue:
    """All providers of the package. Importing it costs about 0.25 s and 13 MB once in a process, so it is made late."""

    def __init__(self) -> None:
        import genai_prices
        from genai_prices.data import providers

        self.version = f"genai-prices/{genai_prices.__version__}"
        self._providers = providers
        self._by_id = {provider.id: provider for provider in providers}

    def find(self, provider: str | None, model: str) -> CatalogueModel | None:
        """The model a provider calls `model`. Without a provider: by the name alone, then by a `provider/` prefix."""
        if provider is not None:
            found = self._provider(provider)
            return self._in(found, model) if found is not None else None
        for candidate in self._providers:
            if candidate.model_match is not None and candidate.model_match.is_match(model):
                if (found := self._in(candidate, model)) is not None:
                    return found
                break
        head, slash, rest = model.partition("/")
        if slash:
            named = self._provider(head)
            return self._in(named, rest) if named is not None else None
        return next((hit for name in _FIRST_PARTY if (hit := self._in(self._by_id.get(name), model))), None)

    def nearest(self, model: str, count: int = 3) -> list[str]:
        """Known model names most like `model`, first-party providers' before others'."""
        own = {found.id for name in _FIRST_PARTY if (p := self._by_id.get(name)) for found in p.models}
        close = get_close_matches(model, sorted(own), n=count, cutoff=0.5)
        if len(close) < count:
            others = {found.id for provider in self._providers for found in provider.models} - own
            close += get_close_matches(model, sorted(others), n=count - len(close), cutoff=0.7)
        return close

    def nearest_providers(self, provider: str, count: int = 3) -> list[str]:
        """Ids of providers most like `provider`; empty when there is one of this name."""
        if self._provider(provider) is not None:
            return []
        return get_close_matches(provider.lower(), sorted(self._by_id), n=count, cutoff=0.5)

    def _provider(self, name: str) -> "Provider | None":
        name = name.lower().strip()
        if name in self._by_id:
            return self._by_id[name]
        return next((p for p in self._providers if p.provider_match and p.provider_match.is_match(name)), None)

    def _in(self, provider: "Provider | None", model: str) -> CatalogueModel | None:
        if provider is None:
            return None
        found = provider.find_model(model, all_providers=self._providers)
        return CatalogueModel(provider, found, self.version) if found is not None else None


def _sheet(prices: "ModelPrice", version: str, minimum_seconds: int) -> Sheet | None:
    told: dict[str, Decimal | TieredPrices] = {k: v for k, v in prices.__dict__.items() if v is not None}
    rates: dict[Meter, Rate] = {}
    for meter, keys, units in PRICE_KEYS:
        price = next((told[key] for key in keys if key in told), None)
        if price is not None:
            rates[meter] = _rate(price, units)
    return Sheet(rates, version, minimum_seconds) if rates or not told else None


def _rate(price: "Decimal | TieredPrices", units: int) -> Rate:
    if isinstance(price, Decimal):
        return Rate(Fraction(price) / units)
    return Rate(Fraction(price.base) / units, tuple((tier.start, Fraction(tier.price) / units) for tier in price.tiers))


def _time_ns(at: time) -> int:
    offset = at.utcoffset() or timedelta()
    seconds = at.hour * 3600 + at.minute * 60 + at.second - int(offset.total_seconds())
    return (seconds * 10**9 + at.microsecond * 1000) % DAY_NS
