import random

from sqlalchemy import Engine

from gateway.clock import ManualClock
from gateway.ledger.overview import DAY_NS, hours, overview, total
from gateway.ledger.posting import HOUR_NS, post
from gateway.ledger.spend import report
from gateway.ledger.store import writing
from gateway.ledger.tables import DAY_SUMS
from tests.gateway.ledger.helpers import T0, random_end

NOW = T0 + 10**15


def fill(engine: Engine, count: int = 400) -> None:
    chance = random.Random(3)
    records = [random_end(chance) for _ in range(count)]
    for at in range(0, count, 150):
        with writing(engine) as connection:
            post(connection, records[at : at + 150], NOW)


def test_days_hold_what_reports_say(engine: Engine):
    """ "Sums are those of `spend.report`": of every team, whatever the batches events came in."""
    fill(engine)
    since_ns, until_ns = 0, (NOW // DAY_NS + 2) * DAY_NS
    found = overview(engine, since_ns, until_ns)
    told = report(engine, ["team"], since_ns, until_ns, clock=ManualClock(NOW))
    assert sum(row.sums["requests"] for row in told.rows) > 0
    for row in told.rows:
        slices = [each for each in found.slices if each.team == row.names["team"]]
        for name in DAY_SUMS:
            assert total(slices, name) == row.sums[name], name
    assert total(found.slices, "outcome_refused") == told.total["outcome_refused"]


def test_a_range_is_cut_at_days(engine: Engine):
    fill(engine)
    whole = overview(engine, 0, NOW + DAY_NS)
    first = min(each.day for each in whole.slices)
    one = overview(engine, first * 10**9 + 5, first * 10**9 + 6)
    assert one.slices
    assert {each.day for each in one.slices} == {first}
    assert overview(engine, first * 10**9 - DAY_NS, first * 10**9).slices == []


def test_hours_tell_failures_of_providers(engine: Engine):
    fill(engine)
    found = hours(engine, 0, NOW + HOUR_NS)
    whole = overview(engine, 0, NOW + DAY_NS).slices
    assert sum(each.requests for each in found) == total(whole, "requests")
    failed = ("upstream_status", "upstream_error", "upstream_timeout", "interrupted", "error")
    assert sum(each.failed for each in found) == sum(total(whole, f"outcome_{name}") for name in failed)
    assert all(0 <= each.failed <= each.requests for each in found)
