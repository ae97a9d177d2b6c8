"""Exact rates and the arithmetic on them: a usage in, nano-dollars out.

Prices come in as decimals and are kept as exact fractions of a dollar per unit. Compiling turns them into one integer
per usage field over one common denominator, so that pricing an exchange is a handful of integer multiply-adds and one
division, rounded once, half to even. No floating point takes part.

A usage field holds a total or a part of one (cached tokens are part of the input), so the integer of a part is what its
own rate adds to the rate of the total it stands in:

    total = input·r(input) + cache_read·(r(cache_read) - r(input)) + … + output·r(output) + …
"""

from bisect import bisect_left
from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction
from math import lcm
from operator import attrgetter
from typing import Literal

import msgspec

from pricing.usage import Usage

Meter = Literal[
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "input_audio",
    "cache_read_audio",
    "input_image",
    "cache_read_image",
    "input_video",
    "tool_input",
    "output",
    "reasoning",
    "citation",
    "output_audio",
    "output_image",
    "output_video",
    "web_search",
    "file_search",
    "request",
    "page",
    "character",
    "image",
    "second",
]

_FALLBACKS: dict[Meter, tuple[Meter, ...]] = {
    "cache_read": ("input",),
    "cache_write_5m": ("input",),
    "cache_write_1h": ("cache_write_5m", "input"),
    "input_audio": ("input",),
    "cache_read_audio": ("cache_read", "input_audio", "input"),
    "input_image": ("input",),
    "cache_read_image": ("cache_read", "input_image", "input"),
    "input_video": ("input",),
    "tool_input": ("input",),
    "reasoning": ("output",),
    "citation": ("output",),
    "output_audio": ("output",),
    "output_image": ("output",),
    "output_video": ("output",),
}
"""Whose rate a part without one of its own has: the first of these that is priced."""

_FIELDS: dict[Meter, str] = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write_5m": "cache_write_5m_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "input_audio": "input_audio_tokens",
    "cache_read_audio": "cache_read_audio_tokens",
    "input_image": "input_image_tokens",
    "cache_read_image": "cache_read_image_tokens",
    "input_video": "input_video_tokens",
    "tool_input": "tool_input_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
    "citation": "citation_tokens",
    "output_audio": "output_audio_tokens",
    "output_image": "output_image_tokens",
    "output_video": "output_video_tokens",
    "web_search": "web_searches",
    "file_search": "file_searches",
    "request": "requests",
    "page": "pages",
    "character": "characters",
    "image": "images",
}
_INPUTS: tuple[Meter, ...] = (
    "input",
    *(meter for meter, others in _FALLBACKS.items() if others[-1] == "input"),
)
_OUTPUTS: tuple[Meter, ...] = (
    "output",
    *(meter for meter, others in _FALLBACKS.items() if others[-1] == "output"),
)
_CACHED_MEDIA: dict[Meter, Meter] = {"cache_read_audio": "input_audio", "cache_read_image": "input_image"}
DAY_NS = 86_400 * 10**9
"""Nanoseconds in a day."""
_COUNTED_APART = frozenset({"request", "web_search", "file_search", "page", "character", "image", "second"})
"""Meters that are left off a bill when they cost nothing; tokens always show."""
_NANOS = 10**9
_EXACT = Context(prec=40)


class Rate(msgspec.Struct, frozen=True):
    """The price of one unit of a meter, in USD, by the size of the request's whole input."""

    base: Fraction
    above: tuple[tuple[int, Fraction], ...] = ()
    """(input tokens, USD) with thresholds rising; a price holds when the input is larger than its threshold, and for
    all tokens of the request (providers' long-context tiers)."""

    def at(self, input_tokens: int) -> Fraction:
        price = self.base
        for start, dearer in self.above:
            if input_tokens <= start:
                break
            price = dearer
        return price

    def times(self, factor: Fraction) -> "Rate":
        return Rate(self.base * factor, tuple((start, price * factor) for start, price in self.above))


class Sheet(msgspec.Struct, frozen=True):
    """The prices of one model in force at one time, for one service tier. No rates at all: free of charge."""

    rates: Mapping[Meter, Rate]
    version: str
    minimum_seconds: int = 0
    """Shortest duration billed, where seconds are billed at all."""
    by_clock: bool = False
    """Seconds are those that serving took (a GPU of one's own), not those of the audio."""


class MeterLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a bill: a meter's own part of the usage (`input` without what was cached, and so on).

    `tokens` counts what the meter counts: tokens, searches, requests, pages, characters or seconds."""

    meter: str
    tokens: int | Decimal
    usd_per_token: Decimal
    usd: Decimal


class Band(msgspec.Struct, frozen=True):
    """The rates of one sheet for one range of input sizes, compiled."""

    terms: tuple[tuple["attrgetter[int]", int], ...]
    """(usage field, numerator in nano-dollars per unit) of every field that moves the total."""
    denominator: int
    second: Fraction
    """Nano-dollars per second."""
    leaves: dict[Meter, Fraction]
    """USD per unit of each meter's own part."""
    priced: dict[Meter, Fraction]
    """The same, of the meters with a price of their own."""
    plain: tuple[int, int, int]
    """Numerators of plain input and output tokens and of one request: the whole of most estimates."""
    worst: tuple[int, int, int]
    """Numerators of the dearest token that can be input, the dearest that can be output, and of one request."""


class PricedSheet(msgspec.Struct, frozen=True):
    """A sheet compiled: one band per range of input sizes."""

    first: Band
    thresholds: tuple[int, ...]
    """Input sizes above which the next band holds."""
    bands: tuple[Band, ...]
    version: str
    minimum_seconds: int
    by_clock: bool

    def band(self, input_tokens: int) -> Band:
        return self.bands[bisect_left(self.thresholds, input_tokens)] if self.thresholds else self.first


def compile_sheet(sheet: Sheet) -> PricedSheet:
    """Compile prices into integer rates, exactly."""
    thresholds = tuple(sorted({start for rate in sheet.rates.values() for start, _ in rate.above}))
    bands = tuple(_band(sheet, start + 1) for start in (-1, *thresholds))
    return PricedSheet(bands[0], thresholds, bands, sheet.version, sheet.minimum_seconds, sheet.by_clock)


def nanos(priced: PricedSheet, usage: Usage) -> int:
    """What a consistent usage costs, in nano-dollars, rounded once, half to even."""
    band = priced.first
    if priced.thresholds and usage.input_tokens > priced.thresholds[0]:
        band = priced.band(usage.input_tokens)
    total = 0
    for get, numerator in band.terms:
        total += get(usage) * numerator
    denominator = band.denominator
    if usage.seconds and band.second:
        exact = Fraction(total, denominator) + _billed_seconds(priced, usage) * band.second
        return round(exact)
    return total if denominator == 1 else rounded(total, denominator)


def rounded(total: int, denominator: int) -> int:
    """`total / denominator` as a whole number, half to even."""
    quotient, rest = divmod(total, denominator)
    twice = rest + rest
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def plain_nanos(priced: PricedSheet, input_tokens: int, output_tokens: int) -> int:
    """What one request of so many tokens, none of them special, costs: as `nanos`, without a `Usage`."""
    band = priced.band(input_tokens)
    inputs, outputs, request = band.plain
    return rounded(input_tokens * inputs + output_tokens * outputs + request, band.denominator)


