"""Each saving on a ledger that has just that habit, and none on one that has not."""

import random
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from gateway.facts import Usage
from gateway.ledger.events import EndRecord
from gateway.ledger.posting import post
from gateway.ledger.savings import Savings, as_json, find
from gateway.ledger.savings_rules import Saving
from gateway.ledger.store import open_engine, writing
from pricing.book import PriceBook
from pricing.card import RateCard
from tests.gateway.ledger.helpers import end
from tests.support.ledgers import ready_ledger

NOW = 1_795_000_000 * 10**9
"""In November 2026: the catalogue has prices of service tiers from October on."""
HOUR = 3600 * 10**9
DAY = 24 * HOUR
BOOK = PriceBook()


def cards(provider: str, model: str) -> RateCard | None:
    return BOOK.card(provider or None, model) if model else None


@pytest.fixture
def look(sqlite_url: str) -> Callable[[list[EndRecord]], list[Saving]]:
    ready_ledger(sqlite_url)

    def run(records: list[EndRecord]) -> list[Saving]:
        engine = open_engine(sqlite_url)
        with writing(engine) as connection:
            post(connection, records, NOW)
        found = find(engine, cards, NOW)
        engine.dispose()
        return found.found

    return run


def record(number: int, model: str = "gpt-4o", **changes: object) -> EndRecord:
    """Spread over the last two days; 900 input tokens or so and 600 output, tagged, at its true price."""
    usage = changes.pop("usage", None) or Usage(input_tokens=900 + number % 97, output_tokens=600)
    tier = str(changes.get("service_tier", "")) or None
    card = cards("openai", model)
    assert isinstance(usage, Usage)
    cost = None if card is None else card.cost(usage, tier=tier, at_ns=NOW).nanos
    fields: dict[str, object] = {
        "received_ns": NOW - 2 * DAY + (number * 700 * 10**9) % (2 * DAY), "model": model, "usage": usage,
        "cost_nanos": cost, "unpriced": cost is None, "tags": {"app": "x"}, "stream": True, **changes,
    }  # fmt: skip
    return end(number, **fields)


def kinds(found: list[Saving]) -> list[str]:
    return [each.kind for each in found]


def test_ordinary_traffic_gives_no_saving(look: Callable[..., list[Saving]]):
    assert look([record(number) for number in range(400)]) == []


def test_short_answers_of_a_dear_model(look: Callable[..., list[Saving]]):
    short = [record(number, usage=Usage(input_tokens=2000 + number, output_tokens=40)) for number in range(300)]
    other = [record(1000 + n, "gpt-4o-mini", usage=Usage(input_tokens=500 + n, output_tokens=90)) for n in range(60)]
    (one,) = look([*short, *other])
    assert (one.kind, one.model, one.key) == ("smaller_model", "gpt-4o", "search-dev")
    paid = sum(each.cost_nanos or 0 for each in short)
    mini = cards("openai", "gpt-4o-mini")
    assert mini is not None
    again = sum(mini.cost(each.usage or Usage(), at_ns=NOW).nanos or 0 for each in short)
    assert one.monthly is not None
    assert abs(one.monthly - (paid - again) * 10) < paid // 100  # three days are a tenth of a month
    assert "gpt-4o-mini" in one.how
    assert len(one.samples) == 3
    assert set(one.samples) <= {each.id for each in short}


def test_a_nightly_job_could_be_a_batch(look: Callable[..., list[Saving]]):
    night = (NOW - DAY) // DAY * DAY + 2 * HOUR
    job = [record(number, stream=False, received_ns=night + number * 17 * 10**9) for number in range(400)]
    (one,) = look(job)
    assert one.kind == "batch"
    assert one.evidence["in 6 hours of the day"].startswith("100 % (02, 03")
    assert one.monthly is not None
    assert abs(one.monthly * 2 - one.at_stake) <= 400 * 30  # half price


def test_unhurried_traffic_all_day_is_no_batch(look: Callable[..., list[Saving]]):
    assert look([record(number, stream=False) for number in range(400)]) == []


