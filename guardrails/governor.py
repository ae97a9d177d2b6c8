"""Decides when a rule that is too slow, or acts too often, goes to shadow until it is looked at. Pure: told, and asked.

The caller tells it about each inspection of a rule with the time on a monotonic clock, passes `demoted` on to the
engine, and makes an event of each `Demotion`.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from guardrails.policy import Bounds


class Demotion(msgspec.Struct, frozen=True):
    """A rule went to shadow."""

    rule: str
    reason: Literal["latency", "match_rate"]
    value: float
    """Mean microseconds, or share of inspections, over the window."""
    bound: float
    until: float
    """On the caller's clock, seconds; inf: until a person ends it."""


class _Window:
    """Sums over the current stretch of time and the one before, so that old inspections fade and none is kept."""

    __slots__ = ("begin", "matched", "micros", "previous", "seen")

    def __init__(self, now: float) -> None:
        self.begin = now
        self.seen = self.matched = 0
        self.micros = 0.0
        self.previous = (0, 0, 0.0)

    def add(self, matched: bool, micros: float, now: float, length: float) -> tuple[int, int, float]:
        """Inspections, matches and microseconds of the last one to two `length`s."""
        if now - self.begin >= length:
            recent = now - self.begin < 2 * length
            self.previous = (self.seen, self.matched, self.micros) if recent else (0, 0, 0.0)
            self.begin = now
            self.seen = self.matched = 0
            self.micros = 0.0
        self.seen += 1
        self.matched += matched
        self.micros += micros
        seen, matches, spent = self.previous
        return self.seen + seen, self.matched + matches, self.micros + spent


class Governor:
    """Keeps the bounds of rules, by id. Rules without an entry are never demoted."""

    __slots__ = ("_bounds", "_over", "_until", "_windows", "counts")

    def __init__(self, bounds: Mapping[str, Bounds]) -> None:
        self._bounds = dict(bounds)
        self._windows: dict[str, _Window] = {}
        self._until: dict[str, float] = {}
        self._over: set[str] = set()
        """Rules whose demotion was seen to be over before `ended` told of it."""
        self.counts: Counter[tuple[str, str]] = Counter()
        """Demotions by rule and reason."""

    @property
    def rules(self) -> Collection[str]:
        """Ids of the rules that have bounds."""
        return self._bounds.keys()

    def tell(self, rule: str, matched: bool, micros: float, now: float) -> Demotion | None:
        """One inspection. `matched`: the rule acted, or would have; `micros`: what its detector took; `now`: seconds.
        Returns the demotion this brings about."""
        bounds = self._bounds.get(rule)
        if bounds is None:
            return None
        if rule in self._until:
            if now < self._until[rule]:
                return None
            del self._until[rule]
            self._over.add(rule)
        window = self._windows.get(rule)
        if window is None:
            window = self._windows[rule] = _Window(now)
        seen, matches, spent = window.add(matched, micros, now, bounds.window)
        if seen < bounds.at_least:
            return None
        until = now + bounds.cooling
        if spent / seen > bounds.micros:
            demotion = Demotion(rule, "latency", spent / seen, bounds.micros, until)
        elif matches / seen > bounds.match_rate:
            demotion = Demotion(rule, "match_rate", matches / seen, bounds.match_rate, until)
        else:
            return None
        self.counts[rule, demotion.reason] += 1
        self._until[rule] = until
        del self._windows[rule]
        return demotion

    def demoted(self, now: float) -> frozenset[str]:
        """Rules that are to be in shadow now."""
        if not self._until:
            return frozenset()
        return frozenset(rule for rule, until in self._until.items() if now < until)

    def ended(self, now: float) -> list[str]:
        """Rules whose demotion is over, told once each."""
        over = [rule for rule, until in self._until.items() if now >= until] if self._until else []
        for rule in over:
            del self._until[rule]
        if self._over:
            over = sorted(self._over.union(over))
            self._over.clear()
        return over

    def take_over(self, earlier: "Governor", rules: Collection[str]) -> None:
        """Go on with these rules where `earlier` is: what it has seen of them, and until when they are in shadow."""
        for rule in rules:
            if rule in earlier._windows:
                self._windows[rule] = earlier._windows[rule]
            if rule in earlier._until:
                self._until[rule] = earlier._until[rule]
        self.counts.update({key: count for key, count in earlier.counts.items() if key[0] in rules})

    def restore(self, rule: str) -> None:
        """A person ends a demotion."""
        self._until.pop(rule, None)
