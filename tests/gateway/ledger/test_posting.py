import random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from gateway.errors import Outcome
from gateway.facts import Usage
from gateway.ledger.events import EndRecord
from gateway.ledger.posting import MAX_NANOS, MAX_TOKENS, Posted, event_row, post, rollup_rows, save_offset, tags_hash
from gateway.ledger.retention import prune_events
from gateway.ledger.store import reading, writing
from gateway.ledger.tables import METERS, OUTCOMES, SUMS, events, rollups, segments, tags
from tests.gateway.ledger.helpers import T0, end, random_end

NOW = T0 + 10**15


def put(engine: Engine, records: list[EndRecord]) -> Posted:
    with writing(engine) as connection:
        return post(connection, records, NOW)


def sums(engine: Engine) -> dict[str, int]:
    with reading(engine) as connection:
        row = connection.execute(select(*(func.coalesce(func.sum(rollups.c[name]), 0) for name in SUMS))).one()
    return dict(zip(SUMS, map(int, row), strict=True))


def test_every_event_is_posted_once_however_often_it_comes(engine: Engine):
    chance = random.Random(7)
    records = [random_end(chance) for _ in range(300)]
    assert put(engine, records[:200]) == Posted(200, 0, 0)
    once = sums(engine)
    assert put(engine, records[:200]) == Posted(0, 200, 0)
    assert sums(engine) == once
    assert put(engine, [*records[100:], records[150]]) == Posted(100, 101, 0)
    total = sums(engine)
    assert total["requests"] == 300
    assert total["cost_nanos"] == sum(record.cost_nanos or 0 for record in records)
    assert total["input_tokens"] == sum(record.usage.input_tokens for record in records if record.usage)
    assert total["usage_millis"] == 500 * 300
    assert total["unpriced_requests"] == sum(record.unpriced for record in records)
    assert total["estimated_requests"] == sum(record.usage_estimated for record in records)
    assert total["outcome_client_left"] == sum(record.outcome == "client_left" for record in records)


def test_a_batch_may_be_empty_or_large(engine: Engine):
    assert put(engine, []) == Posted(0, 0, 0)
    assert put(engine, [end(number) for number in range(3000)]).inserted == 3000


def test_unknown_cost_is_null_and_never_zero(engine: Engine):
    put(engine, [end(1, cost_nanos=None, unpriced=True), end(2, cost_nanos=0)])
    with reading(engine) as connection:
        stored = connection.execute(select(events.c.cost_nanos).order_by(events.c.received_ns)).scalars().all()
    assert stored == [None, 0]
    assert sums(engine)["unpriced_requests"] == 1


def test_what_a_database_cannot_hold_is_made_harmless(engine: Engine):
    hostile = end(
        1,
        asked="gpt\0\ufffe" * 500,
        model="m" * 10_000,
        tags={"a\0": "b" * 9000, "=cmd": "'; DROP TABLE events; --"},
        usage=Usage(input_tokens=10**30, output_tokens=-5, seconds=1e300),
        cost_nanos=10**40,
        outcome="invented-later",
    )
    assert put(engine, [hostile]).inserted == 1
    total = sums(engine)
    assert (total["input_tokens"], total["output_tokens"]) == (MAX_TOKENS, 0)
    assert total["cost_nanos"] == MAX_NANOS
    assert total["outcome_error"] == 1


def test_every_outcome_there_is_has_a_sum_of_its_own(engine: Engine):
    """Rule: "an outcome a later release invented counts as `error`"; none of this release's does."""
    assert get_args(Outcome) == OUTCOMES
    put(engine, [end(number, outcome=outcome) for number, outcome in enumerate(OUTCOMES)])
    total = sums(engine)
    assert {name: total[f"outcome_{name}"] for name in OUTCOMES} == dict.fromkeys(OUTCOMES, 1)


def test_tags_are_kept_once_per_set(engine: Engine):
    put(engine, [end(number, tags={"b": "2", "a": "1"}) for number in range(3)] + [end(9, tags={})])
    with reading(engine) as connection:
        stored = connection.execute(select(tags.c.hash, tags.c.name, tags.c.value).order_by(tags.c.name)).all()
        hashes = set(connection.execute(select(events.c.tags_hash)).scalars())
    name = tags_hash({"a": "1", "b": "2"})
    assert [tuple(row) for row in stored] == [(name, "a", "1"), (name, "b", "2")]
    assert hashes == {name, ""}


def test_offsets_are_replaced(engine: Engine):
    for offset in (10, 20):
        with writing(engine) as connection:
            save_offset(connection, "w.000001", offset, 1, 5)
    with reading(engine) as connection:
        assert [tuple(row) for row in connection.execute(select(segments))] == [("w.000001", 20, 1, 5)]


def test_a_horizon_in_the_future_keeps_nothing_out(engine: Engine):
    """Somebody's clock was years ahead for a moment, and pruned."""
    prune_events(engine, NOW + 10**18)
    assert put(engine, [end(1)]) == Posted(1, 0, 0)


@given(st.lists(st.integers(0, 2**32), max_size=40))
def test_rollups_add_up_to_the_events_they_are_made_of(seeds: list[int]):
    rows = [event_row(random_end(random.Random(seed))) for seed in seeds]
    made = rollup_rows(rows)
    assert sum(int(str(row["requests"])) for row in made) == len(rows)
    for meter in METERS:
        assert sum(int(str(row[meter])) for row in made) == sum(int(str(row[meter])) for row in rows)
    keys = [
        tuple(str(row[name]) for name in ("hour", "team", "key_id", "model", "provider", "operation")) for row in made
    ]
    assert keys == sorted(keys)


@pytest.mark.parametrize("pairs", [{"a": "b,c=d"}, {"a": "b", "c": "d"}, {"a": "b,c", "": "d"}])
def test_different_tags_have_different_hashes(pairs: dict[str, str]):
    others: list[dict[str, str]] = [{"a": "b"}, {}, {"a,c": "b,d"}]
    assert tags_hash(pairs) not in [tags_hash(other) for other in others]
    assert tags_hash(dict(reversed(pairs.items()))) == tags_hash(pairs)


def test_the_row_names_the_request_by_its_own_id_where_the_client_gave_none():
    """`EndRecord.request_id`: "The client's; empty: it is `id`": the column is always filled."""
    named, unnamed = end(1), end(2, request_id="")
    assert event_row(named)["request_id"] == "req-1"
    assert event_row(unnamed)["request_id"] == unnamed.id
