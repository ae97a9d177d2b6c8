"""Cost: what was spent, by whom, on what, against which budget, and what the month will come to."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response

from gateway.admin.access import Conflict
from gateway.admin.endpoint import read_ledger
from gateway.admin.spend import show_spend
from gateway.admin.world import AdminWorld
from gateway.budgets import running
from gateway.console import charts, wording
from gateway.console.costing import (
    DIMENSIONS,
    Dimension,
    Forecast,
    Line,
    Rates,
    forecast,
    line,
    lines,
    saving,
    series,
    wasted,
)
from gateway.console.ranges import NAMES, Range, days_of, range_of
from gateway.console.visit import Visit
from gateway.errors import BadRequest
from gateway.ledger.overview import DAY_NS, Daily, Overview, overview, total
from gateway.quota import Bound, Calendar, Level, Scope
from gateway.settings.snapshot import Snapshot

TREND: tuple[Dimension, ...] = ("team", "model", "provider")
MOST_LINES = 12
"""Rows of a table before the rest is added up."""
MOST_OF_ALL = 2000
"""The same where all were asked for: a page stays one that a browser shows at once."""
_TITLES = {"month": "This month", "last-month": "Last month", "7d": "7 days", "30d": "30 days", "90d": "90 days"}


class Budget(msgspec.Struct, frozen=True):
    """One budget as it stands in its own window, nano-dollars."""

    name: str
    team: str | None
    """Of the team as a whole; None: of something else."""
    limit: int
    used: int
    reserved: int
    unit: str
    """The window: day, week, month."""
    ends_ns: int
    soft: int | None

    @property
    def state(self) -> str:
        taken = self.used + self.reserved
        if taken >= self.limit:
            return "exhausted"
        return "soft" if self.soft is not None and taken >= self.soft else "ok"


async def show(visit: Visit) -> Response:
    """The page. One read of the ledger's days answers all of it."""
    snapshot = visit.world.configuration.snapshot
    query = visit.request.query_params
    shown = range_of(query.get("range", "month"), visit.world.clock.now_ns())
    by = query.get("by", "team")
    if by not in TREND:
        raise BadRequest(f"by: allowed are {', '.join(TREND)}.", param="by")
    filters = filters_of(query)
    most = MOST_OF_ALL if query.get("all") else MOST_LINES
    budgets = await budgets_of(visit.world)
    # From where the comparison, or what the forecast looks at, begins.
    found = await read_ledger(
        ledger_url(snapshot),
        lambda engine: overview(engine, shown.before_ns, shown.since_ns, shown.until_ns, by, filters),
    )
    context = await asyncio.to_thread(_context, visit.world, found, shown, by, filters, budgets, most)
    return await visit.page("cost.html", context)


async def export(visit: Visit) -> Response:
    """The report behind the page, as `/admin/v1/spend` gives it."""
    return await show_spend(visit)


def ledger_url(snapshot: Snapshot) -> str:
    """Raises `Conflict` when the gateway keeps no ledger."""
    if snapshot.ledger is None:
        raise Conflict("This gateway keeps no ledger (ledger: off), so that it knows no cost.", code="ledger_off")
    return snapshot.ledger.url


def filters_of(query: QueryParams) -> dict[Dimension, str]:
    """What the page is narrowed to, by the names in its address."""
    return {dimension: query[dimension] for dimension in DIMENSIONS if dimension in query}


async def budgets_of(world: AdminWorld) -> list[Budget]:
    """Budgets of calendar windows that can be listed, from the counters that decide; fullest first."""
    program = world.configuration.snapshot.limits
    if program is None:
        return []
    now_ns = world.clock.now_ns()
    bounds = [bound for bound in program.known() if bound.rule.budget and running(bound, now_ns) is not None]
    levels = await world.limits.levels(bounds)
    found = [_budget(bound, level, now_ns) for bound, level in zip(bounds, levels, strict=True)]
    return sorted(found, key=lambda each: (-Decimal(each.used) / (each.limit or 1), each.name))


def _budget(bound: Bound, level: Level, now_ns: int) -> Budget:
    window, calendar = running(bound, now_ns), bound.rule.window
    scope = bound.scope
    whole = len(scope.team) == 1 and scope == Scope(team=scope.team)
    return Budget(
        name=bound.key,
        team=scope.team[0] if whole else None,
        limit=bound.rule.amount,
        used=level.used,
        reserved=level.reserved,
        unit=calendar.unit if isinstance(calendar, Calendar) else "",
        ends_ns=0 if window is None else window.end_ns,
        soft=bound.rule.soft,
    )


