"""Rate cards: which compiled sheet holds at an instant for a service tier, and what a usage costs by it."""

from bisect import bisect_right
from collections.abc import Mapping
from fractions import Fraction
from typing import Protocol

import msgspec

from pricing.parts import consistent
from pricing.rates import (
    DAY_NS,
    Meter,
    MeterLine,
    PricedSheet,
    Sheet,
    compile_sheet,
    lines,
    nanos,
    plain_nanos,
    rate_lines,
    upper_nanos,
)
from pricing.usage import UNPRICED, Cost, Usage

STANDARD_TIERS = ("default", "standard", "auto", "scale", "on_demand")
"""Names under which providers report the tier that is not special (OpenAI, Anthropic, Google)."""


def picture_tiers(quality: str, size: str) -> tuple[str, ...]:
    """Names of the tiers that a price per image may stand in, the most special first: `hd/1792x1024`, `hd/*`,
    `*/1792x1024`."""
    return f"{quality}/{size}", f"{quality}/*", f"*/{size}"


class Source(Protocol):
    """Something that knows a model's prices: the catalogue, or an entry of the configuration."""

    def tiers(self) -> set[str]: ...

    def dates(self) -> set[int]: ...

    def times(self) -> set[int]: ...

    def sheet(self, at_ns: int, tier: str | None) -> Sheet | None: ...


class _Day(msgspec.Struct, frozen=True):
    """A span of whole days in which prices depend on the time of day at most."""

    times: tuple[int, ...]
    """Nanoseconds since midnight UTC; the first is 0."""
    sheets: tuple[PricedSheet | None, ...]


class _Plan(msgspec.Struct, frozen=True):
    """All sheets of one service tier."""

    only: PricedSheet | None
    """Set when the price never changes."""
    dates: tuple[int, ...]
    days: tuple[_Day, ...]

    def at(self, at_ns: int) -> PricedSheet | None:
        day = self.days[bisect_right(self.dates, at_ns)]
        if len(day.sheets) == 1:
            return day.sheets[0]
        return day.sheets[bisect_right(day.times, at_ns % DAY_NS) - 1]


