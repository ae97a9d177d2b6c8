"""How far back raw events are looked at, which keys are idle, and when a key is busy."""

from sqlalchemy import Engine

from gateway.clock import ManualClock
from gateway.ledger.habits import busiest_hours, covered_days, idle_keys, window
from gateway.ledger.keystore import KeyMaterial, KeyStore
from gateway.ledger.overview import DAY_NS
from gateway.ledger.posting import HOUR_NS, post
from gateway.ledger.store import reading, writing
from tests.gateway.ledger.helpers import end

NOW = 20_000 * DAY_NS + 12 * HOUR_NS


def test_the_window_holds_about_as_many_events_as_asked_for(engine: Engine):
    records = [end(n, received_ns=NOW - n * HOUR_NS) for n in range(96)]
    with writing(engine) as connection:
        post(connection, records, NOW)
    with reading(engine) as connection:
        for most in (1, 10, 30, 60, 1000):
            since = window(connection, NOW, most)
            held = sum(record.received_ns >= since for record in records)
            assert held <= most + 2
            assert held >= min(most, 96) - 24
        assert covered_days(connection, NOW) == 5


def test_busy_hours_are_those_of_one_key_and_model(engine: Engine):
    at = NOW // DAY_NS * DAY_NS - DAY_NS
    records = [end(n, received_ns=at + 2 * HOUR_NS + n) for n in range(9)] + [end(50, received_ns=at + 7 * HOUR_NS)]
    with writing(engine) as connection:
        post(connection, [*records, end(60, key="other", received_ns=at)], NOW)
    with reading(engine) as connection:
        assert busiest_hours(connection, "search-dev", "gpt-4o-mini", NOW, 1) == (10, 9, [2])
        assert busiest_hours(connection, "nobody", "gpt-4o-mini", NOW, 1) == (0, 0, [])


def test_idle_keys_are_those_that_work_and_were_not_used(engine: Engine):
    made = KeyStore(engine, ManualClock(NOW - 40 * DAY_NS))
    for name in ("idle", "used", "revoked"):
        made.create(KeyMaterial(name.ljust(64, "0"), "sk", "0000"), team="search", key_id=name)
    made.create(KeyMaterial("e" * 64, "sk", "0000"), team="search", key_id="ended", expires_ns=NOW - 1)
    made.revoke("revoked")
    KeyStore(engine, ManualClock(NOW)).create(KeyMaterial("f" * 64, "sk", "0000"), team="search", key_id="new")
    with writing(engine) as connection:
        post(connection, [end(1, key="used", received_ns=NOW - 3 * DAY_NS)], NOW)
    with reading(engine) as connection:
        assert [(each.key, each.team) for each in idle_keys(connection, NOW)] == [("idle", "search")]