def upper_nanos(priced: PricedSheet, input_tokens: int, output_tokens: int) -> int:
    """The most that a request of at most so many tokens can cost, whatever kind they are, rounded up. What is not
    counted in tokens (searches, pages, seconds) is not in it."""
    most = 0
    for band in priced.bands[: bisect_left(priced.thresholds, input_tokens) + 1]:
        inputs, outputs, request = band.worst
        most = max(most, -(-(input_tokens * inputs + output_tokens * outputs + request) // band.denominator))
    return most


def lines(priced: PricedSheet, usage: Usage) -> list[MeterLine]:
    """The bill of a consistent usage, meter by meter. The amounts add up to the total before it is rounded (exactly,
    but for prices per hour, whose rate per second has no finite decimal; those carry 40 digits)."""
    band = priced.band(usage.input_tokens)
    bill: list[MeterLine] = []
    for meter, amount in own_parts(usage).items():
        rate = band.leaves.get(meter, Fraction(0))
        quantity = _billed_seconds(priced, usage) if meter == "second" else Fraction(amount)
        if not quantity or (meter in _COUNTED_APART and not rate):
            continue
        tokens = amount if isinstance(amount, int) else _decimal(quantity)
        bill.append(MeterLine(meter=meter, tokens=tokens, usd_per_token=_decimal(rate), usd=_decimal(rate * quantity)))
    return bill


def rate_lines(priced: PricedSheet, input_tokens: int) -> list[MeterLine]:
    """What each priced meter costs, for a request with so many input tokens."""
    zero = Decimal(0)
    return [
        MeterLine(meter=meter, tokens=0, usd_per_token=_decimal(rate), usd=zero)
        for meter, rate in priced.band(input_tokens).priced.items()
    ]


def own_parts(usage: Usage) -> dict[Meter, int | float]:
    """A consistent usage taken apart, so that every token is in one meter only."""
    cached_media = usage.cache_read_audio_tokens + usage.cache_read_image_tokens
    media = usage.input_audio_tokens + usage.input_image_tokens + usage.input_video_tokens
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    special = usage.reasoning_tokens + usage.citation_tokens
    special += usage.output_audio_tokens + usage.output_image_tokens + usage.output_video_tokens
    plain = usage.input_tokens - usage.cache_read_tokens - written - (media - cached_media) - usage.tool_input_tokens
    return {
        "input": plain,
        "cache_read": usage.cache_read_tokens - cached_media,
        "cache_write_5m": usage.cache_write_5m_tokens,
        "cache_write_1h": usage.cache_write_1h_tokens,
        "input_audio": usage.input_audio_tokens - usage.cache_read_audio_tokens,
        "cache_read_audio": usage.cache_read_audio_tokens,
        "input_image": usage.input_image_tokens - usage.cache_read_image_tokens,
        "cache_read_image": usage.cache_read_image_tokens,
        "input_video": usage.input_video_tokens,
        "tool_input": usage.tool_input_tokens,
        "output": usage.output_tokens - special,
        "reasoning": usage.reasoning_tokens,
        "citation": usage.citation_tokens,
        "output_audio": usage.output_audio_tokens,
        "output_image": usage.output_image_tokens,
        "output_video": usage.output_video_tokens,
        "web_search": usage.web_searches,
        "file_search": usage.file_searches,
        "request": usage.requests,
        "page": usage.pages,
        "character": usage.characters,
        "image": usage.images,
        "second": usage.seconds,
    }


def _band(sheet: Sheet, input_tokens: int) -> Band:
    priced: dict[Meter, Fraction] = {meter: rate.at(input_tokens) for meter, rate in sheet.rates.items()}
    leaves = _leaf_rates(priced)
    steps: dict[Meter, Fraction] = {}
    for meter in _FIELDS:
        own = leaves.get(meter, Fraction(0))
        if meter in _CACHED_MEDIA:
            # Counted in input, cache_read and its modality: take those three away (inclusion and exclusion).
            media = leaves.get(_CACHED_MEDIA[meter], Fraction(0))
            own += leaves.get("input", Fraction(0)) - media - leaves.get("cache_read", Fraction(0))
        elif meter in _FALLBACKS:
            own -= leaves.get(_FALLBACKS[meter][-1], Fraction(0))
        if own:
            steps[meter] = own * _NANOS
    denominator = lcm(*(step.denominator for step in steps.values()))
    terms = tuple(
        (attrgetter(_FIELDS[meter]), step.numerator * (denominator // step.denominator))
        for meter, step in steps.items()
    )
    numerators = {meter: step.numerator * (denominator // step.denominator) for meter, step in steps.items()}
    plain = numerators.get("input", 0), numerators.get("output", 0), numerators.get("request", 0)
    inputs, outputs = (
        int(max(leaves.get(meter, Fraction(0)) for meter in meters) * _NANOS * denominator)
        for meters in (_INPUTS, _OUTPUTS)
    )
    worst = inputs, outputs, plain[2]
    return Band(terms, denominator, leaves.get("second", Fraction(0)) * _NANOS, leaves, priced, plain, worst)


def _leaf_rates(prices: dict[Meter, Fraction]) -> dict[Meter, Fraction]:
    """Every meter's rate, parts without one of their own having that of the total they stand in."""
    leaves = dict(prices)
    for meter, fallbacks in _FALLBACKS.items():
        if meter not in leaves:
            found = next((prices[name] for name in fallbacks if name in prices), None)
            if found is not None:
                leaves[meter] = found
    return leaves


def _billed_seconds(priced: PricedSheet, usage: Usage) -> Fraction:
    """Seconds as written (the shortest decimal of the float), at least the billed minimum."""
    told = Fraction(Decimal(repr(usage.seconds)))
    return max(told, Fraction(priced.minimum_seconds)) if told else told


def _decimal(value: Fraction) -> Decimal:
    return _EXACT.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(_EXACT)
