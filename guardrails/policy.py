"""Policies as they are compiled: what each rule looks for, where, how sure it must be, and what it does about it.

A rule names one detector and is independent of the others: rules of all policies compose, each in its own mode, and the
strongest enforced action wins. What is written in YAML and how it becomes this is the caller's business.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import Literal, Protocol

import msgspec

from guardrails.interface import Action, Direction, Mode

Beyond = Literal["block", "allow", "scan_head_and_tail"]
OnFailure = Literal["open", "closed"]

SEVERITY: Mapping[Action, int] = MappingProxyType(
    {"allow": 0, "flag": 1, "pseudonymize": 2, "redact": 3, "hash": 4, "mask": 5, "reroute": 6, "block": 7}
)
"""Which of two actions wins: the one that lets less through."""
REWRITING: frozenset[Action] = frozenset(("mask", "redact", "hash", "pseudonymize"))
MAX_SCAN = 1_000_000
_NOTHING: Mapping[str, float] = MappingProxyType({})


class PolicyError(ValueError):
    """Policies that cannot be compiled. `problems`: all of them, each naming its rule."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class ValuePattern(Protocol):
    """A compiled expression, such as RE2's; linear in the value's length, since it runs on what users write."""

    def fullmatch(self, value: str, /) -> object | None: ...


class AllowList(msgspec.Struct, frozen=True):
    """Values that are no finding although they match."""

    values: frozenset[str] = frozenset()
    """Whole values, compared without regard to case."""
    digests: frozenset[str] = frozenset()
    """`Finding.digest` of values, so that a false positive is allowed without its text being stored."""
    patterns: tuple[ValuePattern, ...] = ()
    """Match the whole value."""


class Bounds(msgspec.Struct, frozen=True):
    """When a rule is demoted to shadow by `guardrails/governor.py`."""

    micros: float = math.inf
    """Longest tolerable mean time in microseconds that the rule's detector takes per inspection."""
    match_rate: float = 1.0
    """Largest tolerable share of inspections in which the rule acts, 0 to 1."""
    window: float = 60.0
    """Seconds over which both are taken."""
    at_least: int = 100
    """Inspections in the window before anything is concluded."""
    cooling: float = 600.0
    """Seconds a demotion lasts; inf: until a person ends it."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule. Empty sets mean: all of them."""

    id: str
    """Unique over all policies of an engine."""
    detector: str
    """Name of a `Detector`, a `Classifier`, or an external source of matches."""
    types: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    """`Match.rule` ids that are switched off."""
    threshold: float = 0.0
    """Least score of a finding, 0 to 1."""
    thresholds: Mapping[str, float] = _NOTHING
    """The same for single types."""
    on: frozenset[Direction] = frozenset(("request", "response"))
    roles: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    """For other teams the rule does not exist."""
    rollout: float = 100.0
    """Percentage of request keys for which the mode is in force; for the others the rule is in shadow."""
    allow: AllowList = AllowList()
    action: Action = "flag"
    reroute_to: str = ""
    """Model, for action `reroute`."""
    message: str = ""
    """What the refusal says, for action `block`."""
    answer: str = ""
    """What the client gets as the model's answer instead of a refusal, for action `block`."""
    mode: Mode = "enforce"
    max_scan: int = MAX_SCAN
    """Characters of one text in which matches may start."""
    max_total: float = math.inf
    """Characters of one request that are judged, all its texts together; the text that goes beyond them, and those
    behind it, are not. An answer is as long as its model made it, and has no such bound."""
    beyond: Beyond = "block"
    """What a longer text meets. `block`: it is blocked. `allow`: the rest is not looked at, which is recorded.
    `scan_head_and_tail`: half of `max_scan` at each end of a request's text; answers are scanned whole, because a
    stream's tail is not known while it runs, and a whole answer must come out as a stream does. Beyond `max_total` it
    is `allow`."""
    on_failure: OnFailure = "closed"
    """What a text meets that the detector failed on: `closed` blocks it, `open` passes it without this rule."""
    bounds: Bounds = Bounds()


class Policy(msgspec.Struct, frozen=True):
    """Rules that belong together."""

    name: str
    rules: tuple[Rule, ...]


def in_rollout(rule: str, percent: float, key: str) -> bool:
    """Whether `key` is among the first `percent` of a rule. Stable; independent between rules; a larger percentage
    keeps everybody who was in a smaller one."""
    if percent >= 100.0:
        return True
    digest = blake2b(f"{rule}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) * 100.0 < percent * 2.0**64


def problems(
    policies: Sequence[Policy], detectors: Collection[str], classifiers: Collection[str], external: Collection[str]
) -> list[str]:
    """Everything that is wrong with policies, for one that has these detectors; empty when nothing is."""
    found: list[str] = []
    seen: set[str] = set()
    for policy in policies:
        for rule in policy.rules:
            place = f"{policy.name}, rule {rule.id}"
            if rule.id in seen:
                found.append(f"{place}: the id is used twice")
            seen.add(rule.id)
            if rule.detector not in detectors and rule.detector not in classifiers and rule.detector not in external:
                found.append(f"{place}: there is no detector {rule.detector!r}")
            if rule.detector in classifiers and rule.action in REWRITING:
                found.append(f"{place}: {rule.detector} judges whole texts, which {rule.action} cannot rewrite")
            found += [f"{place}: {what}" for what in _problems(rule)]
    return found


def _problems(rule: Rule) -> list[str]:
    scores = (rule.threshold, *rule.thresholds.values())
    checks = (
        (not rule.id, "a rule needs an id"),
        (not rule.on, "`on` is empty: the rule would never run"),
        (not all(0.0 <= score <= 1.0 for score in scores), "a threshold is a number from 0 to 1"),
        (not 0.0 <= rule.rollout <= 100.0, "the rollout is a percentage from 0 to 100"),
        (rule.max_scan < 1, "max_scan is at least 1"),
        (rule.max_total < 1, "max_total is at least 1"),
        (rule.action == "reroute" and not rule.reroute_to, "reroute needs a model"),
        (rule.action == "reroute" and "response" in rule.on, "an answer cannot be rerouted: set on: [request]"),
        (not 0.0 <= rule.bounds.match_rate <= 1.0, "match_rate is a share from 0 to 1"),
        (rule.bounds.window <= 0 or rule.bounds.at_least < 1, "the window of the bounds holds nothing"),
    )
    return [what for wrong, what in checks if wrong]
