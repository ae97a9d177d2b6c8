"""What the guardrails must make of a text, said as plainly as possible: every match, every character, one by one."""

import json
from collections.abc import Sequence

from guardrails.actions import Hasher, label, replacement
from guardrails.detector import Detector
from guardrails.policy import REWRITING, SEVERITY, Rule

KEY = b"a key for tests, of no value"


def candidates(
    text: str, rules: Sequence[Rule], detectors: Sequence[Detector]
) -> list[tuple[tuple[object, ...], int, int, str, str]]:
    """Matches some rule enforces an action on, each with its rank in the documented order."""
    text = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    found: list[tuple[tuple[object, ...], int, int, str, str]] = []
    for place, rule in enumerate(rules):
        if rule.mode == "enforce" and (rule.action in REWRITING or rule.action == "block"):
            for detector in detectors:
                for m in detector.confirm(text, ()) if detector.name == rule.detector else ():
                    rank = (-SEVERITY[rule.action], m.start - m.end, -m.score, m.start, place, m.type)
                    found.append((rank, m.start, m.end, m.type, rule.action))
    return found


def rewritten(text: str, rules: Sequence[Rule], detectors: Sequence[Detector]) -> tuple[str, bool]:
    """The text as it may pass, up to where something blocks; and whether something does."""
    found = candidates(text, rules, detectors)
    owners = [min((c for c in found if c[1] <= at < c[2]), default=None) for at in range(len(text))]
    out: list[str] = []
    written: set[int] = set()
    for at, owner in enumerate(owners):
        if owner is None:
            out.append(text[at])
            continue
        _, start, end, type, action = owner
        if action == "block":
            return "".join(out), True
        if id(owner) not in written:
            written.add(id(owner))
            whole = all(owners[other] is owner for other in range(start, end))
            value = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text[start:end])
            out.append(replacement(action, type, value, Hasher(KEY), None) if whole else label(type))
    return "".join(out), False


def rewritten_json(value: object, rules: Sequence[Rule], detectors: Sequence[Detector]) -> object:
    """A JSON value with its strings and numbers as they may pass; member names are not looked at."""
    if isinstance(value, str):
        return rewritten(value, rules, detectors)[0]
    if isinstance(value, list):
        return [rewritten_json(item, rules, detectors) for item in value]
    if isinstance(value, dict):
        return {name: rewritten_json(item, rules, detectors) for name, item in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        written = json.dumps(value)
        out = rewritten(written, rules, detectors)[0]
        return value if out == written else out
    return value
