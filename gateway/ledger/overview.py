"""The cost page's figures, added up by the database from the roll-ups of days: what a page shows, and no more rows.

Sums are those of `spend.report`: the same events, and requests that the gateway refused are left out of `requests`.
Ranges are whole days (UTC); the one that runs is in them as far as it has come.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from operator import attrgetter
from typing import Literal
from typing import cast as typed

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Engine, Select, cast, func, literal, select

from gateway.ledger.posting import HOUR_NS
from gateway.ledger.store import reading
from gateway.ledger.tables import OUTCOMES, WASTED, days, events, rollups, segments

FAILED = ("upstream_status", "upstream_error", "upstream_timeout", "interrupted", "error")
"""Outcomes that are a fault of the provider or the gateway, not of the client."""
ENDS = (*(f"outcome_{name}" for name in OUTCOMES), *(f"cost_{name}" for name in WASTED), "retried_requests")
"""Sums that tell how requests ended, and what those that came to nothing cost."""
Dimension = Literal["team", "model", "provider", "key"]
_COLUMNS = {"key": "key_id"}
FEWEST = 5
"""Requests of a provider in an hour; the 95th percentile of fewer says nothing."""
DAY = 86_400
DAY_NS = DAY * 10**9


class Slice(msgspec.Struct, frozen=True, gc=False):
    """What some names came to. Sums as in `tables.SUMS`; names that are not told apart are empty."""

    day: int
    """Its beginning, seconds since the epoch, UTC; 0: days are not told apart."""
    team: str
    key: str
    model: str
    provider: str
    tagged: bool
    requests: int
    """Without those that the gateway refused."""
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cost_nanos: int
    unpriced_requests: int
    unpriced_tokens: int
    estimated_requests: int


class Daily(msgspec.Struct, frozen=True, gc=False):
    """What some names cost on one day, nano-dollars; names that are not told apart are empty."""

    day: int
    """Its beginning, seconds since the epoch, UTC."""
    team: str
    key: str
    model: str
    provider: str
    cost_nanos: int


class Overview(msgspec.Struct, frozen=True):
    """What a page shows of a range, and when the ledger last took something from a journal (None: never)."""

    daily: list[Daily]
    """By day, team and one more name; from before the range on."""
    slices: list[Slice]
    """The range itself by team, key, model, provider, and whether tagged."""
    ends: dict[str, int]
    """Sums of `ENDS` over the range."""
    loaded_until_ns: int | None


def overview(
    engine: Engine,
    before_ns: int,
    since_ns: int,
    until_ns: int,
    by: Dimension = "team",
    filters: Mapping[Dimension, str] | None = None,
) -> Overview:
    """The days from that of `since_ns` up to, not including, that which begins at or after `until_ns`; `daily` from
    that of `before_ns` on, with `by` told apart. Only what matches `filters`. Blocks. Raises `LedgerError`."""
    before, first, last = before_ns // DAY_NS * DAY, since_ns // DAY_NS * DAY, -(-until_ns // DAY_NS) * DAY
    named = [days.c[_COLUMNS.get(name, name)] == value for name, value in (filters or {}).items()]
    within = [days.c.day >= first, days.c.day < last, *named]
    ended = select(*(_sum(days.c[name]) for name in ENDS)).where(*within)
    with reading(engine) as connection:
        costs = _summed({"day", "team", by}, _DAILY, [_sum(days.c.cost_nanos)])
        costs = costs.where(days.c.day >= before, days.c.day < last, *named)
        daily = [Daily(*typed("tuple[int, str, str, str, str, int]", tuple(row))) for row in connection.execute(costs)]
        sums = [_sum(days.c.requests - days.c.outcome_refused), *(_sum(days.c[name]) for name in _FIGURES)]
        whole = _summed(set(_NAMES) - {"day"}, _NAMES, sums).where(*within)
        slices = [_slice(tuple(row)) for row in connection.execute(whole)]
        found = connection.execute(ended).one()
        loaded = connection.execute(select(func.max(segments.c.updated_ns))).scalar()
    ends = {name: int(value or 0) for name, value in zip(ENDS, found, strict=True)}
    return Overview(daily, slices, ends, loaded)


def _summed(
    by: Set[str], names: Sequence[str], sums: Sequence[ColumnElement[int]]
) -> Select[tuple[int, str, str, str, str, int]]:
    """Sums by the names in `by`; the others are there, and empty."""
    told = {name: days.c[_COLUMNS.get(name, name)] for name in names if name in by}
    chosen = [told.get(name, literal(0 if name in ("day", "tagged") else "").label(name)) for name in names]
    return typed("Select[tuple[int, str, str, str, str, int]]", select(*chosen, *sums).group_by(*told.values()))


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    """A sum that PostgreSQL gives as an integer too, which is ten times as quick to read as its NUMERIC."""
    return cast(func.sum(column), BigInteger)


def _slice(row: tuple[object, ...]) -> Slice:
    day, team, key, model, provider, tagged, *sums = typed("tuple[int, str, str, str, str, int, int]", row)
    return Slice(day, team, key, model, provider, bool(tagged), *sums)


_DAILY = Daily.__struct_fields__[:5]
_NAMES = Slice.__struct_fields__[:6]
_FIGURES = Slice.__struct_fields__[7:]
"""After the requests, which are not a column's own sum."""


