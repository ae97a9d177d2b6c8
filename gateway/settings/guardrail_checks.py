"""What is wrong with guardrail rules beyond what the schema of single fields can see: names that nobody knows, and
combinations that could not do what they say.

Each rule is looked at by itself, so that a mistake in one does not hide those of others. What can only be told while
detectors are built (a pattern that is refused) is in `guardrail_programs.py`.
"""

import re
from collections.abc import Callable, Collection, Iterator
from functools import cache

from pydantic import ValidationError

from gateway.pseudonyms.sealing import missing
from gateway.settings import outside_checks
from gateway.settings.interpolate import Data, DataPath
from gateway.settings.nearest import hint
from gateway.settings.schema_guardrails import DETECT, RuleSection
from guardrails import catalogue
from guardrails.policy import REWRITING

Note = Callable[[DataPath, str], None]
_HOST = re.compile(r"[^\s/@:?#*.]+(\.[^\s/@:?#*.]+)*")
_OF_PATTERNS, _OF_TERMS = ("patterns",), ("terms", "file", "topics", "ignore_case", "whole_words", "type")


def check_guardrails(data: dict[str, Data], note: Note, drawn: Collection[DataPath]) -> None:
    """Call `note(path, message)` for every problem. Values at paths in `drawn` are not repeated in messages."""
    checker = _Checker(data, note, drawn)
    for policy, rules in _mapping(data.get("guardrails")).items():
        for at, rule in enumerate(rules if isinstance(rules, list) else []):
            checker.rule(policy, at, rule)


def default_id(policy: str, detect: str, number: int) -> str:
    """Id of the `number`-th rule (from 1) of a policy that detects this, where none is written."""
    return f"{policy}.{detect}.{number}"


@cache
def _types(name: str) -> frozenset[str]:
    return frozenset(catalogue.types(name))


@cache
def _rule_ids(name: str) -> frozenset[str]:
    return catalogue.rule_ids(name)


class _Checker:
    def __init__(self, data: dict[str, Data], note: Note, drawn: Collection[DataPath]) -> None:
        self._teams = _mapping(data.get("teams"))
        self._note = note
        self._drawn = drawn
        self._ids: dict[str, str] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    def rule(self, policy: str, at: int, written: Data) -> None:
        path: DataPath = ("guardrails", policy, at)
        detect = _mapping(written).get("detect")
        self._id(policy, path, detect, _mapping(written).get("id"))
        if isinstance(detect, str) and detect not in DETECT:
            self._unknown((*path, "detect"), detect, "detector", DETECT)
            return
        try:
            rule = RuleSection.model_validate(written)
        except ValidationError:
            return  # the schema complains of it
        self._names(path, rule)
        complaints = (*_misplaced(rule), *_impossible(rule), *outside_checks.misplaced(rule))
        for step, message in (*complaints, *outside_checks.impossible(rule)):
            self._note((*path, step), message)

    def _id(self, policy: str, path: DataPath, detect: Data, written: Data) -> None:
        """An id means one rule: rollouts, demotions and metrics go by it."""
        if not isinstance(detect, str):
            return
        number = self._numbers[policy, detect] = self._numbers.get((policy, detect), 0) + 1
        id_ = written if isinstance(written, str) else default_id(policy, detect, number)
        spoken = f"guardrails.{policy}[{path[-1]}]"
        if id_ in self._ids:
            self._note((*path, "id"), f"this id is taken by {self._ids[id_]}; allowed is each id once")
        self._ids.setdefault(id_, spoken)

    def _names(self, path: DataPath, rule: RuleSection) -> None:
        for index, team in enumerate(rule.teams):
            if team not in self._teams:
                self._unknown((*path, "teams", index), team, "team", self._teams)
        if rule.detect not in catalogue.BUILTINS:
            return
        known = _types(rule.detect)
        for index, name in enumerate(rule.entities or ()):
            if name not in known:
                self._unknown((*path, "entities", index), name, f"entity of {rule.detect}", known)
        wanted = frozenset(rule.entities or ()) or catalogue.usual_types(rule.detect) or known
        for name in rule.thresholds:
            if name not in known:
                self._unknown((*path, "thresholds", name), name, f"entity of {rule.detect}", known)
            elif name not in wanted:
                self._note((*path, "thresholds", name), f"this rule does not look for '{name}'; add it to entities")
        ids = _rule_ids(rule.detect)
        for index, name in enumerate(rule.without):
            if not any(rule_id == name or rule_id.startswith(f"{name}.") for rule_id in ids):
                self._unknown((*path, "without", index), name, f"rule of {rule.detect}", _beginnings(ids))

    def _unknown(self, path: DataPath, name: str, what: str, known: Collection[str]) -> None:
        spoken = f"this {what} is not known" if path in self._drawn else f"unknown {what} '{name[:80]}'"
        self._note(path, f"{spoken}; {hint(name, known)}")


