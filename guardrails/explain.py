"""What a text meets and why, match by match: the facts behind `tollway guardrails test`."""

import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Literal

import msgspec

from guardrails.detector import Match
from guardrails.engine import PolicyEngine
from guardrails.interface import Action, Direction, Mode, Segment, Verdict
from guardrails.policy import in_rollout
from guardrails.program import CompiledRule, Program

Outcome = Literal["acted", "recorded", "below_threshold", "allowed", "switched_off", "other_type", "beyond_scan"]
SPOKEN: Mapping[Outcome, str] = MappingProxyType(
    {
        "acted": "acted on",
        "recorded": "recorded only",
        "below_threshold": "below the threshold",
        "allowed": "on the allow-list",
        "switched_off": "its rule is switched off",
        "other_type": "not asked for",
        "beyond_scan": "beyond max_scan",
    }
)
"""For people."""


MOST = 1_000_000
"""Characters of a text whose matches are explained one by one; a longer one is more than anybody reads."""


class Explained(msgspec.Struct, frozen=True):
    """One match as one rule sees it. `start`, `end`: characters of the text as given."""

    type: str
    start: int
    end: int
    score: float
    threshold: float
    rule: str
    """Id of the detector's rule."""
    evidence: str
    policy: str
    policy_rule: str
    mode: Mode
    """In force for the key."""
    action: Action
    outcome: Outcome
    digest: str
    """What an allow-list would name."""


class Explanation(msgspec.Struct, frozen=True):
    """`text`: as it would pass on; None: it would not. `read`: characters whose matches are explained."""

    matches: tuple[Explained, ...]
    verdict: Verdict
    text: str | None
    read: int = MOST


def explain(
    engine: PolicyEngine,
    text: str,
    direction: Direction = "request",
    *,
    role: str = "user",
    operation: str = "",
    path: str = "text",
    key: str = "",
    demoted: Collection[str] = (),
) -> Explanation:
    """Every match in a text for every rule that runs on it, also those that are no finding, sorted by start, and what
    becomes of the text. Of what is longer than `MOST` the beginning is explained, and the verdict is of the whole. A
    detector that fails shows in the verdict. Texts in JSON are explained as they are written, not decoded; the verdict
    is exact."""
    segment = Segment(path, role, text)
    verdict = engine.inspect([segment], direction, operation, key=key, demoted=demoted)
    program = engine.program(direction, operation, role)
    matches: list[Explained] = []
    if program is not None:
        for match, rules in _matches(program, text[:MOST], role):
            for compiled in rules:
                mode = compiled.rule.mode
                if compiled.rule.id in demoted or not in_rollout(compiled.rule.id, compiled.rule.rollout, key):
                    mode = "shadow"
                matches.append(_explained(engine, compiled, match, text, direction, mode))
    matches.sort(key=lambda m: (m.start, -m.end, m.policy, m.policy_rule))
    passed = verdict.rewrites[0].text if verdict.rewrites else text
    return Explanation(
        tuple(matches), verdict, None if verdict.enforced == "block" else passed, read=min(len(text), MOST)
    )


def _matches(program: Program, text: str, role: str) -> list[tuple[Match, tuple[CompiledRule, ...]]]:
    found: list[tuple[Match, tuple[CompiledRule, ...]]] = []
    text = text.encode("utf-8", "replace").decode()
    hits = program.scanner.by_detector(program.gate.scan(text.encode()) if program.gate is not None else ())
    for number in program.detectors:
        detector = program.scanner.detectors[number]
        if number in hits or not detector.expressions:
            with suppress(Exception):
                found += [(match, program.rules_of[number]) for match in detector.confirm(text, hits.get(number, ()))]
    for classifier, rules in program.classifiers:
        with suppress(Exception):
            found += [(match, rules) for match in classifier.judge(text, role)]
    return found


def _explained(
    engine: PolicyEngine, compiled: CompiledRule, match: Match, text: str, direction: Direction, mode: Mode
) -> Explained:
    rule = compiled.rule
    value = text[match.start : match.end]
    whole = len(text) if direction == "request" else math.inf
    outcome: Outcome = "acted" if mode == "enforce" and rule.action not in ("allow", "flag") else "recorded"
    if rule.types and match.type not in rule.types:
        outcome = "other_type"
    elif match.rule in rule.without:
        outcome = "switched_off"
    elif not compiled.wants(match):
        outcome = "below_threshold"
    elif not compiled.reaches(match.start, whole):
        outcome = "beyond_scan"
    elif compiled.allows(value, engine.hasher):
        outcome = "allowed"
    return Explained(
        match.type, match.start, match.end, match.score, compiled.threshold(match.type), match.rule, match.evidence,
        compiled.policy, rule.id, mode, rule.action, outcome, engine.hasher.digest(value),
    )  # fmt: skip
