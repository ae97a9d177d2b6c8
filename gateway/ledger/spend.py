"""Spend reports: requests, tokens and cost by any dimension over any range, from roll-ups.

A range is half open, `since <= received < until`. Whole hours in it come from roll-ups; of whole days, from those of
days, where no hour, operation or tag is asked for, which only roll-ups of hours tell. A part of an hour at either
edge comes from that hour's raw events; where those are pruned, the edge hour is taken whole from the roll-ups, and the
report's `since` and `until` say so. So at most two hours of raw events are read, and none for the hour that is running.
Both are read in one transaction and agree with each other.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Select,
    and_,
    case,
    func,
    literal,
    select,
)

from gateway.clock import SystemClock
from gateway.errors import LedgerError
from gateway.ledger.posting import DAY_NS, HOUR_NS, MORE_TRIES
from gateway.ledger.store import counter, reading
from gateway.ledger.tables import DIMENSIONS, METERS, OUTCOMES, SUMS, WASTED, days, events, rollups, segments, tags
from gateway.seams import Clock

GROUPS = ("team", "key", "model", "provider", "operation", "hour", "day", "month")
"""What a report may be grouped by, beside `tag:NAME`."""

_COLUMNS = {"team": "team", "key": "key_id", "model": "model", "provider": "provider", "operation": "operation"}
_TIMES = ("hour", "day", "month")
_DAY_NAMES = ("team", "key_id", "model", "provider")
_OF_DAYS = frozenset(("team", "key", "model", "provider", "day", "month"))
"""What roll-ups of days can be grouped by."""
MOST_NAMES = 20


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Only exchanges that match every given filter; within one filter any of its values. Empty: all."""

    team: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    operation: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    """Pairs of name and value; all of them must be there."""


class SpendRow(msgspec.Struct, frozen=True):
    """One group: its names, and every sum of `tables.SUMS`."""

    names: dict[str, str]
    sums: dict[str, int]

    @property
    def cost_usd(self) -> str:
        return usd(self.sums["cost_nanos"])