def test_priority_without_streaming(look: Callable[..., list[Saving]]):
    urgent = [record(number, stream=False, service_tier="priority") for number in range(200)]
    (one,) = look(urgent)
    assert one.kind == "urgent_tier"
    assert one.monthly is not None
    assert 0 < one.monthly < one.at_stake


def test_long_prompts_that_are_never_cached(look: Callable[..., list[Saving]]):
    start = NOW - 2 * HOUR
    long = [
        record(
            number,
            received_ns=start + number * 20 * 10**9,
            usage=Usage(input_tokens=20_000 + number * 7, output_tokens=600),
        )
        for number in range(300)
    ]
    (one,) = look(long)
    assert one.kind == "uncached_prompts"
    assert one.evidence["input tokens, fewest"] == "20,000"
    assert "if they begin alike" in one.why
    assert one.monthly is not None
    assert one.monthly < one.at_stake


def test_requests_that_come_again(look: Callable[..., list[Saving]]):
    chance = random.Random(3)
    again: list[EndRecord] = []
    for number in range(200):
        usage = Usage(input_tokens=chance.randrange(300, 9000), output_tokens=600)
        at = NOW - DAY + number * 5 * 10**9
        again.append(record(2 * number, received_ns=at, usage=usage))
        if number % 2:
            again.append(record(2 * number + 1, received_ns=at + 10**9, usage=usage))
    (one,) = look(again)
    assert one.kind == "repeated_requests"
    assert one.evidence["with the size of the one before"].startswith("100 of ")
    assert "must be looked at" in one.why


def test_prompts_of_one_size_do_not_seem_to_come_again(look: Callable[..., list[Saving]]):
    same = Usage(input_tokens=900, output_tokens=600)
    assert look([record(n, received_ns=NOW - DAY + n * 10**9, usage=same) for n in range(400)]) == []


def test_what_was_paid_for_nothing_has_no_price_or_no_tags(look: Callable[..., list[Saving]]):
    records = [record(number, tags={} if number % 2 else {"app": "x"}) for number in range(400)]
    records += [record(1000 + number, outcome="client_left") for number in range(40)]
    records += [record(2000 + number, "mystery") for number in range(3)]
    found = {each.kind: each for each in look(records)}
    assert set(found) == {"waste", "unpriced", "untagged"}
    assert found["waste"].monthly == 10 * sum(each.cost_nanos or 0 for each in records if each.outcome == "client_left")
    assert len(found["waste"].samples) == 3
    assert found["unpriced"].monthly is None
    assert found["unpriced"].model == "mystery"
    assert found["untagged"].evidence == {"of spend": "45 %"}


def test_savings_hold_on_both_databases_and_have_a_json_shape(engine: Engine):
    with writing(engine) as connection:
        post(connection, [record(number, "mystery") for number in range(5)], NOW)
    told = as_json(find(engine, cards, NOW))
    assert list(told) == ["since", "until", "saving_usd_per_month", "savings"]
    (one,) = told["savings"]  # type: ignore[misc]
    assert one["kind"] == "unpriced"
    assert one["saving_usd_per_month"] is None
    assert one["samples"]


def test_ways_to_pay_less_for_the_same_requests_are_not_added_up():
    """`monthly`: of the same key and model the largest saving alone."""

    def of(monthly: int | None, key: str, model: str, title: str) -> Saving:
        return Saving(
            kind="batch", title=title, monthly=monthly, at_stake=9, why="", evidence={}, how="", key=key, model=model
        )

    two_ways = [of(5, "a", "m", "batch"), of(3, "a", "m", "smaller")]
    rest = [
        of(4, "b", "m", "batch"),
        of(2, "", "", "client left"),
        of(1, "", "", "timed out"),
        of(None, "", "", "idle"),
    ]
    assert Savings(0, 0, [*two_ways, *rest]).monthly == 5 + 4 + 2 + 1
