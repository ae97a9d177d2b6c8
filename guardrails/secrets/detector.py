"""The secret detector: credentials of some 270 services, private keys, passwords that are assigned or stand in URLs.

The gate looks for the heads of token formats (`ghp_` and six more), for names that are given a value, for URLs with a
password and for BEGIN lines of keys; what is hit is looked at exactly. Matches are of type SECRET. Where several begin
at one place the longest stays, of equal ones the first in the rules' order; a generic value gives way to a token that
begins inside it. Matches that overlap partly, which hardly happens, both stay.

Token formats and assigned values hold no blank, so all that more text can change begins in the last run of characters
without one (or in a key block that is still open): that is where `settled` points.
"""

import re
from collections.abc import Callable, Sequence

from guardrails.detector import Expression, Hit, Match, Reach
from guardrails.matching.offsets import to_characters
from guardrails.secrets import assignments, blocks, checks, rules
from guardrails.secrets.heads import Head, head

_LEFT = r"(?<![A-Za-z0-9_])"
_RIGHT = r"(?![A-Za-z0-9_])"
PRIVATE_KEYS = frozenset({"secret.private-key.pem", "secret.private-key.pgp"})


class SecretRuleError(ValueError):
    """A rule that is not there: says which, and what is."""


def rule_ids() -> tuple[str, ...]:
    """Every rule's id, sorted."""
    formats = [rule.id for rule in rules.tokens()] + [rule.id for rule in rules.assigned()]
    return tuple(sorted({*formats, *assignments.GENERIC, *PRIVATE_KEYS}))


def short_ids() -> frozenset[str]:
    """Rules whose matches have at most as many characters as an assigned value."""
    long = {rule.id for rule in rules.tokens() if head(rule.pattern).length > assignments.LONGEST}
    return frozenset(rule_ids()) - PRIVATE_KEYS - long


def services() -> frozenset[str]:
    """Services whose own formats are known (families that belong to no service are not counted)."""
    return frozenset(name.split(".")[1] for name in rule_ids()) - {"generic", "url", "private-key", "jwt"}


def _selected(wanted: frozenset[str] | None) -> frozenset[str]:
    everything = rule_ids()
    if wanted is None:
        return frozenset(everything)
    chosen: set[str] = set()
    for name in sorted(wanted):
        found = [rule for rule in everything if rule == name or rule.startswith(f"{name}.")]
        if not found:
            raise SecretRuleError(
                f"there is no secret rule {name!r}; give an id such as secret.github.personal-token, "
                "or the beginning of one such as secret.github for all of a service"
            )
        chosen.update(found)
    return frozenset(chosen)


class SecretDetector:
    """Finds credentials. Safe on streams: `guardrails/detector.py`."""

    name = "secrets"

    def __init__(self, rules: frozenset[str] | None = None) -> None:
        """`rules`: ids, or beginnings of ids up to a dot; None: all. Raises SecretRuleError."""
        on = _selected(rules)
        self._tokens = _Tokens(on)
        self._assignments = assignments.Assignments(*_assigned(on))
        self._blocks = bool(on & PRIVATE_KEYS)
        self._on = on
        named = bool(on & (assignments.GENERIC - {assignments.URL_PASSWORD})) or any(map(on.__contains__, _names()))
        self._assignment_kinds = frozenset(range(3)) if named else frozenset[int]()
        self.expressions: Sequence[Expression] = (
            assignments.ASSIGNMENT,
            assignments.FLAG,
            assignments.PROSE,
            assignments.URL,
            blocks.EXPRESSION,
            *self._tokens.expressions,
        )
        self.reach = Reach(
            length=max(self._tokens.length, assignments.LONGEST, blocks.LONGEST if self._blocks else 0),
            before=max(assignments.BEFORE + 72, self._tokens.lead + 1),
            after=max(1, self._tokens.length),
            lead=max(assignments.AHEAD, self._tokens.lead),
            wordwise=True,
        )
        self._span = self.reach.length + self.reach.after

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        return self.confirm_paused(text, hits, None)

    def confirm_paused(self, text: str, hits: Sequence[Hit], breathe: Callable[[], None] | None) -> list[Match]:
        """See `guardrails.detector.Pausing`."""
        if not hits:
            return []
        ends = to_characters(text, [hit.end for hit in hits])
        best: dict[int, tuple[int, int, Match]] = {}
        looks = {(hit.expression, end) for hit, end in zip(hits, ends, strict=True)}
        for number, (kind, end) in enumerate(looks):
            if breathe is not None and not number & 15:
                breathe()
            for order, match in self._look(text, kind, end):
                known = best.get(match.start)
                if known is None or (match.end, -order) > (known[2].end, -known[1]):
                    best[match.start] = (match.end, order, match)
        return _without_shadowed([best[start][2] for start in sorted(best)])

    def _look(self, text: str, kind: int, end: int) -> list[tuple[int, Match]]:
        if kind >= 5:
            return self._tokens.look(text, kind - 5, end)
        found: Match | None = None
        if kind == 4:
            # The hit is the end of "PRIVATE KEY"; its line began at most so far before.
            start = text.rfind(blocks.BEGIN, max(0, end - 60), end) if self._blocks else -1
            found = blocks.find(text, start) if start >= 0 else None
            found = found if found is not None and found.rule in self._on else None
        elif kind == 3:
            found = self._assignments.url(text, end)
        elif kind in self._assignment_kinds:
            found = self._assignments.value(text, end)
        return [] if found is None else [(1 << 20, found)]

    def settled(self, text: str) -> int:
        size = len(text)
        at = max(text.rfind(" ") + 1, size - self._span, 0)
        if at < size:
            at = size if text[-1].isspace() else size - len(text[at:].rsplit(None, 1)[-1])
        if self._blocks and blocks.BEGIN in text:
            begun = blocks.open_from(text)
            if begun is not None and begun < at:
                return begun
        return at


