"""Single exchanges of the ledger: a page of them at a time, newest first, and one with all that is known of it.

Raw events have one index besides their id: by time, with what lists are filtered by beside it. A listing walks it
backwards and stops when its page is full. Roll-ups per day say beforehand on which days anything fits, and how much
there is to look through: days on which nothing fits are passed over, and after `SEARCHED` events a page ends where it
has come to, so that no view takes long however rare what it looks for is. There is no content in the ledger.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, and_, func, literal, or_, select

from gateway.facts import Attempt
from gateway.ledger.events import GuardrailSummary, Stages
from gateway.ledger.overview import DAY_NS
from gateway.ledger.store import reading
from gateway.ledger.tables import METERS, OUTCOMES, days, events, tags

FILTERS = ("team", "key", "model", "provider", "operation", "outcome")
_COLUMNS = {"key": "key_id"}
GROUPS = {
    "failed": ("upstream_status", "upstream_error", "upstream_timeout", "interrupted", "error", "shutdown"),
    "wasted": tuple(name for name in OUTCOMES if name != "ok"),
}
"""Names that stand for several outcomes."""
SEARCHED = 250_000
"""About how many events one page looks through."""
_ROLLED_UP = ("team", "key", "model", "provider")


T = TypeVar("T")


class ExchangeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange in a list. Times are nanoseconds since the epoch; money is nano-dollars (None: not known)."""

    id: str
    received_ns: int
    first_byte_ns: int | None
    finished_ns: int
    team: str
    key_id: str
    operation: str
    provider: str
    model: str
    stream: bool
    outcome: str
    status: int
    input_tokens: int
    output_tokens: int
    cost_nanos: int | None
    unpriced: bool
    estimated: bool
    trace_id: str
    """The caller's trace; empty: its own."""

    @property
    def trace(self) -> str:
        """The trace it is a part of: 32 hex digits, as `gateway.wire.traceparent` makes it of an exchange; empty for
        one whose id is none of ours."""
        own = self.id.replace("-", "")
        return self.trace_id or (own if len(own) == 32 else "")


class Position(msgspec.Struct, frozen=True):
    """Where a page ended: of the events before this one, the next page begins."""

    received_ns: int
    id: str


class Listing(msgspec.Struct, frozen=True):
    """A page, and where the next one begins (None: this is the last)."""

    rows: list[ExchangeRow]
    next: Position | None
    searched_ns: int | None = None
    """The page is not full, because it looked through enough: it came down to this time."""


class Stretch(msgspec.Struct, frozen=True):
    """A piece of time to look through, `since_ns <= received < until_ns`, and about how many events are in it."""

    since_ns: int
    until_ns: int
    events: int


class ExchangeView(ExchangeRow, frozen=True, kw_only=True):
    """All that the ledger knows of one exchange."""

    request_id: str
    asked: str
    tags: dict[str, str]
    meters: dict[str, int]
    """Those that are not 0."""
    price_version: str
    service_tier: str
    attempts: list[Attempt]
    guardrails: list[GuardrailSummary]
    stages: Stages


def listing(
    engine: Engine,
    since_ns: int,
    until_ns: int,
    filters: dict[str, str],
    after: Position | None = None,
    most: int = 50,
    searched: int = SEARCHED,
) -> Listing:
    """Exchanges received in a range. `filters`: names of `FILTERS`, an outcome may be one of `GROUPS`. Looks through
    about `searched` events at most. Blocks. Raises `LedgerError`."""
    where = _conditions(filters)
    if after is not None:
        until_ns = min(until_ns, after.received_ns + bool(after.id))
        earlier = and_(events.c.received_ns == after.received_ns, events.c.id < after.id)
        where.append(or_(events.c.received_ns < after.received_ns, earlier))
    names: Sequence[str] = ExchangeRow.__struct_fields__
    query = select(*(events.c[name] for name in names)).where(*where)
    query = query.order_by(events.c.received_ns.desc(), events.c.id.desc())
    rows: list[ExchangeRow] = []
    with reading(engine) as connection:
        pieces = _pieces(connection, since_ns, until_ns, filters, searched)
        for piece in pieces:
            if searched <= 0:
                return Listing(rows, Position(piece.until_ns, ""), piece.until_ns)
            within = events.c.received_ns >= piece.since_ns, events.c.received_ns < piece.until_ns
            found = connection.execute(query.where(*within).limit(most + 1 - len(rows))).mappings()
            rows.extend(map(_row, found))
            if len(rows) > most:
                return Listing(rows[:most], Position(rows[most - 1].received_ns, rows[most - 1].id))
            searched -= piece.events
    return Listing(rows, None)


