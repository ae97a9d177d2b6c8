"""Price cards by the names that the ledger has: a configured provider and its model."""

from gateway.ledger.charges import Cards
from gateway.settings.snapshot import Snapshot
from pricing.book import PriceBook
from pricing.card import RateCard


def cards_of(snapshot: Snapshot) -> tuple[Cards, Cards]:
    """The prices in force, and the public list prices. Both know nothing under `prices: off`. The first look at the
    public ones may take 0.25 s: for threads."""
    known = {provider.name: provider.prices for provider in snapshot.routes.providers()}
    if snapshot.prices is None:
        return nothing, nothing
    return named(snapshot.prices, known), named(snapshot.prices.public(), known)


def named(book: PriceBook, known: dict[str, str | None]) -> Cards:
    """Cards of a book by configured names; `known` has the name that each provider has in it."""
    return lambda provider, model: book.card(known.get(provider), model)


def nothing(provider: str, model: str) -> RateCard | None:
    """No card of anything."""
    return None
