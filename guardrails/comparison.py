"""What a change of policies would do to texts: which are newly acted on, which no longer, and by which rules."""

from typing import Literal

import msgspec

from guardrails.interface import Action, Verdict

Change = Literal["newly_acted_on", "no_longer_acted_on", "other_action", "rewritten_otherwise"]
CHANGES: tuple[Change, ...] = ("newly_acted_on", "no_longer_acted_on", "other_action", "rewritten_otherwise")


class Changed(msgspec.Struct, frozen=True):
    """One text that meets something else."""

    number: int
    """Place in the corpus, from 1."""
    change: Change
    old: Action
    new: Action
    rules: tuple[str, ...]
    """That decide it: those that act in one and not in the other, else all that act."""


class RuleChange(msgspec.Struct):
    """Texts in which one rule found something, and in which it acted."""

    old_found: int = 0
    new_found: int = 0
    old_acted: int = 0
    new_acted: int = 0


class Comparison:
    """Takes the verdicts of both on each text of a corpus."""

    def __init__(self) -> None:
        self.texts = 0
        self.old_acted = self.new_acted = 0
        self.counts: dict[Change, int] = dict.fromkeys(CHANGES, 0)
        self.rules: dict[str, RuleChange] = {}
        self.changed: list[Changed] = []

    def add(self, old: Verdict, new: Verdict) -> Changed | None:
        """One text; what changed about it."""
        self.texts += 1
        before, after = _acting(old), _acting(new)
        self.old_acted += bool(before)
        self.new_acted += bool(after)
        for result in old.results:
            rule = self.rules.setdefault(result.rule, RuleChange())
            rule.old_found += 1
            rule.old_acted += result.rule in before
        for result in new.results:
            rule = self.rules.setdefault(result.rule, RuleChange())
            rule.new_found += 1
            rule.new_acted += result.rule in after
        change = _change(old, new, bool(before), bool(after))
        if change is None:
            return None
        self.counts[change] += 1
        rules = tuple(sorted(before ^ after or before | after))
        self.changed.append(Changed(self.texts, change, old.enforced, new.enforced, rules))
        return self.changed[-1]


def _acting(verdict: Verdict) -> frozenset[str]:
    """Rules that change what a user sees: enforced, and with an action that does something."""
    return frozenset(
        result.rule for result in verdict.results if result.mode == "enforce" and result.action not in ("allow", "flag")
    )


def _change(old: Verdict, new: Verdict, before: bool, after: bool) -> Change | None:
    if before != after:
        return "newly_acted_on" if after else "no_longer_acted_on"
    if old.enforced != new.enforced:
        return "other_action" if before else None
    if [segment.text for segment in old.rewrites] != [segment.text for segment in new.rewrites]:
        return "rewritten_otherwise"
    return None