def _names() -> list[str]:
    return [rule.id for rule in rules.assigned()]


def _assigned(on: frozenset[str]) -> tuple[list[rules.Assigned], frozenset[str]]:
    return [rule for rule in rules.assigned() if rule.id in on], on & assignments.GENERIC


def _without_shadowed(found: list[Match]) -> list[Match]:
    """Without generic values in which a token begins. A token that begins at the same place was preferred before. Key
    blocks do not count: whether there is one is decided too far behind the value."""
    specific = [match.start for match in found if match.rule not in assignments.GENERIC | PRIVATE_KEYS]
    if not specific or len(specific) == len(found):
        return found
    kept: list[Match] = []
    at = 0
    for match in found:
        while at < len(specific) and specific[at] < match.start:
            at += 1
        shadowed = match.rule in assignments.GENERIC and at < len(specific) and specific[at] < match.end
        if not shadowed:
            kept.append(match)
    return kept


class _Tokens:
    """The token rules that are switched on, by their heads."""

    def __init__(self, on: frozenset[str]) -> None:
        self._rules = [rule for rule in rules.tokens() if rule.id in on]
        self._heads: list[Head] = [head(rule.pattern) for rule in self._rules]
        by_expression: dict[Expression, list[int]] = {}
        for index, each in enumerate(self._heads):
            by_expression.setdefault(each.expression, []).append(index)
        self.expressions = tuple(by_expression)
        self._by_kind = list(by_expression.values())
        self._patterns: dict[int, re.Pattern[str]] = {}
        self.length = max((each.length for each in self._heads), default=1)
        self.lead = max((each.lead for each in self._heads), default=0)

    def look(self, text: str, kind: int, end: int) -> list[tuple[int, Match]]:
        found: list[tuple[int, Match]] = []
        for index in self._by_kind[kind]:
            each = self._heads[index]
            for start in range(max(0, end - each.longest), end - each.shortest + 1):
                match = self._match(text, index, start)
                if match is not None:
                    found.append((index, match))
        return found

    def _match(self, text: str, index: int, start: int) -> Match | None:
        pattern = self._patterns.get(index)
        rule = self._rules[index]
        if pattern is None:
            # Compiled when first needed: all of them together would take a tenth of a second at every start.
            pattern = self._patterns[index] = re.compile(f"{_LEFT}(?:{rule.pattern}){_RIGHT}", re.ASCII)
        found = pattern.match(text, start)
        if found is None:
            return None
        group = "secret" if "secret" in pattern.groupindex else 0
        value = found[group]
        chance = value if group else value[self._heads[index].fixed :]
        if checks.placeholder(chance) or not checks.random_looking(chance):
            return None
        check = checks.named(rule.check)
        if check is None:
            return Match("SECRET", *found.span(group), rule.score, rule.id, "pattern")
        if not check(value):
            # A token that was altered or a format that changed: still one, with less confidence.
            return None if rule.check == "jwt" else Match("SECRET", *found.span(group), 0.7, rule.id, "pattern")
        return Match("SECRET", *found.span(group), 0.99, rule.id, "checksum")
