"""How many counters a rule may have for values that clients choose (tags, models behind a wildcard). No I/O.

Who may write any tag could begin counters without end, each of which lives as long as its window: memory, or keys in
Redis. So a rule has `most` of them in a worker, for each team that it counts apart by; values that come beyond count
together on one counter more, with the same amount. That refuses early, never late.

A value has its place from when it is met until it was not met for one to two windows; what is remembered elsewhere
(`gateway.limits.program.Kept`) is not met. So there are `most` values with a place at any time, and counters of three
times as many at the very worst.
"""

from collections.abc import Callable

import msgspec

from gateway.quota import MOST_SECONDS, Bound, Calendar, Rolling, Rule, Smooth

MOST = 100_000
"""Of a rule (and team). One takes about 0.5 kB in memory, or 0.3 kB in Redis."""
OTHERS = "#others"
"""Ends the name of the counter of all others; no value is written so (`gateway.limits.program.escaped`)."""
_MOMENT = 60.0
"""Seconds what is under way keeps a place."""


def chosen(rule: Rule) -> bool:
    """Whether clients choose what a rule counts apart by."""
    return any(name == "model" or name.startswith("tag:") for name in rule.each)


class Crowd:
    """The values of one rule (and team) that have a place."""

    __slots__ = ("earlier", "recent", "since", "window")

    def __init__(self, window: float, now: float) -> None:
        self.window = window
        self.since = now
        self.recent: dict[str, None] = {}
        self.earlier: dict[str, None] = {}
        """Not met since `since`."""

    def has(self, key: str, now: float, most: int) -> bool:
        """Whether it has a place, if there is one left for it."""
        if now - self.since >= self.window:
            self.earlier = self.recent if now - self.since < 2 * self.window else {}
            self.recent, self.since = {}, now
        if key in self.recent:
            return True
        if key in self.earlier:
            del self.earlier[key]
        elif len(self.recent) + len(self.earlier) >= most:
            return False
        self.recent[key] = None
        return True


class Crowds:
    """Those of one worker. They outlive a change of limits' amounts, but not a reload."""

    def __init__(self, now: Callable[[], float], most: int = MOST) -> None:
        """`now`: monotonic seconds."""
        self._now = now
        self._most = most
        self._crowds: dict[str, Crowd] = {}
        self.turned_away: dict[str, int] = {}
        """By rule, how often a value found no place."""

    def place(self, bound: Bound) -> Bound:
        """The bound, or that of all others. Of a rule that counts by what is configured: the bound."""
        rule = bound.rule
        if not chosen(rule):
            return bound
        team = bound.scope.team[0] if len(bound.scope.team) == 1 else ""
        name = f"{rule.id}:{OTHERS}" + (f":{team}" if team else "")
        now = self._now()
        crowd = self._crowds.get(name)
        if crowd is None or crowd.window != _window(rule):
            crowd = self._crowds[name] = Crowd(_window(rule), now)
        if crowd.has(bound.key, now, self._most):
            return bound
        self.turned_away[rule.id] = self.turned_away.get(rule.id, 0) + 1
        return msgspec.structs.replace(bound, key=name, scope=rule.scope)


def _window(rule: Rule) -> float:
    """Seconds a counter that nobody counts on any more may live, about."""
    match rule.window:
        case Rolling(seconds) | Smooth(seconds, _):
            return float(max(seconds, 1))
        case Calendar(unit, _):
            return float(MOST_SECONDS[unit])
        case None:
            return _MOMENT
