"""What was found, counted, and the verdict made of it."""

from hypothesis import given
from hypothesis import strategies as st

from guardrails.actions import Hasher
from guardrails.detector import Match
from guardrails.interface import ALLOWED, Action
from guardrails.policy import Rule
from guardrails.program import CompiledRule
from guardrails.tally import MAX_FINDINGS, Tally

MATCH = Match("NAME", 0, 3, 0.8, "list")


def compiled(place: int, action: Action = "mask", **more: object) -> CompiledRule:
    return CompiledRule(Rule(id=f"r{place}", detector="d", action=action, **more), "p", place)  # pyright: ignore


def note(tally: Tally, rule: CompiledRule) -> None:
    tally.found(rule, MATCH, "c", 0, 3, "ann", rule.rule.action)


def test_nothing_found_is_allowed() -> None:
    assert Tally("request", Hasher(b"k")).verdict() == ALLOWED


def test_the_verdict_is_made_anew_only_after_something_was_found() -> None:
    tally = Tally("response", Hasher(b"k"))
    note(tally, compiled(0, "flag"))
    first = tally.verdict()
    assert tally.verdict() is first
    note(tally, compiled(1))
    assert (first.enforced, tally.verdict().enforced) == ("flag", "mask")


def test_what_is_concluded_and_what_is_enforced_have_their_own_rules() -> None:
    tally = Tally("request", Hasher(b"k"))
    note(tally, compiled(2, "hash"))
    note(tally, compiled(0, "mask", mode="shadow"))
    note(tally, compiled(1, "redact"))
    verdict = tally.verdict()
    assert (verdict.action, verdict.enforced) == ("mask", "hash")
    assert [result.rule for result in verdict.results] == ["r0", "r1", "r2"]


def test_beyond_the_cap_findings_are_counted() -> None:
    tally, rule = Tally("request", Hasher(b"k")), compiled(0)
    for _ in range(MAX_FINDINGS + 5):
        note(tally, rule)
    verdict = tally.verdict()
    assert (len(verdict.findings), verdict.dropped, verdict.results[0].count) == (MAX_FINDINGS, 5, MAX_FINDINGS + 5)


def test_a_failure_is_said_once_and_closes_only_what_is_enforced_and_closed() -> None:
    tally = Tally("request", Hasher(b"k"))
    rules = [compiled(0, on_failure="open"), compiled(1, mode="warn")]
    tally.failed("d", "ValueError", rules)
    tally.failed("d", "ValueError", rules)
    assert not tally.blocked
    assert len(tally.verdict().failures) == 1
    assert tally.verdict().action == "block"
    tally.failed("e", "ValueError", [compiled(2)])
    assert tally.blocked
    assert (tally.verdict().enforced, tally.verdict().failed) == ("block", True)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["found", "failed"]),
        st.sampled_from(["mask", "block"]),
        st.sampled_from(["enforce", "warn"]),
        st.sampled_from(["open", "closed"]),
    ),
    max_size=5,
)


@given(EVENTS)
def test_what_failed_is_told_from_what_was_found(events: list[tuple[str, Action, str, str]]) -> None:
    """A block "because a detector failed, and for nothing that was found" has no words of a rule; any other has those
    of a rule that found something."""
    tally = Tally("request", Hasher(b"k"))
    guilty: set[str] = set()
    closed = False
    for place, (what, action, mode, on_failure) in enumerate(events):
        rule = compiled(place, action, mode=mode, on_failure=on_failure, message=f"m{place}", answer=f"a{place}")
        if what == "failed":
            tally.failed("d", f"E{place}", [rule])
            closed = closed or (mode, on_failure) == ("enforce", "closed")
        else:
            note(tally, rule)
            if (action, mode) == ("block", "enforce"):
                guilty.add(str(place))
    verdict = tally.verdict()
    assert (verdict.enforced == "block") == (closed or bool(guilty))
    assert verdict.failed == (closed and not guilty)
    assert (verdict.message[1:], verdict.answer[1:]) == ((min(guilty),) * 2 if guilty else ("", ""))
