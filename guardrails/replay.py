"""What a change of policies would have done to findings that were logged: they are judged by the old rules and by the
new, without any text.

A logged finding has what a rule asks of a match (detector, type, pattern, score, digest) and of where it stands
(direction, role, operation, team), so that thresholds, types, allow-lists by digest or value, modes, actions and
rollouts can be tried on it. What no rule found then is not in the log: `gaps` says which of the new rules would look at
more than the old ones did.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

import msgspec

from guardrails.actions import Hasher
from guardrails.interface import Action, Direction
from guardrails.policy import REWRITING, SEVERITY, Policy, Rule, in_rollout

EXAMPLES = 20
"""Changed exchanges that are named."""


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of the log."""

    exchange: str
    team: str
    key: str
    operation: str
    direction: Direction
    role: str
    place: str
    start: int
    end: int
    detector: str
    type: str
    pattern: str
    score: float
    digest: str
    rule: str
    """Of the policy that asked for it then."""

    @property
    def match(self) -> tuple[object, ...]:
        """What is the same where several rules found one thing."""
        return (self.direction, self.role, self.place, self.start, self.end, self.detector, self.type, self.pattern,
                self.digest)  # fmt: skip


class RuleReplay(msgspec.Struct):
    """Findings of one rule, and those it acts on; exchanges in which it acts."""

    policy: str
    old_found: int = 0
    new_found: int = 0
    old_acted: int = 0
    new_acted: int = 0
    old_exchanges: int = 0
    new_exchanges: int = 0


class Totals(msgspec.Struct):
    """Exchanges by what is done to them."""

    blocked: int = 0
    rewritten: int = 0
    rerouted: int = 0

    def count(self, action: Action) -> None:
        self.blocked += action == "block"
        self.rewritten += action in REWRITING
        self.rerouted += action == "reroute"


class TeamReplay(msgspec.Struct):
    """The same for one team. `changed`: exchanges that meet something else."""

    changed: int = 0
    old: Totals = msgspec.field(default_factory=Totals)
    new: Totals = msgspec.field(default_factory=Totals)


class Example(msgspec.Struct, frozen=True):
    """One exchange that would meet something else."""

    exchange: str
    team: str
    old: Action
    new: Action
    rules: tuple[str, ...]
    """That act in one and not in the other; else all that act."""


class Side:
    """One configuration: the policies of each team, as the teams name them. `key` and `previous`: for digests of
    allowed values, as `Hasher` has them. The log was written with either."""

    def __init__(self, teams: Mapping[str, Sequence[Policy]], key: bytes, previous: bytes = b"") -> None:
        hashers = [Hasher(key), Hasher(previous)] if previous else [Hasher(key)]
        self.keys = frozenset({key, previous} - {b""})
        self.rotated = bool(previous)
        self.rules: dict[str, list[tuple[str, Rule, frozenset[str]]]] = {}
        """By team: policy, rule, and the digests it allows, those of whole values included."""
        for team, policies in teams.items():
            self.rules[team] = [
                (policy.name, rule, rule.allow.digests | _digests(rule, hashers))
                for policy in policies
                for rule in policy.rules
                if not rule.teams or team in rule.teams
            ]

    def judge(self, matches: Iterable[tuple[Logged, int]]) -> dict[str, tuple[str, Rule, int, bool]]:
        """Of one exchange's matches (each with how often it was found): by rule that finds any, its policy, the rule,
        how many, and whether it acts."""
        found: dict[str, tuple[str, Rule, int, bool]] = {}
        for logged, times in matches:
            for policy, rule, allowed in self.rules.get(logged.team, ()):
                if wants(rule, logged) and logged.digest not in allowed:
                    before = found.get(rule.id)
                    acts = rule.mode == "enforce" and SEVERITY[rule.action] > SEVERITY["flag"]
                    acts = acts and in_rollout(rule.id, rule.rollout, logged.key)
                    found[rule.id] = (policy, rule, times + (before[2] if before else 0), acts)
        return found


def _digests(rule: Rule, hashers: Sequence[Hasher]) -> frozenset[str]:
    return frozenset(hasher.digest(value) for value in rule.allow.values for hasher in hashers)


def wants(rule: Rule, logged: Logged) -> bool:
    """Whether a rule looks where a finding was, and would call it one; its allow-list and team apart."""
    if logged.detector != rule.detector or logged.direction not in rule.on:
        return False
    if (rule.roles and logged.role not in rule.roles) or (rule.operations and logged.operation not in rule.operations):
        return False
    if (rule.types and logged.type not in rule.types) or logged.pattern in rule.without:
        return False
    if rule.beyond != "scan_head_and_tail" and logged.start >= rule.max_scan:
        return False
    return logged.score >= rule.thresholds.get(logged.type, rule.threshold)


