"""Rules of every kind at once, beside a model that asks each rule about each character as docs/guardrails.md says."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.actions import Hasher, label, replacement
from guardrails.detector import Match
from guardrails.engine import PolicyEngine
from guardrails.interface import Segment
from guardrails.policy import SEVERITY, AllowList, Policy, Rule
from guardrails.scanner import Scanner
from tests.support.detectors import Card, Overlapping, ReGate, Words, mail
from tests.support.oracle import KEY
from tests.support.seam import found

DETECTORS: dict[str, Any] = {
    each.name: each for each in (mail(), Card(), Words("names", "NAME", "kestrel"), Overlapping("xs", "x"))
}
GATES: dict[str, Any] = {name: ReGate(detector.expressions) for name, detector in DETECTORS.items()}
SCANNER = Scanner(list(DETECTORS.values()), gate=ReGate)
HASHER = Hasher(KEY)
PIECES = st.sampled_from(
    ["a@b.co", "ann@c.org", "4111111111111111", "kestrel", "xx", "xxx@x.xx", " ", " ", "-", "word ", "é", "😀"]
)
TEXTS = st.lists(PIECES, max_size=9).map("".join)
SEGMENTS = st.lists(st.tuples(st.sampled_from(["user", "system", "tool"]), TEXTS), max_size=3)
SOME = st.sampled_from(["", "", "", "user", "tool"])


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    made: list[Rule] = []
    for number in range(draw(st.integers(1, 5))):
        detector = draw(st.sampled_from(list(DETECTORS)))
        role, allowed = draw(SOME), draw(st.sampled_from(["", "", "A@B.co", "KESTREL", "xx"]))
        made.append(
            Rule(
                id=f"r{number}",
                detector=detector,
                action=draw(st.sampled_from(["flag", "mask", "mask", "redact", "hash", "block"])),
                mode=draw(st.sampled_from(["enforce", "enforce", "enforce", "warn", "shadow"])),
                types=draw(st.sampled_from([frozenset(), frozenset(("EMAIL_ADDRESS", "NAME"))])),
                without=draw(st.sampled_from([frozenset(), frozenset(("mail.one",))])),
                threshold=draw(st.sampled_from([0.0, 0.0, 0.95])),
                thresholds=draw(st.sampled_from([{}, {"EMAIL_ADDRESS": 0.5}])),
                on=draw(st.sampled_from([frozenset(("request", "response")), frozenset(("response",))])),
                roles=frozenset((role,)) if role else frozenset(),
                operations=draw(st.sampled_from([frozenset(), frozenset(("chat",)), frozenset(("embeddings",))])),
                teams=draw(st.sampled_from([frozenset(), frozenset(("legal",))])),
                rollout=draw(st.sampled_from([100.0, 100.0, 0.0])),
                allow=AllowList(values=frozenset((allowed,)) if allowed else frozenset()),
                max_scan=draw(st.sampled_from([1_000, 1_000, 12, 25])),
                beyond=draw(st.sampled_from(["block", "allow", "scan_head_and_tail"])),
            )
        )
    return tuple(made)


def reaches(rule: Rule, start: int, length: int) -> bool:
    """ "`beyond`: `block` (the default), `allow` the rest unread, `scan_head_and_tail`"."""
    if length <= rule.max_scan or start < rule.max_scan // 2:
        return True
    if rule.beyond == "scan_head_and_tail":
        return start >= length - (rule.max_scan - rule.max_scan // 2)
    return start < rule.max_scan


def wanted(rule: Rule, match: Match, text: str) -> bool:
    value = text[match.start : match.end].casefold()
    return (
        (not rule.types or match.type in rule.types)
        and match.rule not in rule.without
        and match.score >= rule.thresholds.get(match.type, rule.threshold)
        and reaches(rule, match.start, len(text))
        and value not in {allowed.casefold() for allowed in rule.allow.values}
    )


def passed(text: str, written: Sequence[tuple[int, Rule]]) -> tuple[str, bool]:
    """A text as it may pass, and whether it is blocked instead. "Where several findings cover a character, the one that
    lets least through wins; then the longer, the surer, the earlier", and then the rule that is written first."""
    covers: list[Any] = [
        (-SEVERITY[rule.action], m.start - m.end, -m.score, m.start, place, m.type, m.end, rule.action)
        for place, rule in written
        for m in found(DETECTORS[rule.detector], GATES[rule.detector], text)
        if rule.action != "flag" and wanted(rule, m, text)
    ]
    too_long = any(rule.beyond == "block" and len(text) > rule.max_scan for _, rule in written)
    if too_long or any(cover[-1] == "block" for cover in covers):
        return "", True
    owners = [min((c for c in covers if c[3] <= at < c[6]), default=None) for at in range(len(text))]
    out: list[str] = []
    for at, owner in enumerate(owners):
        if owner is None:
            out.append(text[at])
        elif owner not in owners[:at]:
            start, end, action, kind = owner[3], owner[6], owner[7], owner[5]
            whole = owners[start:end] == [owner] * (end - start)
            out.append(replacement(action, kind, text[start:end], HASHER, None) if whole else label(kind))
    return "".join(out), False


@settings(max_examples=400, deadline=None)
@given(rules(), SEGMENTS, st.sampled_from(["chat", "responses"]), st.sampled_from(["legal", "sales"]), st.booleans())
def test_any_rules_together_do_what_each_of_them_says(
    written: tuple[Rule, ...], said: list[tuple[str, str]], operation: str, team: str, demoted: bool
) -> None:
    """Issue 3: "Several policies compose; overlaps resolve by a documented order". Half of the rules are in one policy,
    the others in a second one."""
    half = len(written) // 2
    policies = [Policy("first", written[:half]), Policy("second", written[half:])]
    engine = PolicyEngine(policies, SCANNER, key=KEY, team=team)
    in_shadow = {"r0"} if demoted else set[str]()
    here = [
        (place, rule)
        for place, rule in enumerate(written)
        if "request" in rule.on
        and rule.mode == "enforce"
        and rule.rollout
        and rule.id not in in_shadow
        and (not rule.teams or team in rule.teams)
        and (not rule.operations or operation in rule.operations)
    ]
    segments = [Segment(f"messages[{at}].content", role, text) for at, (role, text) in enumerate(said)]
    verdict = engine.inspect(segments, "request", operation, key="k", demoted=in_shadow)
    expected = [
        passed(text, [(place, rule) for place, rule in here if not rule.roles or role in rule.roles])
        for role, text in said
    ]
    blocked = any(stops for _, stops in expected)
    assert (verdict.enforced == "block") is blocked
    rewritten = {each.path: each.text for each in verdict.rewrites}
    if blocked:
        assert not rewritten
    else:
        assert [rewritten.get(each.path, each.text) for each in segments] == [text for text, _ in expected]
    assert {each.rule: each.mode for each in verdict.results}.items() <= {
        rule.id: "shadow" if rule.id in in_shadow or not rule.rollout else rule.mode for rule in written
    }.items()
