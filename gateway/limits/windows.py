"""Calendar and bucket arithmetic of windows: where the running one begins and ends. Pure.

Times are nanoseconds since the epoch, UTC. A zone's calendar is read from `zoneinfo`: the system's time zone data, or
the `tzdata` package.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from gateway.quota import BUCKETS, Calendar

SECOND = 1_000_000_000
_SHORT = {"second": 1, "minute": 60, "hour": 3600}


class Period(msgspec.Struct, frozen=True):
    """One running minute, day, month…: from `start_ns` up to, but without, `end_ns`, where the next one begins."""

    id: str
    """Stable name, in local time `2026`, `2026-11`, `2026-W48`, `2026-11-27`; of hours and less the UTC second they
    begin at, `2026-11-27T16:30:00Z`."""
    start_ns: int
    end_ns: int


def bucket(seconds: int, now_ns: int) -> int:
    """Index of the part of a rolling window that runs now: parts of `seconds / BUCKETS`, counted from the epoch."""
    return now_ns * BUCKETS // (seconds * SECOND)


def bucket_end(seconds: int, index: int) -> int:
    """First nanosecond that is not in this part any more."""
    return -(-(index + 1) * seconds * SECOND // BUCKETS)


def period(calendar: Calendar, now_ns: int) -> Period:
    """The period of `calendar` that runs at `now_ns`. Periods follow one another without gap or overlap.

    A day, week, month or year begins at the first moment at which the zone's clocks show its first midnight or later:
    also where daylight saving skips that midnight or shows it twice. An hour that daylight saving cuts is shorter.

    Raises `zoneinfo.ZoneInfoNotFoundError` for a zone that is not known.
    """
    zone = ZoneInfo(calendar.zone)
    moment = now_ns // SECOND
    size = _SHORT.get(calendar.unit)
    if size is not None:
        return _short(zone, size, moment)
    first = _first(calendar.unit, _local(zone, moment).date())
    start = _begin(zone, first)
    following = _next(calendar.unit, first)
    end = _begin(zone, following)
    while end <= moment:
        first, start = following, end
        following = _next(calendar.unit, first)
        end = _begin(zone, following)
    return Period(_name(calendar.unit, first), start * SECOND, end * SECOND)


def _short(zone: ZoneInfo, size: int, moment: int) -> Period:
    offset = _offset(zone, moment)
    start = (moment + offset) // size * size - offset
    end = start + size
    if _offset(zone, start) != offset:
        start = _change(zone, start, moment)
    if _offset(zone, end - 1) != offset:
        end = _change(zone, moment, end - 1)
    return Period(datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), start * SECOND, end * SECOND)


def _first(unit: str, day: date) -> date:
    match unit:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
        case _:
            return day


def _next(unit: str, first: date) -> date:
    match unit:
        case "week":
            return first + timedelta(days=7)
        case "month":
            return (first + timedelta(days=31)).replace(day=1)
        case "year":
            return first.replace(year=first.year + 1)
        case _:
            return first + timedelta(days=1)


def _name(unit: str, first: date) -> str:
    match unit:
        case "week":
            year, week, _ = first.isocalendar()
            return f"{year:04}-W{week:02}"
        case "month":
            return f"{first:%Y-%m}"
        case "year":
            return f"{first:%Y}"
        case _:
            return first.isoformat()


def _begin(zone: ZoneInfo, day: date) -> int:
    """First UTC second at which the zone's clocks show `day` 00:00 or later.

    PEP 495: fold 0 is the first of two midnights; of a midnight that is skipped, fold 0 gives the later moment.
    """
    first = _utc(datetime(day.year, day.month, day.day, tzinfo=zone))
    other = _utc(datetime(day.year, day.month, day.day, tzinfo=zone, fold=1))
    return first if first <= other else _change(zone, other - 1, first)


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """The second in (low, high] at which the zone's offset is first no longer what it is at `low`."""
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _local(zone: ZoneInfo, moment: int) -> datetime:
    return datetime.fromtimestamp(moment, zone)


def _offset(zone: ZoneInfo, moment: int) -> int:
    offset = _local(zone, moment).utcoffset()
    return round(offset.total_seconds()) if offset is not None else 0


def _utc(local: datetime) -> int:
    return round(local.timestamp())
