"""From the ledger's days to what the cost page says: sums, trend, forecast, savings. Pure; money is exact."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from gateway.ledger.overview import DAY, DAY_NS, Daily, Dimension, Slice, total

DIMENSIONS: tuple[Dimension, ...] = ("team", "model", "provider", "key")
FORECAST_DAYS = 28
"""How many whole days a forecast looks back at."""
FEWEST_DAYS = 3
EIGHTY_PERCENT = Decimal("1.2816")
"""Standard deviations around the middle that hold 80 % of a normal distribution."""
WASTED = (
    ("client_left", "Clients left", "The client went away before the end; what was made until then is billed."),
    ("upstream_status", "Refused by providers", "The last try was answered with an error."),
    ("upstream_error", "Connections broke", "No provider could be reached, or the answer broke off."),
    ("upstream_timeout", "Timed out", "No provider answered in time."),
    ("cut", "Cut by a limit", "A limit or budget was used up while the answer was streamed."),
    ("shutdown", "Stopped with the gateway", "It was told to stop, and server.drain was over."),
    ("interrupted", "Interrupted", "The gateway died meanwhile; booked at what was reserved."),
    ("blocked", "Blocked by guardrails", "The request or its answer was not let through; an answer was paid for."),
    ("error", "Defects", "The gateway failed."),
    ("refused", "Refused by the gateway", "Limits, budgets, wrong requests; these cost nothing."),
)
"""Outcomes of requests that came to nothing, in the order of their cost where none is known."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One team, model, provider or key over a range."""

    name: str
    requests: int
    cost_nanos: int
    tokens: int
    cache_read_tokens: int
    input_tokens: int
    unpriced_requests: int
    unpriced_tokens: int

    @property
    def priceless(self) -> bool:
        """Nothing of it has a price, so that its cost is not 0 but unknown."""
        return self.unpriced_requests > 0 and self.cost_nanos == 0

    @property
    def per_request(self) -> int | None:
        """Nano-dollars of a request; None: there was none, or none had a price."""
        return None if self.priceless else ratio(self.cost_nanos, self.requests - self.unpriced_requests)

    @property
    def per_thousand(self) -> int | None:
        """Nano-dollars of 1,000 tokens that have a price."""
        return None if self.priceless else ratio(self.cost_nanos * 1000, self.tokens - self.unpriced_tokens)


class Forecast(msgspec.Struct, frozen=True):
    """What a month will come to, nano-dollars: the middle, and the range that holds 80 % of outcomes."""

    middle: int
    low: int
    high: int


class Wasted(msgspec.Struct, frozen=True):
    """Requests that came to nothing in one way, and what was paid for them all the same, nano-dollars."""

    name: str
    title: str
    why: str
    requests: int
    nanos: int


class Saving(msgspec.Struct, frozen=True):
    """What prompt caching saved against the plain input price of today, nano-dollars; and how much of the input tokens
    were read from a cache."""

    nanos: int
    cached_tokens: int
    input_tokens: int
    unknown: int
    """Cached tokens of models whose price is not known."""


def ratio(part: int, whole: int) -> int | None:
    """Rounded half up; None where there is no whole."""
    return None if whole <= 0 else (2 * part + whole) // (2 * whole)


def name_of(dimension: Dimension) -> Callable[[Slice | Daily], str]:
    """Reads a dimension of a slice."""
    match dimension:
        case "team":
            return lambda each: each.team
        case "model":
            return lambda each: each.model
        case "provider":
            return lambda each: each.provider
        case "key":
            return lambda each: each.key


def lines(slices: Iterable[Slice], dimension: Dimension) -> list[Line]:
    """One line for each name, dearest first. Names with refused requests alone are left out, as in reports."""
    groups: dict[str, list[Slice]] = {}
    read = name_of(dimension)
    for each in slices:
        groups.setdefault(read(each), []).append(each)
    found = [line(name, group) for name, group in groups.items()]
    kept = [each for each in found if each.requests or each.cost_nanos]
    return sorted(kept, key=lambda each: (-each.cost_nanos, -each.requests, each.name))


def line(name: str, slices: Sequence[Slice]) -> Line:
    """The sums of some slices."""
    return Line(
        name=name,
        requests=total(slices, "requests"),
        cost_nanos=total(slices, "cost_nanos"),
        tokens=total(slices, "input_tokens") + total(slices, "output_tokens"),
        cache_read_tokens=total(slices, "cache_read_tokens"),
        input_tokens=total(slices, "input_tokens"),
        unpriced_requests=total(slices, "unpriced_requests"),
        unpriced_tokens=total(slices, "unpriced_tokens"),
    )


