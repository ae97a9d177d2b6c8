"""Charges add up to reports, and are taken apart at the prices they were booked at."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from gateway.clock import ManualClock
from gateway.errors import LedgerError
from gateway.facts import Usage
from gateway.ledger.charges import PERIODS, Period, charges
from gateway.ledger.posting import HOUR_NS, post
from gateway.ledger.retention import prune_events
from gateway.ledger.spend import Filters, report
from gateway.ledger.store import open_engine, writing
from pricing.book import PriceBook
from pricing.card import RateCard
from tests.gateway.ledger.helpers import T0, end, random_end
from tests.support.ledgers import ready_ledger

NOW = T0 + 10**15
BOOK = PriceBook()


def cards(provider: str, model: str) -> RateCard | None:
    return BOOK.card(provider or None, model) if model else None


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path_factory.mktemp('charges')}/x.db"
    ready_ledger(url)
    engine = open_engine(url)
    chance = random.Random(5)
    with writing(engine) as connection:
        post(connection, [random_end(chance, 50 * HOUR_NS) for _ in range(300)], NOW)
    yield engine
    engine.dispose()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    since=st.integers(0, 55 * HOUR_NS),
    length=st.integers(1, 55 * HOUR_NS),
    period=st.sampled_from(PERIODS),
    team=st.sampled_from(["search", "ads", ""]),
    narrowed=st.booleans(),
)
def test_charges_add_up_to_the_report_to_the_nano_dollar(
    filled: Engine, since: int, length: int, period: Period, team: str, narrowed: bool
):
    """ "The charges of a range add up to `spend.report` of that range to the nano-dollar", by every name they have."""
    filters = Filters(team=(team,)) if narrowed else Filters(tags=(("app", "x"),) if team == "ads" else ())
    first, last = T0 + since, T0 + since + length
    clock = ManualClock(NOW)
    found = list(charges(filled, first, last, cards, cards, period, filters, clock))
    told = report(filled, ["team", "key", "model", "provider"], first, last, filters, clock)
    assert sum(each.nanos for each in found) == told.total["cost_nanos"]
    assert sum(each.requests for each in found) == told.total["requests"]
    assert sum(each.unpriced_requests for each in found) == told.total["unpriced_requests"]
    sums: dict[tuple[str, ...], int] = {}
    for each in found:
        names = each.team, each.key, each.model, each.provider
        sums[names] = sums.get(names, 0) + each.nanos
        assert first <= each.start_ns < each.end_ns <= last
    rows = {tuple(row.names.values()): row.sums["cost_nanos"] for row in told.rows}
    assert {names: nanos for names, nanos in sums.items() if nanos} == {k: v for k, v in rows.items() if v}
    assert [each.start_ns for each in found] == sorted(each.start_ns for each in found)


def test_one_priced_request_is_taken_apart(engine: Engine):
    usage = Usage(input_tokens=1000, cache_read_tokens=400, output_tokens=100)
    card = cards("openai", "gpt-4o-mini")
    assert card is not None
    booked = card.cost(usage, at_ns=T0).nanos
    with writing(engine) as connection:
        post(connection, [end(1, usage=usage, cost_nanos=booked, tags={"app": "x"})], NOW)
    found = list(charges(engine, T0 - HOUR_NS, T0 + HOUR_NS, cards, cards, "hour", clock=ManualClock(NOW)))
    assert [(each.meter, each.quantity, each.nanos) for each in found] == [
        ("input", 600, 90_000),
        ("cache_read", 400, 30_000),
        ("output", 100, 60_000),
    ]
    assert {each.basis for each in found} == {"rates"}
    assert found[0].tags == {"app": "x"}
    assert [each.requests for each in found] == [1, 0, 0]
    assert all(each.usd == each.list_usd for each in found)


def test_what_has_no_price_is_there_and_says_so(engine: Engine):
    with writing(engine) as connection:
        post(
            connection,
            [
                end(1, model="mystery", cost_nanos=None, unpriced=True),
                end(2, outcome="refused", usage=None, cost_nanos=0),
            ],
            NOW,
        )
    found = list(charges(engine, T0 - HOUR_NS, T0 + HOUR_NS, cards, cards, clock=ManualClock(NOW)))
    assert [(each.meter, each.quantity, each.nanos, each.basis) for each in found] == [
        ("input", 80, 0, "unpriced"),
        ("output", 20, 0, "unpriced"),
    ]


def test_pruned_edges_are_whole_hours(engine: Engine):
    with writing(engine) as connection:
        post(connection, [end(1)], NOW)
    prune_events(engine, T0 + 10 * HOUR_NS)
    (one, _) = charges(engine, T0 + 10**9, T0 + 2 * 10**9, cards, cards, "hour", clock=ManualClock(NOW))
    assert (one.start_ns, one.end_ns) == (T0 // HOUR_NS * HOUR_NS, (T0 // HOUR_NS + 1) * HOUR_NS)


def test_an_empty_range_is_refused(engine: Engine):
    with pytest.raises(LedgerError, match="the range is empty"):
        list(charges(engine, 5, 5, cards, cards))
