"""Guardrail rules that are written correctly and do not do what is probably meant."""

from collections.abc import Iterator, Mapping, Sequence

from gateway.settings.guardrail_rules import Placed
from gateway.settings.schema import Root
from gateway.settings.schema_guardrails import RuleSection
from gateway.settings.schema_outside import OUTSIDE
from guardrails.policy import REWRITING, SEVERITY, Rule

TEXTLESS = frozenset(("embeddings", "moderations", "messages.count_tokens"))
"""Operations whose answers hold no text."""
_UNTITLED = frozenset(("completions", "embeddings", "moderations"))
"""Operations whose requests are texts of nobody: their role is input."""
_ASKED, _ANSWERED = frozenset(("output",)), frozenset(("system", "user", "input"))
"""Roles that a request's texts never have, and an answer's."""
_SHORT = 8
"""Characters. A shorter mark stands in many an answer by chance."""


def guardrail_warnings(root: Root, placed: Sequence[Placed]) -> Iterator[str]:
    """Sentences for `tollway check` and the log."""
    for each in placed:
        yield from (f"guardrail rule {each.rule.id}: {what}" for what in _of_rule(root, each))
    yield from _overruled(placed)
    used = {policy for team in root.teams.values() for policy in team.policies}
    for name, rules in root.guardrails.items():
        if name not in used:
            yield f"no team uses the guardrail policy '{name}'"
        elif not rules:
            yield f"the guardrail policy '{name}' has no rules: nothing is looked for"


def _of_rule(root: Root, placed: Placed) -> Iterator[str]:
    rule, written = placed.rule, placed.written
    if rule.beyond == "scan_head_and_tail" and "response" in rule.on:
        yield "answers are scanned whole, whatever beyond says"
    yield from _nowhere(rule)
    yield from _nobody(root, placed)
    if rule.mode == "shadow" and "rollout" in written.model_fields_set and rule.rollout < 100:
        yield "rollout has no effect in mode shadow, which holds for all keys; for a share of them sample the findings"
    elif rule.rollout == 0:
        yield "rollout: 0% leaves it in shadow for everybody"
    if written.bounds is not None and rule.mode != "enforce":
        yield f"bounds take a rule to shadow that is enforced, and it is in mode {rule.mode}"
    if rule.answer and rule.operations and rule.operations <= TEXTLESS:
        yield f"{_spoken(rule.operations)} cannot be answered with a text; clients get the error"
    for pattern in written.patterns:
        if pattern.score < rule.threshold:
            yield (
                f"pattern '{pattern.name}' has the score {pattern.score:g}, less than the threshold "
                f"{rule.threshold:g}: it is never found"
            )
    if any(len(canary.get_secret_value()) < _SHORT for canary in written.canaries):
        yield f"a canary of fewer than {_SHORT} characters stands in many an answer by chance"


def _nowhere(rule: Rule) -> Iterator[str]:
    """Texts there are none of."""
    if rule.operations and rule.operations <= TEXTLESS and "request" not in rule.on:
        yield f"answers of {_spoken(rule.operations)} hold no text: it never finds anything"
    missing = {"request": _ASKED, "response": _ANSWERED}
    if rule.roles and all(rule.roles <= missing[direction] for direction in rule.on):
        where = " and ".join("requests" if direction == "request" else "answers" for direction in sorted(rule.on))
        yield f"{where} have no texts of the roles {_spoken(rule.roles)}: it never finds anything"
    elif rule.roles and rule.operations and rule.operations <= _UNTITLED and not rule.roles & {"input", "output"}:
        yield f"texts of {_spoken(rule.operations)} have the roles input and output: it never finds anything"


def _nobody(root: Root, placed: Placed) -> Iterator[str]:
    """Lists that mean all because they are empty, and teams that do not use the policy."""
    for option in ("teams", "roles", "operations"):
        if option in placed.written.model_fields_set and not getattr(placed.rule, option):
            yield f"{option}: [] means all of them; name some, or leave it out"
    for name in placed.written.teams:
        if placed.policy not in root.teams[name].policies:
            yield f"the team '{name}' does not use the policy '{placed.policy}', so the rule is not for it"


def _overruled(placed: Sequence[Placed]) -> Iterator[str]:
    """Rules that can never act, because another one of their policy acts on all they find and lets less through."""
    for each in placed:
        for other in placed:
            if other is not each and other.policy == each.policy and _overrules(other, each):
                yield (
                    f"guardrail rule {each.rule.id}: it never acts, for {other.rule.id} finds the same and its action "
                    f"{other.rule.action} lets less through"
                )
                break


def _overrules(strong: Placed, weak: Placed) -> bool:
    one, two = strong.rule, weak.rule
    if one.mode != "enforce" or two.mode != "enforce" or SEVERITY[one.action] <= SEVERITY[two.action]:
        return False
    if two.action == "flag" or not (one.action == "block" or {one.action, two.action} <= REWRITING):
        return False  # what is rerouted is masked, too
    if _looks(strong.written) != _looks(weak.written) or one.detector != two.detector or one.allow != two.allow:
        return False
    limits = ((one.teams, two.teams), (one.roles, two.roles), (one.operations, two.operations), (one.types, two.types))
    wide = all(not wider or (narrower and narrower <= wider) for wider, narrower in limits)
    sure = one.threshold <= two.threshold and one.thresholds == two.thresholds
    return wide and sure and one.rollout >= 100 and two.on <= one.on and one.without <= two.without


def _looks(written: RuleSection) -> Mapping[str, object]:
    """What one rule of a detector may find and another not, beside types, roles and the like."""
    if written.detect not in OUTSIDE:
        return {"detect": written.detect, "max_scan": written.max_scan, "max_total": written.max_total}
    return {"detect": written.detect, "when": written.when, "streams": written.streams}


def _spoken(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