class Waste(msgspec.Struct, frozen=True):
    """Requests of one outcome that came to nothing, and what they cost, nano-dollars."""

    outcome: str
    requests: int
    nanos: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A finished report. `since_ns` and `until_ns` are the range it truly covers."""

    since_ns: int
    until_ns: int
    by: tuple[str, ...]
    rows: list[SpendRow]
    total: dict[str, int]
    unpriced_models: list[str]
    """Models whose requests have no price (at most 20 names); their cost is in no total."""
    loaded_until_ns: int | None
    """When the ledger last took something from a journal; None: never."""


def wasted(sums: Mapping[str, int]) -> list[Waste]:
    """What went to nothing in some sums, dearest first; outcomes without a request left out."""
    found = [Waste(name, sums[f"outcome_{name}"], sums[f"cost_{name}"]) for name in WASTED]
    return sorted((each for each in found if each.requests), key=lambda each: (-each.nanos, -each.requests))


def usd(nanos: int) -> str:
    """Nano-dollars as a decimal string in USD with nine places, exact: 5_615_000 → `0.005615000`."""
    sign = "-" if nanos < 0 else ""
    return f"{sign}{abs(nanos) // 10**9}.{abs(nanos) % 10**9:09d}"


def usd_decimal(nanos: int) -> Decimal:
    return Decimal(nanos).scaleb(-9)


def iso(ns: int) -> str:
    """RFC 3339 in UTC, with as many digits as the time needs."""
    seconds, rest = divmod(ns, 10**9)
    text = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
    return text + (f".{rest:09d}".rstrip("0") if rest else "") + "Z"


def check_groups(by: Sequence[str]) -> tuple[str, ...]:
    """`by` without repetitions. Raises `LedgerError` naming what is allowed."""
    for name in by:
        if name not in GROUPS and not (name.startswith("tag:") and len(name) > 4):
            raise LedgerError(f"cannot group by {name!r}; allowed are {', '.join(GROUPS)} and tag:NAME")
    return tuple(dict.fromkeys(by))


def report(
    engine: Engine,
    by: Sequence[str],
    since_ns: int,
    until_ns: int,
    filters: Filters | None = None,
    clock: Clock | None = None,
) -> Report:
    """Sum the ledger from `since_ns` up to `until_ns` (nanoseconds since the epoch), grouped by `by`.

    Rows are ordered by time if grouped by time, then by cost, highest first. Raises `LedgerError` for an unknown
    group, an empty range, or when the database is away.
    """
    groups = check_groups(by)
    if since_ns >= until_ns:
        raise LedgerError("the range is empty: `since` must be before `until`")
    filters = filters or Filters()
    now_ns = (clock or SystemClock()).now_ns()
    totals: dict[tuple[str, ...], dict[str, int]] = {}
    unpriced: set[str] = set()
    with reading(engine) as connection:
        pruned_before = counter(connection, "pruned_before_ns")
        since_ns, until_ns, last_ns = covered(since_ns, until_ns, pruned_before, now_ns)
        by_day = _daily(groups, filters)
        if by_day and until_ns >= now_ns:  # the running day may come from its roll-up, as the running hour may
            last_ns = _day_after(last_ns)
        for source in sources(since_ns, last_ns, by_day=by_day):
            _add(connection, source, groups, filters, totals)
            unpriced.update(row.model for row in connection.execute(_unpriced(source, filters)))
        loaded_until = connection.execute(select(func.max(segments.c.updated_ns))).scalar()
    # Requests the gateway refused reached no provider and cost nothing: a total counts them apart, rows leave them out.
    for sums in totals.values():
        sums["requests"] -= sums["outcome_refused"]
    total = {name: sum(sums[name] for sums in totals.values()) for name in SUMS}
    rows = [
        SpendRow(dict(zip(groups, names, strict=True)), sums)
        for names, sums in totals.items()
        if sums["requests"] or sums["cost_nanos"] or not groups
    ]
    rows.sort(key=_order)
    names = sorted(unpriced)[:MOST_NAMES]
    return Report(
        since_ns=since_ns,
        until_ns=until_ns,
        by=groups,
        rows=rows,
        total=total,
        unpriced_models=names,
        loaded_until_ns=loaded_until,
    )


def covered(since_ns: int, until_ns: int, pruned_before: int, now_ns: int) -> tuple[int, int, int]:
    """The range that can be told: an edge is widened to its whole hour where that hour's raw events are gone. And up to
    where it is read: nothing was received in the future, so the running hour may come from its roll-up."""
    if since_ns < pruned_before:
        since_ns = since_ns // HOUR_NS * HOUR_NS
    if until_ns < pruned_before:
        until_ns = _hour_after(until_ns)
    return since_ns, until_ns, until_ns if until_ns < now_ns else _hour_after(until_ns)


def _hour_after(ns: int) -> int:
    return -(-ns // HOUR_NS) * HOUR_NS


def _day_after(ns: int) -> int:
    return -(-ns // DAY_NS) * DAY_NS


def _daily(groups: Sequence[str], filters: Filters) -> bool:
    """Whether roll-ups of days tell all that is asked."""
    return _OF_DAYS.issuperset(groups) and not filters.operation and not filters.tags


def sources(since_ns: int, until_ns: int, *, by_day: bool = False) -> list[FromClause]:
    """Tables of the same shape that together hold the range: roll-ups for whole hours, raw events for the rest.
    `by_day`: roll-ups of days for whole days (UTC), which have no operation and no tags, and their day for `hour`."""
    first = _hour_after(since_ns)
    last = until_ns // HOUR_NS * HOUR_NS
    if first > last:
        return [_raw(events.c.received_ns >= since_ns, events.c.received_ns < until_ns)]
    sources: list[FromClause] = []
    whole_hours = [(first, last)]
    day, day_after = _day_after(first), last // DAY_NS * DAY_NS
    if by_day and day < day_after:
        sources.append(_days(days.c.day >= day // 10**9, days.c.day < day_after // 10**9))
        whole_hours = [(first, day), (day_after, last)]
    for start, end in whole_hours:
        if start < end:
            hours = and_(rollups.c.hour >= start // 10**9, rollups.c.hour < end // 10**9)
            sources.append(select(rollups).where(hours).subquery())
    for start, end in ((since_ns, first), (last, until_ns)):
        if start < end:
            sources.append(_raw(events.c.received_ns >= start, events.c.received_ns < end))
    return sources


def _days(*where: ColumnElement[bool]) -> FromClause:
    """Roll-ups of days in the shape of those of hours, as far as they have it."""
    return select(days.c.day.label("hour"), *(days.c[name] for name in (*_DAY_NAMES, *SUMS))).where(*where).subquery()


def _raw(*where: ColumnElement[bool]) -> FromClause:
    """Raw events in the shape of roll-ups."""
    one = {
        "requests": literal(1),
        "cost_nanos": func.coalesce(events.c.cost_nanos, 0),
        "usage_millis": events.c.usage_millis,
        "unpriced_requests": case((events.c.unpriced, 1), else_=0),
        "estimated_requests": case((events.c.estimated, 1), else_=0),
        **{name: events.c[name] for name in METERS},
        **{f"outcome_{name}": case((events.c.outcome == name, 1), else_=0) for name in OUTCOMES},
        **{
            f"cost_{name}": case((events.c.outcome == name, func.coalesce(events.c.cost_nanos, 0)), else_=0)
            for name in WASTED
        },
        "unpriced_tokens": case((events.c.unpriced, events.c.input_tokens + events.c.output_tokens), else_=0),
        "retried_requests": case((events.c.attempts.contains(MORE_TRIES), 1), else_=0),
    }
    return (
        select(
            (events.c.received_ns // HOUR_NS * 3600).label("hour"),
            *(events.c[name] for name in DIMENSIONS),
            *(one[name].label(name) for name in SUMS),
        )
        .where(*where)
        .subquery()
    )


def _add(
    connection: Connection,
    source: FromClause,
    groups: tuple[str, ...],
    filters: Filters,
    totals: dict[tuple[str, ...], dict[str, int]],
) -> None:
    chosen: list[ColumnElement[str] | ColumnElement[int]] = []
    origin = source
    for group in groups:
        if group in _COLUMNS:
            chosen.append(source.c[_COLUMNS[group]])
        elif group in _TIMES:
            # Months are added up from days here: no SQL of both databases knows their length.
            step = 3600 if group == "hour" else 86_400
            chosen.append(source.c.hour // step * step)
        else:
            tag = tags.alias()
            origin = origin.outerjoin(tag, and_(tag.c.hash == source.c.tags_hash, tag.c.name == group[4:]))
            chosen.append(func.coalesce(tag.c.value, ""))
    sums = [func.sum(source.c[name]) for name in SUMS]
    query: Select[tuple[object, ...]] = select(*chosen, *sums).select_from(origin).where(*matching(source, filters))
    for found in connection.execute(query.group_by(*chosen)):
        values = cast(tuple[object, ...], tuple(found))
        names = tuple(_name(group, value) for group, value in zip(groups, values, strict=False))
        total = totals.setdefault(names, dict.fromkeys(SUMS, 0))
        for name, value in zip(SUMS, values[len(groups) :], strict=True):
            # Without groups an empty source gives one row of NULLs; PostgreSQL sums to Decimal.
            total[name] += int(str(value or 0))


def matching(source: FromClause, filters: Filters) -> list[ColumnElement[bool]]:
    """The conditions of some filters on a table of the shape of roll-ups."""
    wanted: Mapping[str, tuple[str, ...]] = {
        "team": filters.team,
        "key_id": filters.key,
        "model": filters.model,
        "provider": filters.provider,
        "operation": filters.operation,
    }
    where: list[ColumnElement[bool]] = [source.c[name].in_(values) for name, values in wanted.items() if values]
    for name, value in filters.tags:
        having = select(tags.c.hash).where(tags.c.name == name, tags.c.value == value)
        where.append(source.c.tags_hash.in_(having))
    return where


def _unpriced(source: FromClause, filters: Filters) -> Select[tuple[str]]:
    return (
        select(source.c.model)
        .where(source.c.unpriced_requests > 0)
        .where(*matching(source, filters))
        .distinct()
        .order_by(source.c.model)
        .limit(MOST_NAMES)
    )


def _name(group: str, value: object) -> str:
    if group not in _TIMES:
        return str(value)
    moment = datetime.fromtimestamp(int(str(value)), UTC)
    return moment.strftime({"hour": "%Y-%m-%dT%H:00Z", "day": "%Y-%m-%d", "month": "%Y-%m"}[group])


def _order(row: SpendRow) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    times = tuple(row.names[group] for group in _TIMES if group in row.names)
    return times, -row.sums["cost_nanos"], tuple(row.names.values())
