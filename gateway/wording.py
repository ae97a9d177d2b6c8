"""Whose words are taken when detectors outside judged a text: the engine's, or what a service would have instead.

Pure: a verdict and the reports behind it in, texts out.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from gateway.facts import Segment, Verdict
from gateway.inspection.report import Report
from gateway.settings.outside_rules import OutsideRule
from guardrails.interface import Finding
from guardrails.vault import Vault

MOST_SAID = 1000
"""Characters of a service's own words that a client is told."""

Reports = Mapping[str, Report]
"""By detector."""
Rules = Mapping[str, OutsideRule]
"""By id."""


def worded(verdict: Verdict, reports: Reports, rules: Rules, vault: Vault | None) -> list[Segment]:
    """The engine's rewrites. Where one service alone masks a text, all that it found there counts, and it says what
    it would have instead, that is taken: its own labels, or a whole new wording, with what `vault` keeps put back."""
    masking = {each.rule for each in verdict.results if each.mode == "enforce" and each.action == "mask"}
    found: dict[str, list[Finding]] = {}
    for each in verdict.findings:
        found.setdefault(each.path, []).append(each)
    out: list[Segment] = []
    for each in verdict.rewrites:
        text = _wording(found.get(each.path, ()), each.path, masking, reports, rules)
        if text is None:
            out.append(each)
        else:
            out.append(Segment(each.path, each.role, vault.restore(text) if vault else text))
    return out


def said_of(verdict: Verdict, reports: Reports, rules: Rules) -> str:
    """The words for the client of the first service whose rule blocks; empty: there are none."""
    if verdict.enforced != "block":
        return ""
    blocking = [each.rule for each in verdict.results if each.mode == "enforce" and each.action == "block"]
    names = (rules[rule].source for rule in blocking if rule in rules)
    return next((reports[name].message[:MOST_SAID] for name in names if name in reports), "")


def _wording(
    found: Sequence[Finding], path: str, masking: Collection[str], reports: Reports, rules: Rules
) -> str | None:
    """What a service would have at `path` instead; None: it says nothing, or not all of it counts."""
    sources = {rules[each.policy_rule].source for each in found}
    if len(sources) != 1 or not all(each.policy_rule in masking for each in found):
        return None
    report = reports[sources.pop()]
    if _places(each for each in report.findings if each.path == path) != _places(found):
        return None
    return next((each.text for each in report.rewrites if each.path == path), None)


def _places(findings: Iterable[Finding]) -> set[tuple[str, int, int]]:
    return {(each.type, each.start, each.end) for each in findings}
