"""The price book: finds the rate card of a model, from the configuration first and the public catalogue second.

One is built with every configuration snapshot. Cards are compiled when they are first asked for and kept; ask once for
every configured model while the snapshot is compiled, so that no request pays for it.
"""

from difflib import get_close_matches

import msgspec

from pricing.card import RateCard, Source
from pricing.catalogue import Catalogue, CatalogueModel
from pricing.overlay import Discount, Entry, Overlay
from pricing.rates import Sheet

__all__ = ["PriceBook", "RateCard"]

_MOST_CARDS = 4096
"""A wildcard route lets clients choose names, so what is kept must be bounded."""


class PriceBook:
    """Rate cards by provider and model."""

    def __init__(self, overlay: Overlay | None = None, catalogue: Catalogue | None = None) -> None:
        """`catalogue` may be shared between books; without one it is made when first needed (about 0.25 s)."""
        self._overlay = overlay or Overlay()
        self._catalogue = catalogue
        self._cards: dict[tuple[str | None, str], RateCard | None] = {}

    def card(self, provider: str | None, model: str) -> RateCard | None:
        """The card of what `provider` calls `model`; None when no price is known.

        `provider` is the catalogue's id (`openai`, `anthropic`, `google`, …) or a name that the configuration's prices
        use; None finds the provider by the model's name. A dict look-up, once a card was asked for.
        """
        key = (provider, model)
        try:
            return self._cards[key]
        except KeyError:
            card = self._make(provider, model)
            if len(self._cards) >= _MOST_CARDS:
                self._cards.clear()
            self._cards[key] = card
            return card

    def public(self) -> "PriceBook":
        """The public list prices alone, without what the configuration says; shares the catalogue."""
        self.load()
        return PriceBook(None, self._catalogue)

    def load(self) -> None:
        """Read the catalogue now (about 0.25 s and 13 MB, once in a process) rather than with the first card."""
        self._catalogue = self._catalogue or Catalogue()

    def nearest(self, model: str, count: int = 3) -> list[str]:
        """Known model names most like `model`, for an error message."""
        self.load()
        assert self._catalogue is not None
        own = [entry.model for entry in self._overlay.entries if not entry.wildcard and model in entry.model]
        return [*own, *self._catalogue.nearest(model, count)][:count]

    def own_providers(self, model: str) -> list[str]:
        """Providers for whom alone the configuration prices `model`, sorted."""
        return sorted(
            {e.provider for e in self._overlay.entries if e.provider is not None and e.matches(e.provider, model)}
        )

    def nearest_providers(self, provider: str, count: int = 3) -> list[str]:
        """Known providers most like `provider`, for an error message; empty when there is one of this name."""
        self.load()
        assert self._catalogue is not None
        own = {entry.provider for entry in self._overlay.entries if entry.provider is not None}
        if provider in own:
            return []
        return [*get_close_matches(provider, sorted(own), n=count), *self._catalogue.nearest_providers(provider, count)]

    def _find(self, provider: str | None, model: str) -> CatalogueModel | None:
        self.load()
        assert self._catalogue is not None
        return self._catalogue.find(provider, model)

    def _make(self, provider: str | None, model: str) -> RateCard | None:
        entries = [entry for entry in self._overlay.entries if entry.matches(provider, model)]
        always = bool(entries) and entries[0].like is None and not entries[0].span.ends()
        listed = None if always else self._find(provider, model)
        if not entries and listed is None:
            return None
        own: list[tuple[Entry, CatalogueModel | None]] = []
        for entry in entries:
            own.append((entry, self._find(*entry.like) if entry.like is not None else None))
        hint = listed.provider_id if listed is not None else None
        discounts = [d for d in self._overlay.discounts if d.matches(provider or hint, model)]
        source = _Layers(own, listed, discounts)
        if not any(source.sheet(at, None) is not None for at in (0, *source.dates())):
            return None
        if listed is not None and not own:
            return RateCard(listed.provider_id, listed.model_id, source)
        return RateCard(provider or hint or "config", model, source)


class _Layers:
    """The configuration's entries over the catalogue, discounts included, as one source."""

    def __init__(
        self,
        own: list[tuple[Entry, CatalogueModel | None]],
        listed: CatalogueModel | None,
        discounts: list[Discount],
    ) -> None:
        self._own = own
        self._listed = listed
        self._discounts = discounts
        self._catalogue: list[Source] = [model for _, model in own if model is not None]
        if listed is not None:
            self._catalogue.append(listed)

    def tiers(self) -> set[str]:
        named = {tier for entry, _ in self._own for tier in entry.tiers}
        return named.union(*(source.tiers() for source in self._catalogue))

    def dates(self) -> set[int]:
        spans = [entry.span for entry, _ in self._own] + [discount.span for discount in self._discounts]
        return set[int]().union(*(s.ends() for s in spans), *(source.dates() for source in self._catalogue))

    def times(self) -> set[int]:
        return set[int]().union(*(source.times() for source in self._catalogue))

    def sheet(self, at_ns: int, tier: str | None) -> Sheet | None:
        for entry, like in self._own:
            if entry.span.holds(at_ns):
                if entry.like is None:
                    rates = entry.tiers.get(tier, entry.rates) if tier else entry.rates
                    return Sheet(rates, entry.version, by_clock=entry.by_clock)
                return self._discounted(like, at_ns, tier, entry.version)
        return self._discounted(self._listed, at_ns, tier, None)

    def _discounted(self, source: Source | None, at_ns: int, tier: str | None, version: str | None) -> Sheet | None:
        sheet = source.sheet(at_ns, tier) if source is not None else None
        if sheet is None:
            return None
        if version is not None:
            sheet = msgspec.structs.replace(sheet, version=f"{sheet.version}+{version}")
        discount = next((d for d in self._discounts if d.span.holds(at_ns)), None)
        if discount is None:
            return sheet
        return Sheet(
            {meter: rate.times(discount.factor) for meter, rate in sheet.rates.items()},
            f"{sheet.version}+{discount.version}",
            sheet.minimum_seconds,
        )
