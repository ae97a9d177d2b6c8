"""Charges: the ledger taken apart by charge period, team, key, model, provider, set of tags and meter.

Roll-ups hold one cost and the sums of all meters, so each group's cost is shared out over its meters by the price card
that it was booked at (`pricing.apportion`). The charges of a range add up to `spend.report` of that range to the
nano-dollar. Groups come from one ordered query and are never held together, so that a year of them needs no memory.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Literal, cast

import msgspec
from sqlalchemy import Connection, Engine, FromClause, Row, Select, func, select, union_all

from gateway.clock import SystemClock
from gateway.errors import LedgerError
from gateway.ledger.spend import Filters, covered, matching, sources
from gateway.ledger.store import counter, reading
from gateway.ledger.tables import METERS, tags
from gateway.seams import Clock
from pricing.apportion import Apportioned, apportion
from pricing.card import RateCard
from pricing.rates import Meter
from pricing.usage import Usage

Period = Literal["hour", "day"]
PERIODS: tuple[Period, ...] = ("hour", "day")
_STEPS: Mapping[Period, int] = {"hour": 3600, "day": 86_400}
_DIMENSIONS = ("team", "key_id", "model", "provider", "tags_hash")
_SUMS = ("requests", *METERS, "usage_millis", "cost_nanos", "unpriced_requests", "estimated_requests")
_AT_ONCE = 2000

Cards = Callable[[str, str], RateCard | None]
"""The price card of a provider (as the configuration names it) and its model; None: no price is known."""


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What one meter came to in one period, for everything that a row is told apart by."""

    start_ns: int
    """Nanoseconds since the epoch; a period that the range cuts begins or ends with the range."""
    end_ns: int
    team: str
    key: str
    model: str
    provider: str
    tags: Mapping[str, str]
    meter: str
    """Of `pricing.rates.Meter`, or `pricing.apportion.WHOLE`."""
    quantity: int | Decimal
    nanos: int
    usd: Fraction | None
    """Per unit, as booked; None: not known."""
    list_usd: Fraction | None
    """Per unit, by the public price list, for the same tier and size; None: not in it."""
    tier: str
    """Service tier whose rates these are; empty: standard, or not known."""
    basis: str
    """rates, apportioned, unsplit (as in `pricing.apportion`), or unpriced: part of it has no known price."""
    publisher: str
    """Who makes the model, by the price list; empty: not known."""
    requests: int
    """Of the whole group; told by the first of its charges alone, so that they add up."""
    unpriced_requests: int
    estimated_requests: int


def charges(
    engine: Engine,
    since_ns: int,
    until_ns: int,
    cards: Cards,
    listed: Cards,
    period: Period = "day",
    filters: Filters | None = None,
    clock: Clock | None = None,
) -> Iterator[Charge]:
    """The charges of a range, in the order of time. `cards` has the prices in force, `listed` the public ones. Blocks
    while it is read, in one transaction. Raises `LedgerError`."""
    if since_ns >= until_ns:
        raise LedgerError("the range is empty: `since` must be before `until`")
    now_ns = (clock or SystemClock()).now_ns()
    with reading(engine) as connection:
        since_ns, until_ns, last_ns = covered(since_ns, until_ns, counter(connection, "pruned_before_ns"), now_ns)
        known = _tags(connection)
        query = _groups(sources(since_ns, last_ns), _STEPS[period], filters or Filters())
        for row in connection.execution_options(yield_per=_AT_ONCE).execute(query):
            start, step = int(str(row[0])) * 10**9, _STEPS[period] * 10**9
            within = max(start, since_ns), min(start + step, until_ns)
            yield from _of(row, within, known, cards, listed)


def _groups(found: list[FromClause], step: int, filters: Filters) -> Select[tuple[int, str, str, str, str, str]]:
    columns = ("hour", *_DIMENSIONS, *_SUMS, "outcome_refused")
    every = union_all(
        *(select(*(each.c[name] for name in columns)).where(*matching(each, filters)) for each in found)
    ).subquery()
    start = every.c.hour // step * step
    names = [every.c[name] for name in _DIMENSIONS]
    sums = [func.sum(every.c[name]) for name in _SUMS]
    chosen = select(start, *names, func.sum(every.c.outcome_refused), *sums).group_by(start, *names)
    return cast("Select[tuple[int, str, str, str, str, str]]", chosen.order_by(start, *names))


def _tags(connection: Connection) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {"": {}}
    for name, tag, value in connection.execute(select(tags.c.hash, tags.c.name, tags.c.value).order_by(tags.c.name)):
        found.setdefault(str(name), {})[str(tag)] = str(value)
    return found


def _of(
    row: Row[tuple[int, str, str, str, str, str]],
    within: tuple[int, int],
    known: Mapping[str, Mapping[str, str]],
    cards: Cards,
    listed: Cards,
) -> Iterator[Charge]:
    """The charges of one group."""
    values = cast("tuple[object, ...]", tuple(row))
    team, key, model, provider, tags_hash = map(str, values[1:6])
    sums = {name: int(str(value or 0)) for name, value in zip(_SUMS, values[7:], strict=True)}
    requests = sums["requests"] - int(str(values[6] or 0))
    if not (requests or sums["cost_nanos"] or sums["unpriced_requests"]):
        return
    usage = Usage(**{name: sums[name] for name in METERS}, requests=requests, seconds=sums["usage_millis"] / 1000)
    found = apportion(cards(provider, model), usage, sums["cost_nanos"], within[0])
    public = listed(provider, model)
    prices: Mapping[Meter, Fraction] = (
        {} if public is None else public.leaves(found.tier or None, within[0], found.input_tokens)
    )
    for at, part in enumerate(found.parts):
        yield Charge(
            start_ns=within[0],
            end_ns=within[1],
            team=team,
            key=key,
            model=model,
            provider=provider,
            tags=known.get(tags_hash, {}),
            meter=part.meter,
            quantity=part.quantity,
            nanos=part.nanos,
            usd=part.usd,
            list_usd=cast("Mapping[str, Fraction]", prices).get(part.meter),
            tier=found.tier,
            basis=_basis(found, sums["unpriced_requests"]),
            publisher="" if public is None else public.provider,
            requests=0 if at else requests,
            unpriced_requests=0 if at else sums["unpriced_requests"],
            estimated_requests=0 if at else sums["estimated_requests"],
        )


def _basis(found: Apportioned, unpriced: int) -> str:
    return "unpriced" if unpriced else found.basis