class Hour(msgspec.Struct, frozen=True, gc=False):
    """One hour of one provider. `failed`: requests that ended by a fault of the provider or the gateway."""

    hour: int
    """Its beginning, seconds since the epoch, UTC."""
    provider: str
    """Empty: none was reached."""
    requests: int
    failed: int


class Speed(msgspec.Struct, frozen=True, gc=False):
    """How soon answers of one provider began in one hour."""

    hour: int
    """Its beginning, seconds since the epoch, UTC."""
    provider: str
    requests: int
    """That were looked at."""
    p95: float
    """Seconds from the head of a request to the first byte of its answer."""


def hours(engine: Engine, since_ns: int, until_ns: int) -> list[Hour]:
    """Requests and failures per hour and provider, refused ones left out. Blocks. Raises `LedgerError`."""
    first, last = since_ns // HOUR_NS * 3600, -(-until_ns // HOUR_NS) * 3600
    failed = sum((rollups.c[f"outcome_{name}"] for name in FAILED[1:]), rollups.c[f"outcome_{FAILED[0]}"])
    query = (
        select(
            rollups.c.hour,
            rollups.c.provider,
            func.sum(rollups.c.requests - rollups.c.outcome_refused),
            func.sum(failed),
        )
        .where(rollups.c.hour >= first, rollups.c.hour < last)
        .group_by(rollups.c.hour, rollups.c.provider)
    )
    with reading(engine) as connection:
        found = [Hour(int(row[0]), str(row[1]), int(row[2]), int(row[3])) for row in connection.execute(query)]
    return [each for each in found if each.requests]


def first_bytes(engine: Engine, since_ns: int, until_ns: int, most: int = 400) -> list[Speed]:
    """How soon answers began, by hour and provider: of the newest `most` served requests of each hour, for a busy day
    has more of them than a page may read. Hours of fewer than `FEWEST` requests of a provider are left out. Blocks.
    Raises `LedgerError`."""
    found: list[Speed] = []
    with reading(engine) as connection:
        for hour in range(since_ns // HOUR_NS, -(-until_ns // HOUR_NS)):
            query = (
                select(events.c.provider, events.c.first_byte_ns - events.c.received_ns)
                .where(events.c.received_ns >= hour * HOUR_NS, events.c.received_ns < (hour + 1) * HOUR_NS)
                .where(events.c.outcome == "ok", events.c.first_byte_ns.is_not(None))
                .order_by(events.c.received_ns.desc())
                .limit(most)
            )
            taken: dict[str, list[int]] = {}
            for provider, nanos in connection.execute(query):
                taken.setdefault(str(provider), []).append(int(nanos))
            for provider, nanos in sorted(taken.items()):
                if len(nanos) >= FEWEST:
                    nanos.sort()
                    p95 = nanos[min(len(nanos) * 95 // 100, len(nanos) - 1)]
                    found.append(Speed(hour * 3600, provider, len(nanos), p95 / 1e9))
    return found


def total(slices: Iterable[Slice | Daily], name: str) -> int:
    """The sum of one of a slice's figures."""
    return sum(map(attrgetter(name), slices))
