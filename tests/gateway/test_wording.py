"""Whose words a client or a model gets; through real services in `test_outside.py`."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.report import Report
from gateway.settings.outside_rules import OutsideRule
from gateway.wording import MOST_SAID, said_of, worded
from guardrails.interface import Action, Finding, Mode, RuleResult, Segment, Verdict

RULES = {
    f"r{at}": OutsideRule(source=source, waits=True, holds=True, loud=True, roles=frozenset())
    for at, source in enumerate(["one", "one", "two"])
}
ENGINES, THEIRS = Segment("p", "user", "[MAIL] at [CITY]"), Segment("p", "user", "a person at a place")


def finding(rule: str, start: int) -> Finding:
    return Finding(type="MAIL", path="p", start=start, end=start + 2, score=1.0, rule="x", policy_rule=rule)


def result(rule: str, mode: Mode = "enforce", action: Action = "mask") -> RuleResult:
    return RuleResult(rule, "policy", mode, action, ("MAIL",), 1)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(RULES)), st.integers(0, 3)), min_size=1, max_size=4),
    st.lists(st.integers(0, 3), max_size=4),
    st.sets(st.sampled_from(sorted(RULES))),
)
def test_a_service_has_the_word_where_it_alone_masks_and_all_it_found_counts(
    judged: list[tuple[str, int]], reported: list[int], masking: set[str]
) -> None:
    """Where one service alone masks a text, all that it found there counts, and it says what it would have instead,
    that is taken."""
    verdict = Verdict(
        action="mask",
        enforced="mask",
        findings=tuple(finding(rule, start) for rule, start in judged),
        rewrites=(ENGINES,),
        results=tuple(result(rule, "enforce" if rule in masking else "shadow") for rule in RULES),
    )
    report = Report(detector="one", findings=tuple(finding("", at) for at in reported), rewrites=(THEIRS,))
    taken = worded(verdict, {"one": report, "two": Report(detector="two")}, RULES, None)
    alone = {RULES[rule].source for rule, _ in judged} == {"one"}
    counts = {start for _, start in judged} == set(reported) and {rule for rule, _ in judged} <= masking
    assert taken == [THEIRS if alone and counts else ENGINES]


def test_a_service_that_says_nothing_leaves_the_engines_words() -> None:
    verdict = Verdict("mask", "mask", (finding("r0", 0),), rewrites=(ENGINES,), results=(result("r0"),))
    assert worded(verdict, {"one": Report(detector="one", findings=(finding("", 0),))}, RULES, None) == [ENGINES]
    assert worded(Verdict(rewrites=(ENGINES,)), {}, RULES, None) == [ENGINES]  # pseudonyms that were put back


def test_the_first_service_that_blocks_says_why() -> None:
    reports = {"one": Report(detector="one", message="no" * MOST_SAID), "two": Report(detector="two", message="never")}
    blocked = [result("engine's own", action="block"), result("r2", action="block"), result("r0", action="block")]
    assert said_of(Verdict("block", "block", results=tuple(blocked)), reports, RULES) == "never"
    assert said_of(Verdict("block", "block", results=tuple(blocked[:1])), reports, RULES) == ""
    assert len(said_of(Verdict("block", "block", results=tuple(blocked[2:])), reports, RULES)) == MOST_SAID
    assert said_of(Verdict("block", "allow", results=(result("r0", "shadow", "block"),)), reports, RULES) == ""
