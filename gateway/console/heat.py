"""Heat maps of a day: what providers did by hour, in six tones."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from gateway.ledger.overview import Hour, Speed

SHOWN = 24
"""Hours of a map."""
HOUR_NS = 3600 * 10**9
FAILING = (0.0, 0.005, 0.02, 0.05, 0.2)
"""Shares of failures from which on a field has the next tone; 0: none failed."""
SLOW = (1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds to the first byte from which on a field has the next tone."""
H = TypeVar("H", Hour, Speed)


class Field(msgspec.Struct, frozen=True):
    """One hour of one provider."""

    hour_ns: int
    tone: int | None = None
    """None: nothing is known; 0: all is well; to 5."""
    requests: int = 0
    failed: int = 0
    seconds: float = 0.0
    """To the first byte, 95th percentile."""


Row = tuple[str, list[Field]]


def failures_by_hour(found: Iterable[Hour], since_ns: int) -> list[Row]:
    """How many requests failed, by provider; "" where none was reached."""

    def field(each: Hour) -> Field:
        share = each.failed / each.requests if each.requests else 0.0
        tone = tone_of(share, FAILING) if each.failed else 0
        return Field(each.hour * 10**9, tone, each.requests, each.failed)

    return _laid_out(found, since_ns, field)


def speeds_by_hour(found: Iterable[Speed], since_ns: int) -> list[Row]:
    """How soon answers began, by provider."""

    def field(each: Speed) -> Field:
        return Field(each.hour * 10**9, tone_of(each.p95, SLOW), each.requests, seconds=each.p95)

    return _laid_out(found, since_ns, field)


def tone_of(value: float, bounds: Sequence[float]) -> int:
    """How many of the bounds are reached."""
    return sum(value >= bound for bound in bounds)


def _laid_out(found: Iterable[H], since_ns: int, field: Callable[[H], Field]) -> list[Row]:
    rows: dict[str, list[Field]] = {}
    for each in found:
        at = (each.hour * 10**9 - since_ns) // HOUR_NS
        if 0 <= at < SHOWN:
            row = rows.setdefault(each.provider, [Field(since_ns + hour * HOUR_NS) for hour in range(SHOWN)])
            row[at] = field(each)
    return sorted(rows.items())
