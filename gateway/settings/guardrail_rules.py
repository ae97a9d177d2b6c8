"""A written guardrail rule becomes a compiled one, and the part that its detector is made of."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway.settings.guardrail_checks import default_id
from gateway.settings.interpolate import DataPath
from gateway.settings.outside_rules import directions, source_name, types_of
from gateway.settings.schema_guardrails import AllowSection, BoundsSection, PatternSection, RuleSection
from gateway.settings.schema_outside import OUTSIDE
from gateway.settings.workshop import OUTSIDE as OUTSIDE_PART
from gateway.settings.workshop import Part
from guardrails import catalogue
from guardrails.interface import Direction
from guardrails.policy import AllowList, Bounds, Rule
from guardrails.words.errors import WordsError
from guardrails.words.language import UserPattern, read
from guardrails.words.terms import TermList, topics
from guardrails.words.values import WholeValue

USER_THRESHOLD = 0.0
"""Of detectors that a user made: what they find was asked for. Detectors outside have thresholds of their own."""
_EVERYTHING = 1 << 31
"""Characters. Detectors outside have a bound of their own, `max_text`."""


class Placed(NamedTuple):
    """A compiled rule, where it is written, and what its detector is made of."""

    policy: str
    path: DataPath
    written: RuleSection
    rule: Rule
    part: Part


class RuleProblem(ValueError):
    """A rule that cannot be compiled. `problems`: paths, and what is wrong there."""

    def __init__(self, problems: Sequence[tuple[DataPath, str]]) -> None:
        super().__init__("; ".join(message for _, message in problems))
        self.problems = tuple(problems)


def place_rules(
    policies: Mapping[str, Sequence[RuleSection]], files: Mapping[DataPath, tuple[str, ...]]
) -> tuple[list[Placed], list[tuple[DataPath, str]]]:
    """Every rule of every policy, in order, and what is wrong with those that are missing. `files`: terms by the path
    of the rule that names the file."""
    found: list[Placed] = []
    problems: list[tuple[DataPath, str]] = []
    for policy, rules in policies.items():
        numbers: dict[str, int] = {}
        for at, written in enumerate(rules):
            path: DataPath = ("guardrails", policy, at)
            number = numbers[written.detect] = numbers.get(written.detect, 0) + 1
            id_ = written.id or default_id(policy, written.detect, number)
            try:
                part = _part(written, id_, files.get(path, ()))
                found.append(Placed(policy, path, written, _rule(written, id_, part, path), part))
            except RuleProblem as problem:
                problems += problem.problems
    return _joined(found), problems


def _joined(rules: list[Placed]) -> list[Placed]:
    """With one detector of personal data for all of them, which looks for what any of them wants."""
    wanted = {type_ for placed in rules if placed.part.kind == "pii" for type_ in placed.rule.types}
    whole = Part("pii", "pii", frozenset(wanted))
    return [placed._replace(part=whole) if placed.part.kind == "pii" else placed for placed in rules]


def blame(placed: Placed, message: str) -> list[tuple[DataPath, str]]:
    """Where in a rule the reason lies that its detector could not be made."""
    found: list[tuple[DataPath, str]] = []
    for index, pattern in enumerate(placed.written.patterns):
        try:
            read(_user_pattern(pattern))
        except WordsError as error:
            found.append(((*placed.path, "patterns", index, "regex"), str(error)))
    option = next((name for name in ("file", "terms", "topics") if name in placed.written.model_fields_set), "detect")
    return found or [((*placed.path, option), message)]


def _part(written: RuleSection, id_: str, listed: tuple[str, ...]) -> Part:
    detect = written.detect
    if detect in OUTSIDE:
        return Part(OUTSIDE_PART, source_name(written, id_))
    if detect == "patterns":
        return Part("patterns", f"patterns:{id_}", tuple(_user_pattern(each) for each in written.patterns))
    if detect == "terms":
        terms = (*(term.strip() for term in written.terms), *listed)
        lists = [TermList(id_, written.type or "TERM", terms, written.ignore_case, written.whole_words, rule=id_)]
        return Part("terms", f"terms:{id_}", tuple(lists))
    if detect == "topics":
        return Part("terms", f"topics:{id_}", tuple(_topic_lists(written)))
    if written.trusted:
        return Part(detect, f"{detect}:{id_}", tuple(written.trusted))
    source = catalogue.BUILTINS[detect].source
    return Part(source, source)


def _topic_lists(written: RuleSection) -> Iterator[TermList]:
    for each in topics({name: tuple(term.strip() for term in terms) for name, terms in written.topics.items()}):
        yield TermList(
            each.name, each.type, each.terms, written.ignore_case, written.whole_words, each.score, each.rule
        )


def _user_pattern(written: PatternSection) -> UserPattern:
    type_ = written.type or written.name.upper().replace("-", "_").replace(".", "_")
    return UserPattern(written.name, type_, written.regex, written.ignore_case, written.score)


def _rule(written: RuleSection, id_: str, part: Part, path: DataPath) -> Rule:
    builtin = catalogue.BUILTINS.get(written.detect)
    usual = builtin.threshold if builtin is not None else USER_THRESHOLD
    reroutes = written.reroute is not None
    outside = written.detect in OUTSIDE
    on: list[Direction] = directions(written) if outside else list(written.on)
    if reroutes and "on" not in written.model_fields_set:
        on = ["request"]
    return Rule(
        id=id_,
        detector=part.name,
        types=_types(written),
        without=_without(written),
        threshold=usual if written.threshold is None else written.threshold,
        thresholds=dict(written.thresholds),
        on=frozenset(on),
        roles=frozenset(written.roles),
        operations=frozenset(written.operations),
        teams=frozenset(written.teams),
        rollout=written.rollout * 100.0,
        allow=_allow(written.allow, path),
        action="reroute" if reroutes else written.action,
        reroute_to=written.reroute or "",
        message=written.message or "",
        answer=written.answer or "",
        mode=written.mode,
        max_scan=_EVERYTHING if outside else written.max_scan,
        max_total=_total(written),
        beyond=written.beyond,
        on_failure=written.on_failure,
        bounds=Bounds() if written.bounds is None else _bounds(written.bounds),
    )


MAX_TOTAL = 4_000_000
"""Characters of one request that patterns look at unless a rule says otherwise: what fills a context of a million
tokens, and half a minute of one core at the worst text."""


def _total(written: RuleSection) -> float:
    """A classifier costs a hundred times what a pattern does on prose, and patterns as much on text made to hurt."""
    if written.detect in OUTSIDE:
        return math.inf
    if written.max_total is not None:
        return written.max_total
    builtin = catalogue.BUILTINS.get(written.detect)
    judges = builtin is not None and builtin.kind == "texts"
    return written.max_scan if judges else max(written.max_scan, MAX_TOTAL)


def _types(written: RuleSection) -> frozenset[str]:
    if written.detect in OUTSIDE:
        return types_of(written)
    if written.detect not in catalogue.BUILTINS:
        return frozenset()
    return frozenset(written.entities or ()) or catalogue.usual_types(written.detect)


def _without(written: RuleSection) -> frozenset[str]:
    """Every rule that is meant by an id or the beginning of one."""
    if not written.without:
        return frozenset()
    if written.detect in OUTSIDE:
        return frozenset(written.without)
    beginnings = tuple(f"{name}." for name in written.without)
    ids = catalogue.rule_ids(written.detect)
    return frozenset(rule for rule in ids if rule in written.without or rule.startswith(beginnings))


def _allow(written: AllowSection, path: DataPath) -> AllowList:
    patterns: list[WholeValue] = []
    problems: list[tuple[DataPath, str]] = []
    for index, pattern in enumerate(written.patterns):
        try:
            patterns.append(WholeValue(pattern))
        except WordsError as error:
            problems.append(((*path, "allow", "patterns", index), str(error)))
    if problems:
        raise RuleProblem(problems)
    return AllowList(frozenset(written.values), frozenset(written.digests), tuple(patterns))


def _bounds(written: BoundsSection) -> Bounds:
    return Bounds(
        micros=math.inf if written.latency is None else written.latency * 1e6,
        match_rate=written.match_rate,
        window=written.window,
        at_least=written.at_least,
        cooling=written.cooling,
    )
