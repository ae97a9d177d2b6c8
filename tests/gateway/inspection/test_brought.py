"""Texts as detectors outside see them, and what comes back of their reports."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection import brought
from gateway.inspection.brought import Pieces, merged
from gateway.inspection.report import Report
from guardrails.interface import ALLOWED, Failure, Finding, RuleResult, Segment, Verdict
from guardrails.policy import SEVERITY

ARGUMENTS = "messages[0].tool_calls[0].function.arguments"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else []
    return [text for each in inner for text in strings(each)]


def upper(value: Any) -> Any:
    if isinstance(value, str):
        return f"<{value}>" if value else value
    if isinstance(value, list):
        return [upper(each) for each in value]
    return {name: upper(each) for name, each in value.items()} if isinstance(value, dict) else value


@given(
    st.lists(JSON, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just("logprobs"), JSON, max_size=3),
    st.booleans(),
)
def test_documents_are_their_strings_and_stay_documents(value: Any, ascii: bool) -> None:
    """Tool-call arguments that are JSON are asked about as their string values, so that what is found in one can be
    rewritten and the JSON stays valid."""
    pieces = Pieces([Segment(ARGUMENTS, "assistant", json.dumps(value, ensure_ascii=ascii))])
    assert [each.text for each in pieces.segments] == [text for text in strings(value) if text]
    new = pieces.whole([Segment(each.path, each.role, f"<{each.text}>") for each in pieces.segments])
    if not pieces.segments:
        assert new == ()
    else:
        assert [(each.path, each.role) for each in new] == [(ARGUMENTS, "assistant")]
        assert json.loads(new[0].text) == upper(value)


@given(st.text())
def test_whatever_is_no_document_stays_one_text(text: str) -> None:
    """A document that cannot be taken apart stays one text; nothing is lost on the way."""
    segments = [Segment("messages[0].content", "user", text), Segment(ARGUMENTS, "assistant", "{" + text)]
    pieces = Pieces(segments)
    assert pieces.segments[0] == segments[0]
    if pieces.segments[1:] != segments[1:]:
        json.loads("{" + text)
    assert pieces.whole([Segment("messages[0].content", "user", "x")])[0].text == "x"


def test_two_documents_of_one_path_are_told_apart() -> None:
    twice = [Segment(ARGUMENTS, "assistant", '{"a": "b"}'), Segment(ARGUMENTS, "assistant", '{"a": "c"}')]
    assert [each.path for each in Pieces(twice).segments] == [f"{ARGUMENTS}#0", ARGUMENTS]


SEGMENTS = [Segment("a", "user", "some text"), Segment("b", "user", ""), Segment("c", "assistant", "other")]


def given_of(*findings: Finding, flagged: bool = True, outcome: Any = "ok") -> brought.Given:
    report = Report(detector="zoo", flagged=flagged, findings=findings, outcome=outcome)
    return brought.given(SEGMENTS, {"external:zoo": [0, 1, 2]}, {"external:zoo": report})


def test_matches_stand_in_their_segment() -> None:
    told = given_of(Finding("T", "a", 5, 9, 0.5, "zoo/t", "external")).matches["external:zoo"]
    assert [[(m.type, m.start, m.end, m.score, m.rule) for m in each] for each in told] == [
        [("T", 5, 9, 0.5, "zoo/t")], [], [],
    ]  # fmt: skip


def test_what_is_about_all_texts_stands_for_the_last_one_that_was_asked_about() -> None:
    for told in (given_of(Finding("T", "", 0, 0, 1.0, "zoo/t")), given_of()):
        matches = told.matches["external:zoo"]
        assert [[(m.start, m.end) for m in each] for each in matches] == [[], [], [(0, 5)]]


@given(st.integers(-5, 20), st.integers(-5, 20), st.sampled_from(["a", "b", "c", "x"]))
def test_no_span_leaves_its_text(start: int, end: int, path: str) -> None:
    """Whatever a service says, slicing by it is safe, and nothing it found is lost."""
    matches = given_of(Finding("T", path, max(start, 0), end, 1.0, "zoo/t")).matches["external:zoo"]
    found = [(at, m) for at, each in enumerate(matches) for m in each]
    assert len(found) == 1
    assert all(0 <= m.start <= m.end <= len(SEGMENTS[at].text) for at, m in found)


def test_a_failure_is_told_beside_what_was_found_before_it() -> None:
    told = given_of(Finding("T", "a", 0, 4, 1.0, "zoo/t"), outcome="timeout")
    assert told.failures == {"external:zoo": "timeout"}
    assert len(told.matches["external:zoo"][0]) == 1


def verdict(action: Any, enforced: Any, rule: str) -> Verdict:
    result = RuleResult(rule, "p", "enforce" if action == enforced else "shadow", action, ("T",), 1)
    return Verdict(action, enforced, (), "p", results=(result,), message=f"of {rule}" if enforced == "block" else "")


ACTIONS = st.sampled_from(sorted(SEVERITY))


@given(ACTIONS, ACTIONS, ACTIONS, ACTIONS)
def test_two_verdicts_are_one(one: Any, one_enforced: Any, other: Any, other_enforced: Any) -> None:
    """The action that lets less through wins; nothing either found is lost."""
    first, second = verdict(one, one_enforced, "a"), verdict(other, other_enforced, "b")
    both = merged(first, second)
    assert SEVERITY[both.action] == max(SEVERITY[one], SEVERITY[other])
    assert SEVERITY[both.enforced] == max(SEVERITY[one_enforced], SEVERITY[other_enforced])
    assert both.results == first.results + second.results
    if both.enforced == "block":
        assert both.message == ("of a" if one_enforced == "block" else "of b")


def test_of_two_blocks_the_one_that_found_something_counts() -> None:
    found = verdict("block", "block", "a")
    failed = msgspec.structs.replace(verdict("block", "block", "b"), message="", failed=True)
    for both in (merged(found, failed), merged(failed, found)):
        assert (both.failed, both.message) == (False, "of a")
    assert merged(failed, failed).failed


def test_an_empty_verdict_adds_nothing() -> None:
    one = msgspec.structs.replace(verdict("mask", "mask", "a"), failures=(Failure("d", "E", ("a",), False),))
    assert merged(one, ALLOWED) is one
    assert merged(ALLOWED, one) is one
    assert merged(one, one).failures == one.failures * 2