def series(slices: Iterable[Slice | Daily], dimension: Dimension, first: int, count: int) -> dict[str, list[int]]:
    """Cost per day of every name, `count` days from `first` (seconds since the epoch)."""
    found: dict[str, list[int]] = {}
    read = name_of(dimension)
    for each in slices:
        at = (each.day - first) // DAY
        if each.cost_nanos and 0 <= at < count:
            found.setdefault(read(each), [0] * count)[at] += each.cost_nanos
    return found


def forecast(slices: Iterable[Slice | Daily], now_ns: int) -> Forecast | None:
    """What this calendar month (UTC) will have cost at its end: what was spent, and for what is left of it the mean of
    the whole days before today, working days and weekends apart where both were seen twice. The interval takes days as
    independent and normal, and counts that the mean itself is known from few days. None: fewer than three whole
    days."""
    today = now_ns // DAY_NS * DAY
    daily: dict[int, int] = {}
    for each in slices:
        if today - FORECAST_DAYS * DAY <= each.day <= today:
            daily[each.day] = daily.get(each.day, 0) + each.cost_nanos
    begun, ends = month_of(now_ns)
    spent = sum(cost for day, cost in daily.items() if day >= begun)
    before = [day for day in daily if day < today]
    if not before:
        return None
    whole = {day: daily.get(day, 0) for day in range(min(before), today, DAY)}
    if len(whole) < FEWEST_DAYS:
        return None
    mean_of, spread = _model(whole)
    rest = Decimal(DAY_NS - now_ns % DAY_NS) / DAY_NS
    left = [(today, rest), *((day, Decimal(1)) for day in range(today + DAY, ends, DAY))]
    ahead = sum((part * mean_of(day) for day, part in left), Decimal(0))
    days = sum((part for _, part in left), Decimal(0))
    margin = EIGHTY_PERCENT * spread * (days + days * days / len(whole)).sqrt()
    return Forecast(spent + int(ahead), spent + max(int(ahead - margin), 0), spent + int(ahead + margin))


def _model(whole: Mapping[int, int]) -> tuple[Callable[[int], Decimal], Decimal]:
    """The mean of a day of its kind, and the standard deviation around it."""
    kinds: dict[bool, list[int]] = {}
    for day, cost in whole.items():
        kinds.setdefault(_weekend(day), []).append(cost)
    apart = len(kinds) == 2 and all(len(costs) >= 2 for costs in kinds.values())
    overall = Decimal(sum(whole.values())) / len(whole)
    means = {kind: Decimal(sum(costs)) / len(costs) for kind, costs in kinds.items()} if apart else {}

    def mean_of(day: int) -> Decimal:
        return means.get(_weekend(day), overall)

    squares = sum(((cost - mean_of(day)) ** 2 for day, cost in whole.items()), Decimal(0))
    freedom = max(len(whole) - (2 if apart else 1), 1)
    return mean_of, (squares / freedom).sqrt()


def _weekend(day: int) -> bool:
    return datetime.fromtimestamp(day, UTC).weekday() >= 5


def month_of(now_ns: int) -> tuple[int, int]:
    """The calendar month (UTC) that a time lies in: its beginning and end, seconds since the epoch."""
    at = datetime.fromtimestamp(now_ns // 10**9, UTC)
    first = datetime(at.year, at.month, 1, tzinfo=UTC)
    following = datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC)
    return int(first.timestamp()), int(following.timestamp())


def wasted(ends: Mapping[str, int]) -> list[Wasted]:
    """Requests that came to nothing, by what became of them, dearest first; `ends` as in `overview.ENDS`."""
    found = [
        Wasted(name, title, why, ends[f"outcome_{name}"], ends.get(f"cost_{name}", 0)) for name, title, why in WASTED
    ]
    return sorted((each for each in found if each.requests), key=lambda each: -each.nanos)


Rates = Callable[[str, str], tuple[Decimal, Decimal] | None]
"""Of a provider and its model: dollars of a plain and of a cached input token; None: not known."""


def saving(slices: Iterable[Slice], rates: Rates) -> Saving:
    """What caching saved: cached tokens at the difference of the two prices."""
    cached: dict[tuple[str, str], int] = {}
    inputs = 0
    for each in slices:
        inputs += each.input_tokens
        if each.cache_read_tokens:
            model = each.provider, each.model
            cached[model] = cached.get(model, 0) + each.cache_read_tokens
    saved, unknown = Decimal(0), 0
    for (provider, model), tokens in cached.items():
        found = rates(provider, model)
        if found is None:
            unknown += tokens
        else:
            plain, read = found
            saved += tokens * (plain - read)
    return Saving(int(saved.scaleb(9)), sum(cached.values()), inputs, unknown)
