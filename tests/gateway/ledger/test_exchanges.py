import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from gateway.ledger.exchanges import GROUPS, Position, called, listing, one, stretches
from gateway.ledger.overview import DAY_NS
from gateway.ledger.posting import post
from gateway.ledger.store import writing
from gateway.ledger.tables import events
from tests.gateway.ledger.helpers import T0, end, random_end

NOW = T0 + 10**15


def test_pages_hold_everything_once_in_order_also_where_times_are_the_same(engine: Engine):
    records = [random_end(random.Random(at)) for at in range(60)]
    records += [end(at, received_ns=T0 + 7) for at in range(1000, 1030)]
    with writing(engine) as connection:
        post(connection, records, NOW)
    found: list[str] = []
    after: Position | None = None
    while True:
        page = listing(engine, 0, NOW * 2, {}, after, 7)
        found += [row.id for row in page.rows]
        after = page.next
        if after is None:
            break
        assert len(page.rows) == 7
    assert found == [each.id for each in sorted(records, key=lambda each: (each.received_ns, each.id), reverse=True)]


def test_one_is_read_whole_and_what_was_cut_off_is_left_out(engine: Engine):
    whole, cut = end(1, tags={"b": "2", "a": "1"}), end(2)
    with writing(engine) as connection:
        post(connection, [whole, cut], NOW)
        connection.execute(update(events).where(events.c.id == cut.id).values(attempts='[{"provider": "cut'))
    found = one(engine, whole.id)
    assert found is not None
    assert found.tags == {"a": "1", "b": "2"}
    assert found.attempts == whole.attempts
    assert all(found.meters.values())
    shortened = one(engine, cut.id)
    assert shortened is not None
    assert shortened.attempts == []
    assert one(engine, "none") is None


def test_an_exchange_is_found_by_its_own_id_and_by_its_clients(engine: Engine):
    """*The exchange of this id; or those received since then to which their clients gave it, newest first.*"""
    own, old = end(1, request_id="mine"), end(2, request_id="mine", received_ns=T0 - 10**12)
    other = end(3, request_id=own.id, received_ns=T0 + 5)
    newer = end(4, request_id="mine", received_ns=T0 + 10**7)
    with writing(engine) as connection:
        post(connection, [own, old, other, newer], NOW)
    assert [each.id for each in called(engine, own.id, 0, 9)] == [own.id]
    assert [each.id for each in called(engine, "mine", T0, 9)] == [newer.id, own.id]
    assert [each.id for each in called(engine, "mine", 0, 2)] == [newer.id, own.id]
    assert called(engine, "nobody's", 0, 9) == []


def test_the_trace_is_the_callers_or_its_own(engine: Engine):
    """As `gateway.wire.traceparent` makes it of an exchange."""
    theirs, own = end(1, trace="0af7651916cd43dd8448eb211c80319c"), end(2)
    with writing(engine) as connection:
        post(connection, [theirs, own], NOW)
    found = {row.id: row.trace for row in listing(engine, 0, NOW * 2, {}).rows}
    assert found == {theirs.id: theirs.trace, own.id: own.id.replace("-", "")}


@pytest.mark.parametrize("filters", [{"team": "ads", "outcome": "failed"}, {"key": "k1", "operation": "messages"}])
@pytest.mark.parametrize("searched", [1, 7, 10**6])
def test_what_is_rare_is_found_however_little_a_page_looks_through(
    engine: Engine, filters: dict[str, str], searched: int
):
    """ "After `SEARCHED` events a page ends where it has come to": going on from there, nothing is missed."""
    chance = random.Random(2)
    records = [random_end(chance, 6 * DAY_NS) for _ in range(120)]
    with writing(engine) as connection:
        post(connection, records, NOW)
    found: list[str] = []
    after: Position | None = None
    while True:
        page = listing(engine, 0, NOW * 2, filters, after, 4, searched)
        found += [row.id for row in page.rows]
        assert page.searched_ns is None or (len(page.rows) <= 4 and page.next == Position(page.searched_ns, ""))
        after = page.next
        if after is None:
            break
    wanted = [
        each
        for each in records
        if all(
            each.outcome in GROUPS["failed"] if name == "outcome" else getattr(each, name) == value
            for name, value in filters.items()
        )
    ]
    assert found == [each.id for each in sorted(wanted, key=lambda each: (each.received_ns, each.id), reverse=True)]


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 3)), max_size=6),
    st.integers(0, 7 * DAY_NS),
    st.integers(0, 7 * DAY_NS),
    st.integers(1, 10**6),
)
def test_stretches_cover_every_day_on_which_something_fits(
    counts: list[tuple[int, int]], since: int, until: int, most: int
):
    """ "Each of about `most` events or less": newest first, without a gap in a day, and none of an idle day."""
    found = [(day * DAY_NS, count + fitting, fitting) for day, (count, fitting) in enumerate(counts)][::-1]
    most = max(most, 1000)
    pieces = list(stretches(found, since, until, most))
    assert all(piece.events <= most and since <= piece.since_ns < piece.until_ns <= until for piece in pieces)
    assert all(a.since_ns >= b.until_ns for a, b in pairwise(pieces))
    for day, _, fitting in found:
        covered = sum(p.until_ns - p.since_ns for p in pieces if day <= p.since_ns < day + DAY_NS)
        wanted = max(min(day + DAY_NS, until) - max(day, since), 0)
        assert covered == (wanted if fitting else 0)
