"""The cost page's figures: one pass over the days of a range, by day and by everything a page shows.

Sums are those of `spend.report`: the same events, and requests that the gateway refused are left out of `requests`.
Ranges are whole days (UTC); the one that runs is in them as far as it has come.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Literal, cast

import msgspec
from sqlalchemy import Engine, func, select

from gateway.ledger.posting import HOUR_NS
from gateway.ledger.store import reading
from gateway.ledger.tables import OUTCOMES, WASTED, days, rollups, segments

FAILED = ("upstream_status", "upstream_error", "upstream_timeout", "interrupted", "error")
"""Outcomes that are a fault of the provider or the gateway, not of the client."""
ENDS = (*(f"outcome_{name}" for name in OUTCOMES), *(f"cost_{name}" for name in WASTED), "retried_requests")
"""Sums that tell how requests ended, and what those that came to nothing cost."""
Dimension = Literal["team", "model", "provider", "key"]
_COLUMNS = {"key": "key_id"}
DAY = 86_400
DAY_NS = DAY * 10**9


class Slice(msgspec.Struct, frozen=True, gc=False):
    """What one day, team, key, model and provider came to, tagged and untagged apart. Sums as in `tables.DAY_SUMS`."""

    day: int
    """Its beginning, seconds since the epoch, UTC."""
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


class Overview(msgspec.Struct, frozen=True):
    """A range's slices, how its requests ended, and when the ledger last took something from a journal (None: never)."""

    since_ns: int
    until_ns: int
    slices: list[Slice]
    ends: dict[str, int]
    """Sums of `ENDS` over what was asked to be counted."""
    loaded_until_ns: int | None


def overview(
    engine: Engine,
    since_ns: int,
    until_ns: int,
    ends_since_ns: int | None = None,
    filters: Mapping[Dimension, str] | None = None,
) -> Overview:
    """The days from that of `since_ns` up to, not including, that which begins at or after `until_ns`. `ends` are of
    those from `ends_since_ns` on (default: all) that match `filters`. Blocks. Raises `LedgerError`."""
    first, last = since_ns // DAY_NS * DAY, -(-until_ns // DAY_NS) * DAY
    names = [days.c[name] for name in ("day", "team", "key_id", "model", "provider", "tagged")]
    sums = [days.c.requests - days.c.outcome_refused, *(days.c[name] for name in Slice.__struct_fields__[7:])]
    query = select(*names, *sums).where(days.c.day >= first, days.c.day < last)
    since = first if ends_since_ns is None else ends_since_ns // DAY_NS * DAY
    ended = select(*(func.sum(days.c[name]) for name in ENDS)).where(days.c.day >= since, days.c.day < last)
    ended = ended.where(*(days.c[_COLUMNS.get(name, name)] == value for name, value in (filters or {}).items()))
    with reading(engine) as connection:
        slices = [_slice(tuple(row)) for row in connection.execute(query)]
        found = connection.execute(ended).one()
        loaded = connection.execute(select(func.max(segments.c.updated_ns))).scalar()
    ends = {name: int(value or 0) for name, value in zip(ENDS, found, strict=True)}
    return Overview(since_ns, until_ns, slices, ends, loaded)


def _slice(row: tuple[object, ...]) -> Slice:
    day, team, key, model, provider, tagged, *sums = cast("tuple[int, str, str, str, str, int, int]", row)
    return Slice(day, team, key, model, provider, bool(tagged), *sums)


class Hour(msgspec.Struct, frozen=True, gc=False):
    """One hour of one provider. `failed`: requests that ended by a fault of the provider or the gateway."""

    hour: int
    """Its beginning, seconds since the epoch, UTC."""
    provider: str
    """Empty: none was reached."""
    requests: int
    failed: int


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


def total(slices: Iterable[Slice], name: str) -> int:
    """The sum of one of a slice's figures."""
    return sum(map(attrgetter(name), slices))
