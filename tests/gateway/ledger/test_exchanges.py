import random

from sqlalchemy import Engine, update

from gateway.ledger.exchanges import Position, listing, one
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


def test_the_trace_is_the_callers_or_its_own(engine: Engine):
    """As `gateway.wire.traceparent` makes it of an exchange."""
    theirs, own = end(1, trace="0af7651916cd43dd8448eb211c80319c"), end(2)
    with writing(engine) as connection:
        post(connection, [theirs, own], NOW)
    found = {row.id: row.trace for row in listing(engine, 0, NOW * 2, {}).rows}
    assert found == {theirs.id: theirs.trace, own.id: own.id.replace("-", "")}
