"""Policies compiled for one team, direction, operation and role: which detectors run, and what each finding meets."""

import math
from collections.abc import Callable, Collection, Sequence

from guardrails.actions import Hasher
from guardrails.detector import Classifier, Match, Pausing
from guardrails.glance import LARGEST
from guardrails.interface import Direction
from guardrails.matching.extent import joined
from guardrails.policy import REWRITING, SEVERITY, Policy, Rule
from guardrails.remembered import Remembered
from guardrails.scanner import Scanner

SLICE = 200_000
"""Characters in which matches are looked for at a time, at most;"""
PIECE = 25_000
"""and at least, where others are let go first in between."""
WORD = 64
"""what is longer than this many characters is no word of prose."""


class CompiledRule:
    """A rule with what is asked of it on every match worked out beforehand. `place`: its place over all policies."""

    __slots__ = (
        "_allow", "_scores", "_types", "_values", "_without", "both_ends", "place", "policy", "rewrites", "rule",
        "severity",
    )  # fmt: skip

    def __init__(self, rule: Rule, policy: str, place: int) -> None:
        self.rule = rule
        self.policy = policy
        self.place = place
        self.severity = SEVERITY[rule.action]
        self.rewrites = rule.action in REWRITING
        self._types = rule.types
        self._without = rule.without
        self._scores = rule.thresholds
        allow = rule.allow
        self._values = frozenset(value.casefold() for value in allow.values)
        self._allow = allow if allow.values or allow.digests or allow.patterns else None
        self.both_ends = rule.beyond == "scan_head_and_tail"

    def wants(self, match: Match) -> bool:
        """Whether type and score make it a finding."""
        if self._types and match.type not in self._types:
            return False
        if match.rule in self._without:
            return False
        return match.score >= self.threshold(match.type)

    def threshold(self, type: str) -> float:
        """The least score of a finding of this type."""
        return self._scores.get(type, self.rule.threshold) if self._scores else self.rule.threshold

    def allows(self, value: str, hasher: Hasher) -> bool:
        """Whether the allow-list names this value."""
        allow = self._allow
        if allow is None:
            return False
        if self._values and value.casefold() in self._values:
            return True
        if allow.digests and hasher.fits(value, allow.digests):
            return True
        return any(pattern.fullmatch(value) is not None for pattern in allow.patterns)

    def reaches(self, start: int, length: float) -> bool:
        """Whether a match may start there in a text of `length` characters; inf: an answer's, which may go on."""
        limit = self.rule.max_scan
        if start < limit and not self.both_ends:
            return True
        if not self.both_ends:
            return False
        return math.isinf(length) or length <= limit or start < limit // 2 or start >= length - (limit - limit // 2)


class Program:
    """What runs on texts of one role. All of it is worked out when policies are loaded."""

    __slots__ = (
        "before", "both_ends", "cap", "classifiers", "detectors", "extent", "external", "gate", "gated", "glanced",
        "key", "lead_of", "leads", "limits", "lone", "paused", "plain", "quick", "reach", "rules", "rules_of",
        "scanner", "settles", "shortest", "word",
    )  # fmt: skip

    def __init__(
        self,
        rules: Sequence[CompiledRule],
        scanner: Scanner,
        direction: Direction,
        remembered: Remembered | None = None,
    ) -> None:
        self.scanner = scanner
        self.rules = tuple(rules)
        by_name: dict[str, list[CompiledRule]] = {}
        for compiled in rules:
            by_name.setdefault(compiled.rule.detector, []).append(compiled)
        used = [number for number, detector in enumerate(scanner.detectors) if detector.name in by_name]
        self.detectors = tuple(used)
        """Indices into the scanner's."""
        self.rules_of = {number: tuple(by_name[scanner.detectors[number].name]) for number in used}
        self.gate = scanner.gate if any(scanner.detectors[number].expressions for number in used) else None
        self.classifiers: tuple[tuple[Classifier, tuple[CompiledRule, ...]], ...] = tuple(
            (classifier, tuple(by_name[classifier.name]))
            for classifier in scanner.classifiers
            if classifier.name in by_name
        )
        self.external = {name: tuple(by_name[name]) for name in scanner.external if name in by_name}
        reaches = [scanner.detectors[number].reach for number in used]
        self.paused: dict[int, Pausing] = {
            number: pausing
            for number in used
            if (pausing := getattr(scanner.detectors[number], "confirm_paused", None))
        }
        """The detectors that take long where there is much to look at, and let others go first in between."""
        self.before = max((reach.before for reach in reaches), default=0)
        """Left context that must be kept, in characters,"""
        self.plain = max((reach.before if reach.plain is None else reach.plain for reach in reaches), default=0)
        """and where it is ASCII."""
        self.leads = {
            number: reach.before if reach.lead is None else reach.lead
            for number, reach in zip(used, reaches, strict=True)
        }
        """How far before a match of each detector its hit may end."""
        self.lead_of = [self.leads.get(number, -math.inf) for number in scanner.owners]
        """The same by expression of the gate; of a detector that is not used no hit counts."""
        self.extent = joined([scanner.extent(number) for number in used])
        """How far the used detectors' expressions reach."""
        self.lone = scanner.lone(self.detectors)
        """Words that need not be shown to the gate again."""
        self.reach = {number: reach.length + reach.after for number, reach in zip(used, reaches, strict=True)}
        """How far each detector can need to look behind the start of a match."""
        self.word = -1
        """Characters of a last word that is held without asking: where all detectors are wordwise;"""
        if all(reach.wordwise for reach in reaches):
            self.word = min([WORD, *self.reach.values()])
        self.settles = tuple([(number, scanner.detectors[number].settled, self.reach[number]) for number in used])
        local = [compiled for compiled in rules if compiled.rule.detector not in self.external]
        endless = [c for c in local if c.both_ends and direction == "response"]
        self.limits = tuple(c for c in local if not c.both_ends)
        """Rules that do something about a text longer than their `max_scan`."""
        self.shortest = min((c.rule.max_scan for c in local if c not in endless), default=math.inf)
        self.cap = math.inf if endless else max((c.rule.max_scan for c in local), default=0)
        """Characters of a text behind which no match counts for any rule, but for those of"""
        self.both_ends = not endless and any(c.both_ends for c in local)
        """rules that also look at as many at its end."""
        self.gated = all(scanner.detectors[number].expressions for number in used)
        """Where the gate sees nothing no detector finds anything,"""
        self.quick = self.gated and not self.classifiers and not self.external
        """and nothing else looks."""
        simple = self.quick and self.gate is not None and self.extent.within
        self.glanced = min(LARGEST, self.shortest) if simple else 0
        """Bytes of a body in which a glance of the gate may show that nothing is found."""
        self.key = remembered.key() if remembered is not None and self.classifiers and not self.external else ""
        """What texts are named under that it found clean; empty: judging them takes little, or depends on others."""

    def seen(self, text: str) -> Sequence[tuple[int, int]] | None:
        """What the gate sees in a text of ordinary length; None: that alone does not say what is found."""
        if not self.gated or len(text) > min(self.shortest, SLICE):
            return None
        try:
            return self.gate.scan(text.encode()) if self.gate is not None else ()
        except Exception:
            return None  # the machine finds that out again, and answers for it

    def exceeded(self, passed: float, end: int) -> tuple[list[CompiledRule], float]:
        """The rules that look no further than some place from `passed` to before `end`, and where the next one is."""
        ends = [(compiled.rule.max_scan, compiled) for compiled in self.limits]
        beyond = [compiled for limit, compiled in ends if passed <= limit < end]
        return beyond, min([limit for limit, _ in ends if limit >= end], default=math.inf)

    def settled(self, text: str, dead: Collection[int], failed: Callable[[int, Exception], None]) -> int:
        """Up to where it is certain which matches start in a text that goes on. By locality no detector can need more
        than its reach, whatever it says itself; the `dead` are not asked, and `failed` is told of who breaks."""
        size = low = len(text)
        for number, settled, reach in self.settles:
            if number in dead:
                continue
            try:
                at = settled(text)
            except Exception as error:
                failed(number, error)
                continue
            if at < size - reach:
                at = size - reach
            if at < low:
                low = at
        return low if low > 0 else 0

    def clean(self, text: str) -> bool:
        """Whether it is certain that no detector finds anything in a whole text."""
        seen = self.seen(text)
        return seen is not None and not seen