def _beginnings(ids: Collection[str]) -> set[str]:
    """The ids, and what they begin with: `secret.github` of `secret.github.personal-token`."""
    parts = [one.split(".") for one in ids]
    return {".".join(part[:size]) for part in parts for size in range(2, len(part) + 1)}


def _misplaced(rule: RuleSection) -> Iterator[tuple[str, str]]:
    """Options of other detectors, and those that this one needs."""
    named = rule.model_fields_set
    if rule.detect != "patterns":
        yield from ((name, "this belongs to detect: patterns") for name in _OF_PATTERNS if name in named)
    if rule.detect != "exfiltration" and "trusted" in named:
        yield "trusted", "this belongs to detect: exfiltration"
    if rule.detect not in ("terms", "topics"):
        yield from ((name, "this belongs to detect: terms") for name in _OF_TERMS if name in named)
    if rule.detect in catalogue.USER_MADE:
        yield from (
            (name, f"this belongs to a built-in detector: {', '.join(catalogue.BUILTINS)}")
            for name in ("entities", "without", "thresholds")
            if name in named
        )
    if rule.detect == "patterns":
        if not rule.patterns:
            yield "detect", "nothing to look for; add patterns: [{name: NAME, regex: EXPRESSION}]"
        names = [pattern.name for pattern in rule.patterns]
        if len(set(names)) != len(names):
            yield "patterns", "two patterns have the same name; allowed is each name once in a rule"
    if rule.detect == "terms":
        if not rule.terms and rule.file is None:
            yield "detect", "nothing to look for; add terms: [a, b], or file: FILE with one a line"
        if "topics" in named:
            yield "topics", "this belongs to detect: topics"
    if rule.detect == "topics":
        if not rule.topics:
            yield "detect", "nothing to look for; add topics: {NAME: [words that speak of it]}"
        yield from ((name, "this belongs to detect: terms") for name in ("terms", "file", "type") if name in named)


def _impossible(rule: RuleSection) -> Iterator[tuple[str, str]]:
    """What a rule says and cannot do."""
    named = rule.model_fields_set
    builtin = catalogue.BUILTINS.get(rule.detect)
    if builtin is not None and builtin.kind == "texts" and rule.action in REWRITING:
        yield (
            "action",
            f"{rule.detect} judges whole texts, which {rule.action} cannot rewrite; allowed are flag, block, reroute",
        )
    if rule.action == "pseudonymize" and rule.on == ["response"]:
        yield "on", "stand-ins are made in requests and put back in answers; allowed with pseudonymize is on: [request]"
    if rule.pseudonyms is not None:
        if rule.action != "pseudonymize":
            yield "pseudonyms", f"pseudonyms, and action: {rule.action}; allowed is action: pseudonymize"
        elif rule.pseudonyms.scope == "conversation":
            if missing():
                yield "pseudonyms", missing()
        elif unused := sorted(rule.pseudonyms.model_fields_set - {"scope"}):
            what = " and ".join(unused)
            yield "pseudonyms", f"{what} without a conversation would do nothing; add scope: conversation"
    if rule.reroute is not None and "action" in named and rule.action != "reroute":
        yield "reroute", f"a model to reroute to, and action: {rule.action}; allowed is action: reroute"
    if rule.action == "reroute" and rule.reroute is None:
        yield "action", "reroute needs a model; add reroute: MODEL"
    if rule.reroute is not None and "on" in named and "response" in rule.on:
        yield "on", "an answer cannot be rerouted; allowed is on: [request]"
    if rule.message is not None and rule.action != "block":
        yield "message", f"what a refusal says, and action: {rule.action}; allowed is action: block"
    if not all(map(_HOST.fullmatch, rule.trusted)):
        yield "trusted", "this is not the name of a host; allowed is one such as example.com, with those below it"
    if rule.answer is not None and rule.action != "block":
        yield "answer", f"an answer instead of the model's, and action: {rule.action}; allowed is action: block"


def _mapping(data: Data) -> dict[str, Data]:
    return data if isinstance(data, dict) else {}