def _conditions(filters: dict[str, str]) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    for name, value in filters.items():
        column = events.c[_COLUMNS.get(name, name)]
        if name == "outcome" and value in GROUPS:
            # Alternatives, not IN: PostgreSQL then judges them in the index and keeps its order.
            where.append(or_(*(column == each for each in GROUPS[value])))
        else:
            where.append(column == value)
    return where


def _pieces(
    connection: Connection, since_ns: int, until_ns: int, filters: dict[str, str], searched: int
) -> Iterable[Stretch]:
    """Where to look, newest first. Without filters everything fits, so that one piece is enough."""
    if not filters or since_ns >= until_ns:
        return [Stretch(since_ns, until_ns, 0)]
    return stretches(_days(connection, since_ns, until_ns, filters), since_ns, until_ns, searched)


def _days(connection: Connection, since_ns: int, until_ns: int, filters: dict[str, str]) -> list[tuple[int, int, int]]:
    """Day, its events, and how many of them can fit: (nanoseconds since the epoch, events, fitting), newest first. The
    operation is not in the roll-ups of days, so that there may be fewer."""
    outcome = filters.get("outcome")
    outcomes = () if outcome is None else GROUPS.get(outcome, (outcome,))
    fitting = days.c.requests
    if outcomes:
        fitting = sum((days.c[f"outcome_{each}"] for each in outcomes[1:]), days.c[f"outcome_{outcomes[0]}"])
    named = [days.c[_COLUMNS.get(name, name)] == filters[name] for name in _ROLLED_UP if name in filters]
    first, last = since_ns // DAY_NS * 86_400, -(-until_ns // DAY_NS) * 86_400
    query = (
        select(
            days.c.day,
            func.sum(days.c.requests),
            func.coalesce(func.sum(fitting).filter(*named) if named else func.sum(fitting), literal(0)),
        )
        .where(days.c.day >= first, days.c.day < last)
        .group_by(days.c.day)
        .order_by(days.c.day.desc())
    )
    return [(int(row[0]) * 10**9, int(row[1]), int(row[2])) for row in connection.execute(query)]


def stretches(found: Iterable[tuple[int, int, int]], since_ns: int, until_ns: int, most: int) -> Iterator[Stretch]:
    """Pieces of the days on which something fits, newest first, each of about `most` events or less: a day with more is
    taken apart evenly. `found`: day, its events, how many can fit; newest first."""
    for day, count, fitting in found:
        if not fitting:
            continue
        parts = max(-(-count // most), 1)
        for at in reversed(range(parts)):
            start = max(day + DAY_NS * at // parts, since_ns)
            end = min(day + DAY_NS * (at + 1) // parts, until_ns)
            if start < end:
                yield Stretch(start, end, -(-count // parts))


def one(engine: Engine, event_id: str) -> ExchangeView | None:
    """The exchange of this id; None: there is none (any more). Blocks. Raises
    `LedgerError`."""
    with reading(engine) as connection:
        row = connection.execute(select(events).where(events.c.id == event_id)).mappings().first()
        return None if row is None else _whole(connection, row)


def called(engine: Engine, request_id: str, since_ns: int, most: int) -> list[ExchangeView]:
    """The exchange of this id; or those received since then to which their clients gave it, newest first.

    Such an id may name several and has no index: the time asked for is looked through. Blocks. Raises `LedgerError`."""
    own = select(events).where(events.c.id == request_id)
    theirs = select(events).where(events.c.request_id == request_id, events.c.received_ns >= since_ns)
    with reading(engine) as connection:
        rows = connection.execute(own).mappings().all()
        if not rows:
            rows = connection.execute(theirs.order_by(events.c.received_ns.desc()).limit(most)).mappings().all()
        return [_whole(connection, row) for row in rows]


def _whole(connection: Connection, row: RowMapping) -> ExchangeView:
    tagged = select(tags.c.name, tags.c.value).where(tags.c.hash == row["tags_hash"]).order_by(tags.c.name)
    pairs = {str(name): str(value) for name, value in connection.execute(tagged)}
    whole: dict[str, object] = {str(name): value for name, value in row.items()}
    return msgspec.convert(
        {
            **{name: value for name, value in whole.items() if name in ExchangeView.__struct_fields__},
            "tags": pairs,
            "meters": {name: whole[name] for name in METERS if whole[name]},
            "attempts": _decoded(str(row["attempts"]), list[Attempt], []),
            "guardrails": _decoded(str(row["guardrails"]), list[GuardrailSummary], []),
            "stages": _decoded(str(row["stages"]), Stages, Stages()),
        },
        ExchangeView,
        from_attributes=True,
    )


def _row(row: RowMapping) -> ExchangeRow:
    return msgspec.convert({str(name): value for name, value in row.items()}, ExchangeRow)


def _decoded(text: str, shape: type[T], otherwise: T) -> T:
    """What was cut off to fit, or written by another release, is left out rather than failing the page."""
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.MsgspecError:
        return otherwise
