"""Spend anomalies: a team's hour against the same hour of the weeks before, by a robust z-score. Pure, in integers.

The score is 0.6745 (x - median) / MAD, MAD being the median absolute deviation (Iglewicz and Hoaglin, 1993), which one
outlier in the past does not move. A team that spends the same every week has a MAD of nothing, so that a tenth of its
median is the least it can be.
"""

from collections.abc import Mapping, Sequence

from gateway.incidents.detect import Finding
from gateway.settings.incident_options import IncidentOptions

HOUR = 3600
WEEKS = 8
DAYS = 14
LEAST_SAMPLES = 4
"""Past hours without which nothing is judged."""


def baseline_hours(hour: int) -> tuple[list[int], list[int]]:
    """The same hour of the weeks before, and of the days before (hours as seconds since the epoch)."""
    weekly = [hour - week * 7 * 24 * HOUR for week in range(1, WEEKS + 1)]
    return weekly, [hour - day * 24 * HOUR for day in range(1, DAYS + 1)]


def median(values: Sequence[int]) -> int:
    """The middle one of sorted values; of two, the lower half of their sum."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def robust_z(value: int, past: Sequence[int]) -> float:
    """How many robust standard deviations `value` is above the median of `past`. Raises `ValueError` without a past."""
    if not past:
        raise ValueError("there is nothing to compare with")
    usual = median(past)
    spread = max(median([abs(each - usual) for each in past]), usual // 10, 1)
    return 0.6745 * (value - usual) / spread


def judge(team: str, by_hour: Mapping[int, int], hours: Sequence[int], options: IncidentOptions) -> Finding | None:
    """The worse of these hours of one team; `by_hour`: its nano-dollars. Hours before its first spend are no past."""
    first = min(by_hour, default=0)
    worst: Finding | None = None
    for hour in hours:
        nanos = by_hour.get(hour, 0)
        weekly, daily = ([by_hour.get(each, 0) for each in past if each >= first] for past in baseline_hours(hour))
        if len(weekly) >= LEAST_SAMPLES:
            found = _judged(team, nanos, weekly, "week", options)
        elif len(daily) >= LEAST_SAMPLES and 2 * max(weekly, default=0) < nanos:
            # A weekly job of a few weeks is an anomaly among the days, and none.
            found = _judged(team, nanos, daily, "day", options)
        else:
            continue
        if found is not None and (worst is None or worst.level != "firing"):
            worst = found
    return worst


def _judged(team: str, nanos: int, past: Sequence[int], which: str, options: IncidentOptions) -> Finding | None:
    usual = median(past)
    z = robust_z(nanos, past)
    fires = z >= options.spend_z and nanos - usual >= options.spend_floor
    if not fires and not (z >= options.spend_z / 2 and nanos - usual >= options.spend_floor // 2):
        return None
    return Finding(
        signal="spend",
        subject=team,
        severity="ticket",
        level="firing" if fires else "holding",
        title=f"The team '{team}' spent {_spoken(nanos)} USD in an hour; "
        f"usual at this hour of the {which} is {_spoken(usual)} USD",
        detail={"spent_usd": _usd(nanos), "usual_usd": _usd(usual), "z": round(min(z, 1e6), 1), "teams": [team]},
    )


def _spoken(nanos: int) -> str:
    """With thousands apart: what is read at night must not be taken for a tenth of it."""
    return f"{nanos // 10**9:,}.{nanos % 10**9 // 10**7:02d}"


def _usd(nanos: int) -> str:
    return f"{nanos // 10**9}.{nanos % 10**9 // 10**7:02d}"
