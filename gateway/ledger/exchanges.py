"""Single exchanges of the ledger: a page of them at a time, newest first, and one with all that is known of it.

Raw events have one index besides their id: by time. A listing walks it backwards and stops when its page is full, so
that it is quick unless its filters fit hardly anything in a long range. There is no content in the ledger.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from sqlalchemy import ColumnElement, Engine, RowMapping, and_, or_, select

from gateway.facts import Attempt
from gateway.ledger.events import GuardrailSummary, Stages
from gateway.ledger.store import reading
from gateway.ledger.tables import METERS, OUTCOMES, events, tags

FILTERS = ("team", "key", "model", "provider", "operation", "outcome")
_COLUMNS = {"key": "key_id"}
GROUPS = {
    "failed": ("upstream_status", "upstream_error", "upstream_timeout", "interrupted", "error", "shutdown"),
    "wasted": tuple(name for name in OUTCOMES if name != "ok"),
}
"""Names that stand for several outcomes."""


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
) -> Listing:
    """Exchanges received in a range. `filters`: names of `FILTERS`, an outcome may be one of `GROUPS`. Blocks. Raises
    `LedgerError`."""
    where: list[ColumnElement[bool]] = [events.c.received_ns >= since_ns, events.c.received_ns < until_ns]
    for name, value in filters.items():
        column = events.c[_COLUMNS.get(name, name)]
        where.append(column.in_(GROUPS[value]) if name == "outcome" and value in GROUPS else column == value)
    if after is not None:
        earlier = and_(events.c.received_ns == after.received_ns, events.c.id < after.id)
        where += [events.c.received_ns <= after.received_ns, or_(events.c.received_ns < after.received_ns, earlier)]
    names: Sequence[str] = ExchangeRow.__struct_fields__
    query = select(*(events.c[name] for name in names)).where(*where)
    query = query.order_by(events.c.received_ns.desc(), events.c.id.desc()).limit(most + 1)
    with reading(engine) as connection:
        rows = [_row(row) for row in connection.execute(query).mappings()]
    following = Position(rows[most - 1].received_ns, rows[most - 1].id) if len(rows) > most else None
    return Listing(rows[:most], following)


def one(engine: Engine, event_id: str) -> ExchangeView | None:
    """The exchange of this id; None: there is none (any more). Blocks. Raises
    `LedgerError`."""
    with reading(engine) as connection:
        row = connection.execute(select(events).where(events.c.id == event_id)).mappings().first()
        if row is None:
            return None
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