class Replay:
    """Takes the log, an exchange at a time, and counts what changes."""

    def __init__(self, old: Side, new: Side) -> None:
        self._old = old
        self._new = new
        self.exchanges = 0
        self.findings = 0
        """As they were logged: of several rules that found one thing, each is one."""
        self.changed = 0
        self.old = Totals()
        self.new = Totals()
        self.rules: dict[str, RuleReplay] = {}
        self.teams: dict[str, TeamReplay] = {}
        self.examples: list[Example] = []

    def add(self, logged: Sequence[Logged]) -> None:
        """All findings that were logged of one exchange; at least one."""
        matches = _matches(logged)
        before, after = self._old.judge(matches), self._new.judge(matches)
        self.exchanges += 1
        self.findings += len(logged)
        for policy, rule, times, acts in before.values():
            counts = self.rules.setdefault(rule.id, RuleReplay(policy))
            counts.old_found += times
            counts.old_acted += times if acts else 0
            counts.old_exchanges += acts
        for policy, rule, times, acts in after.values():
            counts = self.rules.setdefault(rule.id, RuleReplay(policy))
            counts.new_found += times
            counts.new_acted += times if acts else 0
            counts.new_exchanges += acts
        was, would = _enforced(before), _enforced(after)
        team = self.teams.setdefault(logged[0].team, TeamReplay())
        for totals in (self.old, team.old):
            totals.count(was)
        for totals in (self.new, team.new):
            totals.count(would)
        acting, will_act = _acting(before), _acting(after)
        if was != would or acting != will_act:
            self.changed += 1
            team.changed += 1
            if len(self.examples) < EXAMPLES:
                rules = tuple(sorted(acting ^ will_act or acting | will_act))
                self.examples.append(Example(logged[0].exchange, logged[0].team, was, would, rules))


def gaps(old: Side, new: Side) -> dict[str, dict[str, list[str]]]:
    """What the log cannot tell of the new rules: by rule, each reason, and the teams it holds for. Empty: nothing that
    a new rule looks for was left out by all of the old ones."""
    found: dict[str, dict[str, list[str]]] = {}
    for team, rules in new.rules.items():
        before = [(rule, allowed) for _, rule, allowed in old.rules.get(team, ())]
        for _, rule, allowed in rules:
            same = [(each, allows) for each, allows in before if each.detector == rule.detector]
            missing = [_missing(each, allows, rule, allowed) for each, allows in same]
            if not missing:
                missing = [[f"no rule of this team asked {rule.detector} before: what it would find is not known"]]
            if all(missing):
                named = [at for at, (each, _) in enumerate(same) if each.id == rule.id]
                for reason in missing[named[0] if named else 0]:
                    found.setdefault(rule.id, {}).setdefault(reason, []).append(team)
            for reason in [*_not_tried(same, rule), *_of_keys(same, rule, old, new)]:
                found.setdefault(rule.id, {}).setdefault(reason, []).append(team)
    return found


def _missing(old: Rule, old_allowed: frozenset[str], new: Rule, new_allowed: frozenset[str]) -> list[str]:
    """Why the old rule did not see all that the new one looks for; empty: it did."""
    reasons: list[str] = []
    types = sorted(new.types or old.types)
    if old.types and not new.types:
        reasons.append("it looks for every type, and the old rule only for some")
    elif unseen := sorted(new.types - old.types) if old.types else []:
        reasons.append(f"{_listed(unseen)}: not looked for before")
    scores = [(type_, new.thresholds.get(type_, new.threshold), old.thresholds.get(type_, old.threshold))
              for type_ in types or ["its types"]]  # fmt: skip
    lower = sorted({(now, was) for _, now, was in scores if now < was})
    reasons += [f"scores from {now:g} to {was:g}: below the old threshold" for now, was in lower]
    if back := sorted(old.without - new.without):
        reasons.append(f"{_listed(back)}: switched off before")
    directions: tuple[Direction, ...] = get_args(Direction)
    reasons += [f"{way}s: not looked at before" for way in directions if way in new.on - old.on]
    for what, was, now in (("roles", old.roles, new.roles), ("operations", old.operations, new.operations)):
        if was and (not now or now - was):
            reasons.append(f"{what}: the old rule looked at {_listed(sorted(was))} only")
    if old_allowed - new_allowed or set(old.allow.patterns) - set(new.allow.patterns):
        reasons.append("values that the old allow-list names: they were no findings")
    if new.max_scan > old.max_scan:
        reasons.append(f"what stands behind {old.max_scan} characters: not looked at before")
    return reasons


def _not_tried(same: Sequence[tuple[Rule, frozenset[str]]], new: Rule) -> list[str]:
    """What of a new rule has no effect on logged findings although it would have on texts."""
    known = {pattern for rule, _ in same for pattern in rule.allow.patterns}
    return ["its new allow-patterns: they need the text"] if set(new.allow.patterns) - known else []


def _of_keys(same: Sequence[tuple[Rule, frozenset[str]]], rule: Rule, old: Side, new: Side) -> list[str]:
    """What of a rule's digests cannot be compared with those of the log, because a key changed. A digest does not say
    which key it was made with."""
    known = {digest for each, _ in same for digest in each.allow.digests}
    reasons: list[str] = []
    if new.rotated and rule.allow.digests - known:
        reasons.append(
            "its new digests, if the previous key made them: what was found since has those of the present one"
        )
    if old.keys - new.keys and rule.allow.digests & known:
        reasons.append("its digests, if they were made with a key that is no longer set: they match nothing more")
    return reasons


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def _matches(logged: Sequence[Logged]) -> list[tuple[Logged, int]]:
    """Each thing that was found once, with how often it was: of several rules, as often as any of them says."""
    times: dict[tuple[object, ...], dict[str, int]] = {}
    first: dict[tuple[object, ...], Logged] = {}
    for each in logged:
        by_rule = times.setdefault(each.match, {})
        by_rule[each.rule] = by_rule.get(each.rule, 0) + 1
        first.setdefault(each.match, each)
    return [(each, max(times[match].values())) for match, each in first.items()]


def _enforced(found: Mapping[str, tuple[str, Rule, int, bool]]) -> Action:
    acting: list[Action] = [rule.action for _, rule, _, acts in found.values() if acts]
    return max(acting, key=lambda action: SEVERITY[action]) if acting else "allow"


def _acting(found: Mapping[str, tuple[str, Rule, int, bool]]) -> frozenset[str]:
    return frozenset(rule.id for _, rule, _, acts in found.values() if acts)
