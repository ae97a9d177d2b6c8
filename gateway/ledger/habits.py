"""How keys use models, from the newest raw events: what savings are made of.

It reads at most about `LOOKED_AT` events, the newest ones, in one pass, and lets the database add them up by team, key,
model and provider. What holds of them is scaled to a month by what the same key spent with the same model in 30 days,
which roll-ups know.
"""

from collections.abc import Sequence
from typing import cast as typed

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, and_, case, cast, func, literal_column, or_, select

from gateway.ledger.overview import DAY, DAY_NS
from gateway.ledger.tables import days, events, keys, rollups
from pricing.usage import Usage

LOOKED_AT = 300_000
SHORT = 200
"""Output tokens of an answer that is short."""
LONG_PROMPT = 2048
"""Input tokens from which caching a prompt's beginning is worth a look; providers cache from 1,024 on."""
URGENT = ("priority", "fast")
"""Service tiers that cost more for being quick."""
MONTH = 30
"""Days that make a month here."""
SOON_NS = 10 * 10**9
"""Within this, a request with as many input tokens as the one before it may be the same again."""
_METERS = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens")
_GROUP = ("team", "key_id", "model", "provider")


class Part(msgspec.Struct, frozen=True):
    """Some of a group's requests: tokens together, and what they cost, nano-dollars."""

    usage: Usage
    nanos: int


class Habit(msgspec.Struct, frozen=True, kw_only=True):
    """What one key did with one model, in the events looked at."""

    team: str
    key: str
    model: str
    provider: str
    requests: int
    nanos: int
    streams: int
    month_nanos: int
    """What it spent with it in `MONTH` days, or in as many as there are, made into as many."""
    short: Part
    """Good answers of at most `SHORT` tokens."""
    unhurried: Part
    """Good answers that were not streamed, in no urgent tier."""
    urgent: Part
    """Good answers in an urgent tier that were not streamed."""
    long: Part
    """Requests with `LONG_PROMPT` input tokens or more of which nothing was read from a cache."""
    least_input: int
    """Fewest input tokens of any of these; 0: there are none."""
    pairs: int
    """Requests that came within `SOON_NS` after another one of the same key and model, with as many tokens or not."""
    same: int
    """Those of them that had as many input tokens as it."""
    same_nanos: int
    by_chance: float
    """How large a part would have as many tokens if sizes came at random, as often as they do."""


class Idle(msgspec.Struct, frozen=True):
    """A stored key that still works and was not used for `MONTH` days."""

    key: str
    team: str
    created_ns: int