class Plan:
    """The programs of one direction and operation, by role."""

    __slots__ = ("_by_role", "_other", "counted", "glanced", "remembers", "rules", "total")

    def __init__(
        self,
        rules: Sequence[CompiledRule],
        scanner: Scanner,
        direction: Direction,
        remembered: Remembered | None = None,
    ) -> None:
        def program(rules: Sequence[CompiledRule]) -> Program | None:
            return Program(rules, scanner, direction, remembered) if rules else None

        self.rules = tuple(rules)
        named = {role for c in rules for role in c.rule.roles}
        self._by_role = {
            role: program([c for c in rules if not c.rule.roles or role in c.rule.roles]) for role in named
        }
        self._other = program([c for c in rules if not c.rule.roles])
        programs = [program for program in (*self._by_role.values(), self._other) if program is not None]
        self.total = min((c.rule.max_total for c in rules), default=math.inf) if direction == "request" else math.inf
        """Characters of a body from which on some rules judge no more of it."""
        self.glanced = min([LARGEST, self.total, *(program.glanced for program in programs)])
        """Bytes of a body in which a glance of the gate may show that nothing is found."""
        self.remembers = any(program.key for program in programs)
        """Some texts are remembered."""
        used = {number for program in programs for number in program.detectors}
        self.counted = frozenset(at for at, number in enumerate(scanner.owners) if number in used)
        """The expressions of the gate that count."""

    def program(self, role: str) -> Program | None:
        """What runs on texts of this role; None: nothing."""
        return self._by_role.get(role, self._other)


class Plans:
    """The plans of one team. `operation` of a rule that names some is compared with the operation's name."""

    __slots__ = ("_named", "_operations", "_other", "rules")

    def __init__(
        self, policies: Sequence[Policy], scanner: Scanner, team: str, remembered: Remembered | None = None
    ) -> None:
        def plan(rules: Sequence[CompiledRule], direction: Direction) -> Plan | None:
            return Plan(rules, scanner, direction, remembered) if rules else None

        written = [(policy.name, rule) for policy in policies for rule in policy.rules]
        self.rules = tuple(
            CompiledRule(rule, policy, place)
            for place, (policy, rule) in enumerate(written)
            if not rule.teams or team in rule.teams
        )
        self._operations = frozenset(operation for c in self.rules for operation in c.rule.operations)
        self._named: dict[tuple[Direction, str], Plan | None] = {}
        self._other: dict[Direction, Plan | None] = {}
        directions: tuple[Direction, Direction] = ("request", "response")
        for direction in directions:
            on = [c for c in self.rules if direction in c.rule.on]
            self._other[direction] = plan([c for c in on if not c.rule.operations], direction)
            for operation in self._operations:
                here = [c for c in on if not c.rule.operations or operation in c.rule.operations]
                self._named[direction, operation] = plan(here, direction)

    def plan(self, direction: Direction, operation: str) -> Plan | None:
        """What is to be done there; None: nothing."""
        if operation in self._operations:
            return self._named[direction, operation]
        return self._other[direction]
