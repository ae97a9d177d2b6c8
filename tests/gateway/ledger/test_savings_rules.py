"""What is said of sums and habits, and from which amount on."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.habits import Habit, Idle, Part
from gateway.ledger.savings_rules import LEAST, Sums, idle, repeated, totals, urgent_tier
from pricing.book import PriceBook
from pricing.usage import Usage

NOTHING = Part(Usage(), 0)
NANOS = st.integers(0, 10 * LEAST)


def habit(**changes: object) -> Habit:
    fields: dict[str, object] = {
        "team": "search", "key": "search-dev", "model": "gpt-4o", "provider": "openai", "requests": 100, "nanos": LEAST,
        "streams": 0, "month_nanos": LEAST, "short": NOTHING, "unhurried": NOTHING, "urgent": NOTHING, "long": NOTHING,
        "least_input": 0, "pairs": 0, "same": 0, "same_nanos": 0, "by_chance": 0.0, **changes,
    }  # fmt: skip
    return Habit(**fields)  # type: ignore[arg-type]


@given(NANOS, NANOS, NANOS)
def test_small_amounts_are_not_worth_a_word(spent: int, untagged: int, left: int) -> None:
    """It says nothing unless its evidence is there and the amount reaches `LEAST`."""
    found = totals(Sums(spent + untagged + left, untagged, {"client_left": (5, left)}, {}))
    assert all(each.at_stake >= LEAST for each in found)
    assert [each.monthly for each in found if each.kind == "waste"] in ([], [left])
    assert all(each.monthly is None for each in found if each.kind == "untagged")


@given(st.integers(0, 20 * LEAST))
def test_a_habits_saving_is_scaled_to_its_month(month: int) -> None:
    """Scaled to a month by what the same key spent with the same model; nothing below `LEAST`."""
    told = repeated(habit(pairs=100, same=60, same_nanos=LEAST // 2, by_chance=0.01, month_nanos=month))
    assert (None if told is None else told.monthly) == (month // 2 if month // 2 >= LEAST else None)


def test_without_a_price_nothing_is_said() -> None:
    part = Part(Usage(input_tokens=10**6, output_tokens=10**6, requests=100), 50 * LEAST)
    assert urgent_tier(habit(urgent=part), lambda provider, model: None, 0) is None
    told = urgent_tier(habit(urgent=part, nanos=50 * LEAST, month_nanos=50 * LEAST),
                       lambda provider, model: PriceBook().card(provider, model), 1_795_000_000 * 10**9)  # fmt: skip
    assert told is not None
    assert (told.kind, told.at_stake) == ("urgent_tier", 50 * LEAST)


def test_keys_that_nobody_uses_save_nothing_and_are_named() -> None:
    (one,) = idle([Idle("search-old", "search", 1_795_000_000 * 10**9)])
    assert (one.kind, one.key, one.monthly, one.how) == (
        "idle_key",
        "search-old",
        None,
        "tollway keys revoke search-old",
    )
    assert one.evidence == {"made": "2026-11-18"}