def _context(
    world: AdminWorld,
    found: Overview,
    shown: Range,
    by: Dimension,
    filters: Mapping[Dimension, str],
    budgets: list[Budget],
    most: int,
) -> dict[str, object]:
    now_ns = world.clock.now_ns()
    every, current = found.daily, found.slices
    # The day that is compared is taken whole; the page says "the same days".
    until = -(-shown.before_until_ns // DAY_NS) * DAY_NS // 10**9
    earlier = total(
        [each for each in every if shown.before_ns // 10**9 <= each.day < min(until, shown.first)], "cost_nanos"
    )
    whole = line("", current)
    days = days_of(shown)
    words = [wording.day(day * 10**9) for day in days]
    monthly = shown.name == "month"
    teams, of_teams = _shortened(lines(current, "team"), most), _of_teams(budgets) if monthly else {}
    others = _others(budgets, {of_teams[each.name].name for each in teams.lines if each.name in of_teams}, filters)
    untagged = total([each for each in current if not each.tagged], "cost_nanos")
    return {
        "range": shown,
        "ranges": [(name, _TITLES[name]) for name in NAMES],
        "filters": filters,
        "by": by,
        "trends": TREND,
        "link": Links(shown.name, by, filters),
        "whole": whole,
        "earlier": earlier,
        "forecast": forecast(every, now_ns) if monthly else None,
        "chart": charts.stacked(
            words, series(every, by, shown.first, shown.days), words, wording.dollars, wording.axis_dollars
        ),
        "all": most > MOST_LINES,
        "teams": teams,
        "team_forecasts": _forecasts(every, now_ns) if monthly else {},
        "team_budgets": of_teams,
        "budgets": others[:most],
        "budgets_left": len(others[most:]),
        "models": _shortened(lines(current, "model"), most),
        "providers": lines(current, "provider"),
        "keys": lines(current, "key")[:8],
        "wasted": (lost := wasted(found.ends)),
        "wasted_nanos": sum(each.nanos for each in lost),
        "retried": found.ends["retried_requests"],
        "attempted": whole.requests + found.ends["outcome_refused"],
        "estimated": total(current, "estimated_requests"),
        "untagged": untagged,
        "unpriced_models": sorted({each.model for each in current if each.unpriced_requests})[:MOST_LINES],
        "saving": saving(current, rates_of(world)),
        "loaded_ns": found.loaded_until_ns,
        "export": _export(shown, filters),
    }


class Links:
    """Addresses of this page with something changed."""

    def __init__(self, name: str, by: Dimension, filters: Mapping[Dimension, str]) -> None:
        self._query = {"range": name, "by": by, **filters}

    def to(self, **changes: str | None) -> str:
        """None takes a name out."""
        query = {name: value for name, value in {**self._query, **changes}.items() if value is not None}
        return "?" + urlencode(query)

    def exchanges(self, **more: str) -> str:
        """To the exchanges behind a figure."""
        kept = {name: value for name, value in self._query.items() if name != "by"}
        return "/console/cost/exchanges?" + urlencode({**kept, **more})


class Shortened(NamedTuple):
    """The dearest lines, and the sum of the rest, so that what is shown adds up."""

    lines: list[Line]
    rest: Line | None


def _shortened(found: list[Line], most: int) -> Shortened:
    if len(found) <= most:
        return Shortened(found, None)
    rest = found[most - 1 :]
    added = Line(
        name=f"{len(rest)} others",
        requests=sum(each.requests for each in rest),
        cost_nanos=sum(each.cost_nanos for each in rest),
        tokens=sum(each.tokens for each in rest),
        cache_read_tokens=sum(each.cache_read_tokens for each in rest),
        input_tokens=sum(each.input_tokens for each in rest),
        unpriced_requests=sum(each.unpriced_requests for each in rest),
        unpriced_tokens=sum(each.unpriced_tokens for each in rest),
    )
    return Shortened(found[: most - 1], added)


def _others(budgets: list[Budget], told: set[str], filters: Mapping[Dimension, str]) -> list[Budget]:
    """Budgets that the table of teams does not tell of: those of a team that spent nothing or is among the rest, a
    team's second one, those of anything else. On a page of one team, no other team's."""
    wanted = filters.get("team")
    return [
        each
        for each in budgets
        if each.name not in told and (wanted is None or each.team is None or each.team == wanted)
    ]


def _forecasts(slices: list[Daily], now_ns: int) -> dict[str, Forecast | None]:
    teams: dict[str, list[Daily]] = {}
    for each in slices:
        teams.setdefault(each.team, []).append(each)
    return {team: forecast(group, now_ns) for team, group in teams.items()}


def _of_teams(budgets: list[Budget]) -> dict[str, Budget]:
    """The budget of each team: the longest window's, where it has several."""
    order = {"day": 0, "week": 1, "month": 2}
    found: dict[str, Budget] = {}
    for each in sorted(budgets, key=lambda each: order.get(each.unit, 3)):
        if each.team is not None:
            found[each.team] = each
    return found


def rates_of(world: AdminWorld) -> Rates:
    """Prices of input tokens, plain and from a cache, in force now."""
    snapshot, at_ns = world.configuration.snapshot, world.clock.now_ns()
    known = {provider.name: provider.prices for provider in snapshot.routes.providers()}
    book = snapshot.prices

    def rates(provider: str, model: str) -> tuple[Decimal, Decimal] | None:
        card = None if book is None else book.card(known.get(provider), model)
        found = {} if card is None else {each.meter: each.usd_per_token for each in card.rates(None, at_ns)}
        plain = found.get("input")
        return None if plain is None else (plain, found.get("cache_read", plain))

    return rates


def _export(shown: Range, filters: Mapping[Dimension, str]) -> list[tuple[str, str]]:
    """Titles and addresses of the files this page can be had as."""
    rows = {"by": "day,team,key,model,provider"}
    charges = {"period": "day"}
    query = {"since": shown.since, "until": shown.until, **filters}
    return [
        (title, "/console/cost/export?" + urlencode({**how, **query, "format": form}))
        for title, form, how in (
            ("CSV", "csv", rows),
            ("Parquet", "parquet", rows),
            ("JSON", "json", rows),
            ("FOCUS", "focus", charges),
            ("FOCUS Parquet", "focus-parquet", charges),
        )
    ]
