"""The ranges a cost page can show: whole days, UTC."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from gateway.console.costing import month_of
from gateway.errors import BadRequest
from gateway.ledger.overview import DAY, DAY_NS


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Some days. Times in nanoseconds since the epoch."""

    name: str
    title: str
    since_ns: int
    until_ns: int
    """Not in it; of a range that runs: now."""
    before_ns: int
    """Where the same length, or the same part of the month, before it begins."""
    before_until_ns: int
    before: str
    """What that is called."""

    @property
    def first(self) -> int:
        """Its first day, seconds since the epoch."""
        return self.since_ns // 10**9

    @property
    def days(self) -> int:
        return -(-(self.until_ns - self.since_ns) // DAY_NS)

    @property
    def since(self) -> str:
        """As reports take it: a UTC date."""
        return f"{datetime.fromtimestamp(self.since_ns // 10**9, UTC):%Y-%m-%d}"

    @property
    def until(self) -> str:
        """As reports take it."""
        if self.until_ns % DAY_NS:
            return "now"
        return f"{datetime.fromtimestamp(self.until_ns // 10**9, UTC):%Y-%m-%d}"


NAMES = ("month", "last-month", "7d", "30d", "90d")
_DAYS = {"7d": 7, "30d": 30, "90d": 90}


def range_of(name: str, now_ns: int) -> Range:
    """The range of a name. Raises `BadRequest` saying what is allowed."""
    begun, _ = month_of(now_ns)
    last_begun, _ = month_of((begun - 1) * 10**9)
    if name == "month":
        # As far into last month as this one has come, but not beyond its end.
        passed = min(now_ns - begun * 10**9, (begun - last_begun) * 10**9)
        return Range(
            name=name,
            title=f"{datetime.fromtimestamp(begun, UTC):%B %Y}",
            since_ns=begun * 10**9,
            until_ns=now_ns,
            before_ns=last_begun * 10**9,
            before_until_ns=last_begun * 10**9 + passed,
            before="the same days of last month",
        )
    if name == "last-month":
        earlier, _ = month_of((last_begun - 1) * 10**9)
        return Range(
            name=name,
            title=f"{datetime.fromtimestamp(last_begun, UTC):%B %Y}",
            since_ns=last_begun * 10**9,
            until_ns=begun * 10**9,
            before_ns=earlier * 10**9,
            before_until_ns=last_begun * 10**9,
            before="the month before",
        )
    if name not in _DAYS:
        raise BadRequest(f"range: allowed are {', '.join(NAMES)}.", param="range")
    count = _DAYS[name]
    since = (now_ns // DAY_NS * DAY - (count - 1) * DAY) * 10**9
    return Range(
        name=name,
        title=f"the last {count} days",
        since_ns=since,
        until_ns=now_ns,
        before_ns=since - count * DAY_NS,
        before_until_ns=since,
        before=f"the {count} days before",
    )


def days_of(shown: Range) -> Sequence[int]:
    """The beginnings of its days, seconds since the epoch."""
    return range(shown.first, shown.first + shown.days * DAY, DAY)
