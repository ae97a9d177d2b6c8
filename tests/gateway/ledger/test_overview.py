import random

import msgspec
import pytest
from sqlalchemy import Engine

from gateway.clock import ManualClock
from gateway.ledger.overview import DAY_NS, ENDS, Dimension, Slice, Speed, first_bytes, hours, overview, total
from gateway.ledger.posting import HOUR_NS, post
from gateway.ledger.spend import report
from gateway.ledger.store import writing
from gateway.ledger.tables import WASTED
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
    found = overview(engine, since_ns, since_ns, until_ns)
    told = report(engine, ["team"], since_ns, until_ns, clock=ManualClock(NOW))
    assert sum(row.sums["requests"] for row in told.rows) > 0
    for row in told.rows:
        team = row.names["team"]
        mine = [each for each in found.slices if each.team == team]
        for name in Slice.__struct_fields__[6:]:
            assert total(mine, name) == row.sums[name], name
        assert total([each for each in found.daily if each.team == team], "cost_nanos") == row.sums["cost_nanos"]
        ends = overview(engine, since_ns, since_ns, until_ns, filters={"team": team}).ends
        assert ends == {name: row.sums[name] for name in ENDS}
    assert found.ends == {name: told.total[name] for name in ENDS}
    assert sum(found.ends[f"cost_{name}"] for name in WASTED) > 0


@pytest.mark.parametrize("by", ["team", "model", "provider", "key"])
def test_names_are_told_apart_where_they_are_asked_for(engine: Engine, by: Dimension):
    fill(engine)
    found = overview(engine, 0, 0, NOW + DAY_NS, by, {"model": "claude-haiku"})
    assert {each.model for each in found.slices} == {"claude-haiku"}
    assert {each.day for each in found.slices} == {0}
    assert 0 not in {each.day for each in found.daily}
    told = {getattr(each, by) for each in found.slices}
    assert {getattr(each, by) for each in found.daily} == told
    others = {"model", "provider", "key"} - {by}
    assert all(getattr(each, name) == "" for each in found.daily for name in others)
    assert total(found.daily, "cost_nanos") == total(found.slices, "cost_nanos") > 0


def test_a_range_is_cut_at_days(engine: Engine):
    fill(engine)
    first = min(each.day for each in overview(engine, 0, 0, NOW + DAY_NS).daily) * 10**9
    one = overview(engine, 0, first + 5, first + 6)
    assert one.slices
    assert {each.day * 10**9 for each in one.daily} == {first}
    assert overview(engine, first - DAY_NS, first - DAY_NS, first).slices == []


def test_hours_tell_failures_of_providers(engine: Engine):
    fill(engine)
    found = hours(engine, 0, NOW + HOUR_NS)
    whole = overview(engine, 0, 0, NOW + DAY_NS)
    assert sum(each.requests for each in found) == total(whole.slices, "requests")
    failed = ("upstream_status", "upstream_error", "upstream_timeout", "interrupted", "error")
    assert sum(each.failed for each in found) == sum(whole.ends[f"outcome_{name}"] for name in failed)
    assert all(0 <= each.failed <= each.requests for each in found)


def test_first_bytes_tell_how_soon_answers_began(engine: Engine):
    """Of the newest served requests of each hour; hours with few of a provider are left out."""
    late = [random_end(random.Random(at)) for at in range(40)]
    records = [
        msgspec.structs.replace(
            each, id=f"first-{at}", received_ns=T0 + at, first_byte_ns=T0 + at + (at + 1) * 10**8, outcome="ok",
            provider="a" if at < 30 else f"b{at // 37}",
        )
        for at, each in enumerate(late)
    ]  # fmt: skip
    with writing(engine) as connection:
        post(connection, records, NOW)
    found = first_bytes(engine, T0, T0 + HOUR_NS)
    hour = T0 // HOUR_NS * 3600
    assert found == [Speed(hour, "a", 30, 2.9), Speed(hour, "b0", 7, 3.7)]
    assert first_bytes(engine, T0, T0 + HOUR_NS, most=10) == [Speed(hour, "b0", 7, 3.7)]
