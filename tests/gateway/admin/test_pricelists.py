from gateway.admin.pricelists import cards_of, named, nothing
from pricing.book import PriceBook
from pricing.overlay import parse_overlay
from tests.gateway.admin.fakes import FakeWorld


def test_providers_are_found_by_their_configured_names():
    book = PriceBook(parse_overlay({"discounts": [{"provider": "openai", "percent": 50}]}))
    cards, listed = named(book, {"eu": "openai"}), named(book.public(), {"eu": "openai"})
    ours, public = cards("eu", "gpt-4o"), listed("eu", "gpt-4o")
    assert ours is not None
    assert public is not None
    assert ours.leaves(None, 0)["input"] * 2 == public.leaves(None, 0)["input"]
    assert cards("gone", "gpt-4o") is not None  # by the model's name


def test_without_prices_nothing_has_a_card(world: FakeWorld):
    assert cards_of(world.configuration.snapshot) == (nothing, nothing)
    assert nothing("openai", "gpt-4o") is None