class RateCard:
    """The price of one model, compiled. Immutable; `cost` is made for the hot path."""

    __slots__ = ("_plans", "_standard", "by_clock", "model", "provider")

    def __init__(self, provider: str, model: str, source: Source) -> None:
        self.provider = provider
        """The catalogue's provider id, or the configuration's."""
        self.model = model
        """The catalogue's model id, or the configuration's name."""
        self._standard = _plan(source, None)
        self._plans: dict[str | None, _Plan] = {tier: _plan(source, tier) for tier in source.tiers()}
        for name in (None, *STANDARD_TIERS):
            self._plans.setdefault(name, self._standard)
        self.by_clock = any(
            sheet is not None and sheet.by_clock and any(band.second for band in sheet.bands)
            for plan in self._plans.values()
            for day in plan.days
            for sheet in day.sheets
        )
        """Some price is per second of serving: `Usage.seconds` must be filled in. (Seconds of audio are told.)"""

    @property
    def tiers(self) -> tuple[str, ...]:
        """Service tiers with a price of their own, at some date."""
        return tuple(sorted(name for name, plan in self._plans.items() if name and plan is not self._standard))

    def picture(self, quality: str, size: str) -> str | None:
        """The tier whose price per image holds for a quality and a size (each may be empty); None: the standard one."""
        for name in picture_tiers(quality.lower(), size.lower()):
            if name in self._plans:
                return name
        return None

    def cost(self, usage: Usage, *, tier: str | None = None, at_ns: int) -> Cost:
        """What `usage` costs at `at_ns` (nanoseconds since the epoch) in the service tier that served.

        A tier without a price of its own costs the standard price. A usage whose parts exceed its totals is priced with
        the totals raised. Unpriced when no price is in force at that time."""
        sheet = self._sheet(tier, at_ns)
        if sheet is None:
            return UNPRICED
        return Cost(nanos=nanos(sheet, consistent(usage)), price_version=sheet.version)

    def plain_nanos(self, input_tokens: int, output_tokens: int, *, at_ns: int) -> int | None:
        """What one request of so many tokens, none of them special, costs in the standard tier, nano-dollars; None when
        no price is in force. For estimates made before anything was used."""
        sheet = self._sheet(None, at_ns)
        return None if sheet is None else plain_nanos(sheet, input_tokens, output_tokens)

    def upper_nanos(self, input_tokens: int, output_tokens: int, *, tier: str | None, at_ns: int) -> int | None:
        """The most that a request of at most so many tokens can cost in the standard tier or in `tier`, nano-dollars;
        None when no price is in force. Not in it: what is not counted in tokens (searches, seconds)."""
        sheet = self._sheet(None, at_ns)
        if sheet is None:
            return None
        most = upper_nanos(sheet, input_tokens, output_tokens)
        if tier is not None and (other := self._sheet(tier, at_ns)) is not None and other is not sheet:
            most = max(most, upper_nanos(other, input_tokens, output_tokens))
        return most

    @property
    def flat(self) -> tuple[int, int, int, int] | None:
        """What `upper_nanos` reckons with in the standard tier, if that depends neither on the time nor on how long a
        request is: numerators of an input token, an output token and the request, and their denominator. None: it does,
        or there is no price."""
        sheet = self._standard.only
        if sheet is None or len(sheet.bands) > 1:
            return None
        return (*sheet.first.worst, sheet.first.denominator)

    @property
    def plain(self) -> tuple[int, int, int, int] | None:
        """What `plain_nanos` reckons with, under the same conditions and in the same form as `flat`; `rates.rounded`
        makes nano-dollars of it."""
        sheet = self._standard.only
        if sheet is None or len(sheet.bands) > 1:
            return None
        return (*sheet.first.plain, sheet.first.denominator)

    def meters(self, usage: Usage, tier: str | None, at_ns: int) -> list[MeterLine]:
        """The same bill line by line. The lines' amounts add up to the total before it is rounded to nano-dollars."""
        sheet = self._sheet(tier, at_ns)
        return [] if sheet is None else lines(sheet, consistent(usage))

    def rates(self, tier: str | None, at_ns: int, input_tokens: int = 0) -> list[MeterLine]:
        """The rates in force for a request with so many input tokens, as lines without tokens."""
        sheet = self._sheet(tier, at_ns)
        return [] if sheet is None else rate_lines(sheet, input_tokens)

    def leaves(self, tier: str | None, at_ns: int, input_tokens: int = 0) -> Mapping[Meter, Fraction]:
        """USD per unit of every meter's own part, for a request with so many input tokens; a part without a price of
        its own has that of the total it stands in. Empty: no price is in force."""
        sheet = self._sheet(tier, at_ns)
        return {} if sheet is None else sheet.band(input_tokens).leaves

    def thresholds(self, tier: str | None, at_ns: int) -> tuple[int, ...]:
        """Input sizes above which other rates hold (long-context tiers)."""
        sheet = self._sheet(tier, at_ns)
        return () if sheet is None else sheet.thresholds

    def _sheet(self, tier: str | None, at_ns: int) -> PricedSheet | None:
        plan = self._plans.get(tier)
        if plan is None:
            plan = self._plans.get(tier.lower(), self._standard) if tier is not None else self._standard
        return plan.only or plan.at(at_ns)


def _plan(source: Source, tier: str | None) -> _Plan:
    """Ask the source once for every span in which its answer cannot change."""
    dates = tuple(sorted(source.dates()))
    times = (0, *sorted(source.times() - {0}))
    before = dates[0] - DAY_NS if dates else 0
    told: list[tuple[Sheet | None, ...]] = []
    for start in (before, *dates):
        midnight = start - start % DAY_NS
        told.append(tuple(source.sheet(midnight + time, tier) for time in times))
    first = told[0][0]
    if all(sheet == first for day in told for sheet in day):
        only = _compiled(first)
        return _Plan(only, (), (_Day((0,), (only,)),))
    return _Plan(None, dates, tuple(_day(times, sheets) for sheets in told))


def _day(times: tuple[int, ...], sheets: tuple[Sheet | None, ...]) -> _Day:
    if all(sheet == sheets[0] for sheet in sheets):
        return _Day((0,), (_compiled(sheets[0]),))
    return _Day(times, tuple(_compiled(sheet) for sheet in sheets))


def _compiled(sheet: Sheet | None) -> PricedSheet | None:
    return None if sheet is None else compile_sheet(sheet)
