"""Where windows begin and end: calendars of zones with daylight saving, and the parts of rolling windows."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.limits.windows import SECOND, Period, bucket, bucket_end, period
from gateway.quota import BUCKETS, Calendar, Unit

slow_machine = settings(deadline=None)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Scoresbysund",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
)
UNITS: tuple[Unit, ...] = ("second", "minute", "hour", "day", "week", "month", "year")
SHORT = {"second": 1, "minute": 60, "hour": 3600}

zones = st.sampled_from(ZONES)
units = st.sampled_from(UNITS)
moments = st.integers(1_000_000_000 * SECOND, 2_200_000_000 * SECOND)
"""2001 to 2039."""


def at(text: str) -> int:
    """Nanoseconds of an ISO time with an offset."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def local(zone: str, now_ns: int) -> datetime:
    return datetime.fromtimestamp(now_ns // SECOND, ZoneInfo(zone))


@slow_machine
@given(zones, units, moments)
@example("Pacific/Apia", "day", at("2011-12-30T09:59:59+00:00"))
@example("America/St_Johns", "day", at("2010-11-07T02:45:00+00:00"))
def test_periods_follow_one_another_without_gap_or_overlap(zone: str, unit: Unit, now: int) -> None:
    """A period holds its moment; the next begins where it ends; every moment in it gives the same period."""
    calendar = Calendar(unit, zone)
    running = period(calendar, now)
    assert running.start_ns <= now < running.end_ns
    assert period(calendar, running.start_ns) == running
    assert period(calendar, running.end_ns - 1) == running
    following = period(calendar, running.end_ns)
    assert following.start_ns == running.end_ns
    assert following.id > running.id
    assert period(calendar, running.start_ns - 1).end_ns == running.start_ns


def expected_first(unit: Unit, day: date) -> date:
    match unit:
        case "week":
            return day - timedelta(days=day.isoweekday() - 1)
        case "month":
            return date(day.year, day.month, 1)
        case "year":
            return date(day.year, 1, 1)
        case _:
            return day


@slow_machine
@given(zones, st.sampled_from(UNITS[3:]), moments)
def test_days_and_longer_begin_with_a_local_date(zone: str, unit: Unit, now: int) -> None:
    """At its start the zone's clocks show the first date of the period, 00:00 or what daylight saving made of it, and
    a moment before an earlier date (or, with clocks that were set back over midnight, the same once more)."""
    running = period(Calendar(unit, zone), now)
    first = local(zone, running.start_ns)
    assert expected_first(unit, first.date()) == first.date()
    before = local(zone, running.start_ns - 1)
    assert before.date() < first.date()
    assert (first.hour, first.minute) == (0, 0) or first.utcoffset() != before.utcoffset()


@slow_machine
@given(zones, st.sampled_from(UNITS[:3]), moments)
def test_hours_and_shorter_are_as_long_as_they_say_unless_the_clocks_change(zone: str, unit: Unit, now: int) -> None:
    """Aligned to local time; cut only where the zone's offset changes."""
    running = period(Calendar(unit, zone), now)
    size = SHORT[unit] * SECOND
    assert 0 < running.end_ns - running.start_ns <= size
    offsets = [local(zone, time).utcoffset() for time in (running.start_ns - 1, running.start_ns, running.end_ns)]
    if running.end_ns - running.start_ns < size:
        assert len(set(offsets)) > 1
    start = local(zone, running.start_ns)
    if offsets[0] == offsets[1]:
        assert int(start.timestamp() + (start.utcoffset() or timedelta()).total_seconds()) % SHORT[unit] == 0


@pytest.mark.parametrize(
    ("unit", "zone", "now", "name", "start", "end"),
    [
        (
            "day",
            "Europe/Berlin",
            "2026-03-29T12:00+02:00",
            "2026-03-29",
            "2026-03-29T00:00+01:00",
            "2026-03-30T00:00+02:00",
        ),
        (
            "day",
            "Europe/Berlin",
            "2026-10-25T12:00+01:00",
            "2026-10-25",
            "2026-10-25T00:00+02:00",
            "2026-10-26T00:00+01:00",
        ),
        ("week", "UTC", "2026-11-27T00:00+00:00", "2026-W48", "2026-11-23T00:00+00:00", "2026-11-30T00:00+00:00"),
        ("week", "UTC", "2027-01-01T00:00+00:00", "2026-W53", "2026-12-28T00:00+00:00", "2027-01-04T00:00+00:00"),
        (
            "month",
            "America/New_York",
            "2026-02-28T23:59-05:00",
            "2026-02",
            "2026-02-01T00:00-05:00",
            "2026-03-01T00:00-05:00",
        ),
        (
            "month",
            "Asia/Kathmandu",
            "2027-12-31T18:15+00:00",
            "2028-01",
            "2028-01-01T00:00+05:45",
            "2028-02-01T00:00+05:45",
        ),
        (
            "year",
            "Pacific/Auckland",
            "2026-12-31T12:00+00:00",
            "2027",
            "2027-01-01T00:00+13:00",
            "2028-01-01T00:00+13:00",
        ),
        (
            "day",
            "America/Sao_Paulo",
            "2018-11-04T12:00-02:00",
            "2018-11-04",
            "2018-11-04T01:00-02:00",
            "2018-11-05T00:00-02:00",
        ),
        (
            "day",
            "America/Havana",
            "2025-11-02T12:00-05:00",
            "2025-11-02",
            "2025-11-02T00:00-04:00",
            "2025-11-03T00:00-05:00",
        ),
        (
            "day",
            "Pacific/Apia",
            "2011-12-29T12:00-10:00",
            "2011-12-29",
            "2011-12-29T00:00-10:00",
            "2011-12-31T00:00+14:00",
        ),
        (
            "hour",
            "Asia/Kolkata",
            "2026-11-27T10:45+00:00",
            "2026-11-27T10:30:00Z",
            "2026-11-27T10:30+00:00",
            "2026-11-27T11:30+00:00",
        ),
        (
            "hour",
            "Australia/Lord_Howe",
            "2026-04-05T01:45+10:30",
            "2026-04-04T15:00:00Z",
            "2026-04-04T15:00+00:00",
            "2026-04-04T15:30+00:00",
        ),
        (
            "minute",
            "UTC",
            "2026-12-31T23:59:59+00:00",
            "2026-12-31T23:59:00Z",
            "2026-12-31T23:59+00:00",
            "2027-01-01T00:00+00:00",
        ),
        (
            "second",
            "UTC",
            "2026-12-31T23:59:59+00:00",
            "2026-12-31T23:59:59Z",
            "2026-12-31T23:59:59+00:00",
            "2027-01-01T00:00+00:00",
        ),
    ],
)
def test_known_periods(unit: Unit, zone: str, now: str, name: str, start: str, end: str) -> None:
    assert period(Calendar(unit, zone), at(now)) == Period(name, at(start), at(end))


def test_a_midnight_in_the_middle_of_skipped_time() -> None:
    """Toronto, 1919: clocks went from 23:30 on 30 March to 00:30 on the 31st, the only such change there has been."""
    calendar, change = Calendar("day", "America/Toronto"), at("1919-03-31T00:30:00-04:00")
    assert period(calendar, change) == Period("1919-03-31", change, at("1919-04-01T00:00:00-04:00"))
    assert period(calendar, change - 1) == Period("1919-03-30", at("1919-03-30T00:00:00-05:00"), change)


def test_clocks_set_back_over_midnight_do_not_bring_a_day_back() -> None:
    """Newfoundland, 2010: at 00:01 on 7 November clocks showed 23:01 of the 6th again."""
    calendar = Calendar("day", "America/St_Johns")
    first, again = at("2010-11-07T02:30:30+00:00"), at("2010-11-07T02:40:00+00:00")
    assert local("America/St_Johns", again).day == 6
    assert period(calendar, first).id == period(calendar, again).id == "2010-11-07"


def test_a_zone_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        period(Calendar("day", "Europe/Atlantis"), at("2026-01-01T00:00+00:00"))


@slow_machine
@given(st.integers(1, 86400 * 31), moments)
def test_a_part_of_a_rolling_window_is_left_when_it_is_wholly_outside(seconds: int, now: int) -> None:
    """A charge counts for `seconds` at least, and at most one part longer (rounded up to a nanosecond)."""
    index = bucket(seconds, now)
    end = bucket_end(seconds, index)
    release = end + seconds * SECOND
    assert now < end
    assert bucket(seconds, end - 1) == index
    assert bucket(seconds, end) == index + 1
    assert now + seconds * SECOND < release <= now + seconds * SECOND * (BUCKETS + 1) // BUCKETS + 1
    assert bucket(seconds, release) == index + BUCKETS + 1


def test_utc_is_the_epochs_day() -> None:
    day = 86400 * SECOND
    assert period(Calendar("day"), 3 * day + 5) == Period(
        datetime(1970, 1, 4, tzinfo=UTC).date().isoformat(), 3 * day, 4 * day
    )