def window(connection: Connection, now_ns: int, most: int = LOOKED_AT) -> int:
    """From when on events are looked at: as many whole days back as hold at most `most`, or the part of today that
    does."""
    query = select(days.c.day, func.sum(days.c.requests)).where(days.c.day > now_ns // 10**9 - MONTH * DAY)
    since, left = now_ns, most
    for day, count in connection.execute(query.group_by(days.c.day).order_by(days.c.day.desc())):
        start, count = int(day) * 10**9, int(count)
        end = min(start + DAY_NS, now_ns)
        if count > left:
            return max(start, end - (end - start) * left // count) if since > start else since
        since, left = start, left - count
    return since


def habits(connection: Connection, since_ns: int, now_ns: int) -> list[Habit]:
    """Of all events received since `since_ns`, dearest first. Reads in the caller's transaction."""
    ok = and_(events.c.outcome == "ok", ~events.c.unpriced)
    urgent = events.c.service_tier.in_(URGENT)
    long = and_(ok, events.c.input_tokens >= LONG_PROMPT, events.c.cache_read_tokens == 0)
    parts = {
        "short": and_(ok, events.c.output_tokens.between(1, SHORT)),
        "unhurried": and_(ok, ~events.c.stream, ~urgent),
        "urgent": and_(ok, ~events.c.stream, urgent),
        "long": long,
    }
    chosen: list[ColumnElement[int]] = [
        _sum(literal_column("1", BigInteger)),
        _sum(func.coalesce(events.c.cost_nanos, 0)),
        _sum(case((events.c.stream, 1), else_=0)),
        func.coalesce(func.min(case((long, events.c.input_tokens))), 0),
    ]
    for condition in parts.values():
        chosen += [
            _sum(case((condition, 1), else_=0)),
            _sum(case((condition, func.coalesce(events.c.cost_nanos, 0)), else_=0)),
            *(_sum(case((condition, events.c[name]), else_=0)) for name in _METERS),
        ]
    group = [events.c[name] for name in _GROUP]
    query = select(*group, *chosen).where(events.c.received_ns >= since_ns, events.c.outcome != "refused")
    months, again = _months(connection, now_ns), _again(connection, since_ns)
    found: list[Habit] = []
    for found_row in connection.execute(query.group_by(*group)):
        row = typed("tuple[object, ...]", tuple(found_row))
        team, key, model, provider = names = str(row[0]), str(row[1]), str(row[2]), str(row[3])
        sums = [int(str(value or 0)) for value in row[4:]]
        of = {name: _part(sums[at : at + 7]) for name, at in zip(parts, range(4, 32, 7), strict=True)}
        pairs, same, same_nanos, chance = again.get((key, model), (0, 0, 0, 0.0))
        found.append(
            Habit(
                team=team, key=key, model=model, provider=provider, requests=sums[0], nanos=sums[1], streams=sums[2],
                least_input=sums[3], month_nanos=months.get(names, sums[1]), pairs=pairs, same=same,
                same_nanos=same_nanos, by_chance=chance, **of,
            )
        )  # fmt: skip
    return sorted(found, key=lambda each: (-each.month_nanos, each.team, each.key, each.model, each.provider))


def busiest_hours(connection: Connection, key: str, model: str, now_ns: int, count: int) -> tuple[int, int, list[int]]:
    """Of a key's requests to a model in a week: all, those in its `count` busiest hours of the day, and which (UTC)."""
    hour = rollups.c.hour % DAY // 3600
    query = select(hour, _sum(rollups.c.requests - rollups.c.outcome_refused)).where(
        rollups.c.hour >= now_ns // 10**9 - 7 * DAY, rollups.c.key_id == key, rollups.c.model == model
    )
    found = sorted(((int(n), int(h)) for h, n in connection.execute(query.group_by(hour))), reverse=True)
    return (
        sum(n for n, _ in found),
        sum(n for n, _ in found[:count]),
        sorted(h for n, h in found[:count] if n),
    )


def samples(connection: Connection, since_ns: int, *where: ColumnElement[bool]) -> list[str]:
    """Ids of up to three of the newest exchanges that fit."""
    query = select(events.c.id).where(events.c.received_ns >= since_ns, *where)
    return [str(id_) for id_ in connection.execute(query.order_by(events.c.received_ns.desc()).limit(3)).scalars()]


def idle_keys(connection: Connection, now_ns: int) -> list[Idle]:
    """Stored keys, older than a month, that work and were not used in it."""
    since = now_ns // 10**9 // DAY * DAY - MONTH * DAY
    used = select(days.c.key_id).where(days.c.day >= since).distinct()
    query = select(keys.c.id, keys.c.team, keys.c.created_ns).where(
        keys.c.revoked_ns.is_(None),
        keys.c.created_ns < now_ns - MONTH * DAY_NS,
        or_(keys.c.expires_ns.is_(None), keys.c.expires_ns > now_ns),
        or_(keys.c.overlap_until_ns.is_(None), keys.c.overlap_until_ns > now_ns),
        keys.c.id.not_in(used),
    )
    return [Idle(str(row[0]), str(row[1]), int(row[2])) for row in connection.execute(query.order_by(keys.c.id))]


def covered_days(connection: Connection, now_ns: int) -> int:
    """How many days of the last `MONTH` the ledger knows, today included; at least 1."""
    today = now_ns // 10**9 // DAY * DAY
    first = connection.execute(select(func.min(days.c.day)).where(days.c.day > today - MONTH * DAY)).scalar()
    return 1 if first is None else max((today - int(first)) // DAY + 1, 1)


def _months(connection: Connection, now_ns: int) -> dict[tuple[str, str, str, str], int]:
    today = now_ns // 10**9 // DAY * DAY
    group = [days.c[name] for name in _GROUP]
    query = select(*group, _sum(days.c.cost_nanos)).where(days.c.day > today - MONTH * DAY).group_by(*group)
    scale = covered_days(connection, now_ns)
    rows = [typed("tuple[str, str, str, str, int]", tuple(row)) for row in connection.execute(query)]
    return {(team, key, model, provider): nanos * MONTH // scale for team, key, model, provider, nanos in rows}


def _again(connection: Connection, since_ns: int) -> dict[tuple[str, str], tuple[int, int, int, float]]:
    """By key and model: pairs, pairs of the same size, what the later ones cost, and how many chance would make."""
    within = events.c.received_ns >= since_ns, events.c.outcome == "ok", events.c.input_tokens >= SHORT
    each = events.c.key_id, events.c.model
    before = func.lag(events.c.received_ns).over(partition_by=each, order_by=events.c.received_ns)
    size = func.lag(events.c.input_tokens).over(partition_by=each, order_by=events.c.received_ns)
    inner = select(
        events.c.key_id, events.c.model, (events.c.received_ns - before).label("gap"),
        (events.c.input_tokens == size).label("same"), func.coalesce(events.c.cost_nanos, 0).label("nanos"),
    ).where(*within).subquery()  # fmt: skip
    soon = inner.c.gap < SOON_NS
    told = select(
        inner.c.key_id, inner.c.model, _sum(case((soon, 1), else_=0)),
        _sum(case((and_(soon, inner.c.same), 1), else_=0)),
        _sum(case((and_(soon, inner.c.same), inner.c.nanos), else_=0)),
    ).group_by(inner.c.key_id, inner.c.model)  # fmt: skip
    sizes = (
        select(events.c.key_id, events.c.model, func.count().label("n"))
        .where(*within)
        .group_by(events.c.key_id, events.c.model, events.c.input_tokens)
        .subquery()
    )
    squares = select(sizes.c.key_id, sizes.c.model, _sum(sizes.c.n * sizes.c.n), _sum(sizes.c.n))
    chance = {
        (str(row[0]), str(row[1])): int(row[2]) / max(int(row[3]), 1) ** 2
        for row in connection.execute(squares.group_by(sizes.c.key_id, sizes.c.model))
    }
    return {
        (str(row[0]), str(row[1])): (int(row[2]), int(row[3]), int(row[4]), chance.get((str(row[0]), str(row[1])), 1.0))
        for row in connection.execute(told)
    }


def _part(sums: Sequence[int]) -> Part:
    count, nanos, *meters = sums
    return Part(Usage(requests=count, **dict(zip(_METERS, meters, strict=True))), nanos)


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.sum(column), BigInteger)
