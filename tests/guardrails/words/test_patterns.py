"""Users' patterns: the same matches as `re`, in linear time, whatever way a text is cut."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.detector import Match
from guardrails.matching.gate import Gate, open_gate
from guardrails.words.errors import WordsError
from guardrails.words.language import UserPattern
from guardrails.words.patterns import MOST_PATTERNS, PatternDetector
from tests.support.seam import check_locality, check_stability, found

PATTERNS = [
    UserPattern("employee", "EMPLOYEE", r"\bEMP-\d{2,4}\b"),
    UserPattern("masked", "ID", r"id: ?(?P<mask>\w{2,5})\b"),
    UserPattern("bait", "BAIT", r"(a+)+b"),
    UserPattern("lazy", "LAZY", r"x.{1,4}?y|xyz"),
    UserPattern("unicode", "U", r"(?i)ü[^a-c]é"),
    UserPattern("opening", "OPEN", r"\bemp-(?:1|23)", caseless=True),
    UserPattern("edges", "EDGES", r"\Bb\d{3}\B"),
    UserPattern("many", "MANY", r"(?:ab|a){2,5}"),
    UserPattern("shorter", "SHORTER", r"a[^-]b"),
    UserPattern("never", "NEVER", r"(?:-){0,0}zq"),
]
TEXT = st.lists(
    st.sampled_from(
        [
            "EMP-",
            "12",
            "3",
            "id:",
            " ",
            "ab",
            "a",
            "b",
            "aaa",
            "x",
            "yz",
            "ü",
            "É",
            "é",
            "-",
            "_",
            "\ud800",
            "中",
            "b123",
        ]
    ),
    max_size=14,
).map("".join)


@pytest.fixture(scope="module")
def detector() -> PatternDetector:
    return PatternDetector(PATTERNS)


@pytest.fixture(scope="module", params=["hyperscan", "re2"])  # where `re` is the gate, RE2 is missing, and so are these
def gate(detector: PatternDetector, request: pytest.FixtureRequest) -> Gate:
    return open_gate(detector.expressions, request.param)


def by_re(pattern: UserPattern, text: str) -> list[tuple[int, int]]:
    flags = re.ASCII | (re.IGNORECASE if pattern.caseless else 0)
    compiled = re.compile(pattern.pattern.replace("(?i)ü[^a-c]é", "[üÜ][^a-cA-C][éÉ]"), flags)
    spans: list[tuple[int, int]] = []
    covered = 0
    for start in range(len(text)):
        if (match := compiled.match(text, start)) and match.end() > covered:
            covered = match.end()
            spans.append(match.span("mask" if "mask" in compiled.groupindex else 0))
    return spans


@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_matches_are_those_of_re(detector: PatternDetector, gate: Gate, text: str) -> None:
    """For every place where a pattern matches, the match is the one that `re` would find from there; those that lie
    inside an earlier one are left out."""
    matches = found(detector, gate, text)
    for pattern in PATTERNS:
        mine = [(m.start, m.end) for m in matches if m.rule == f"pattern.{pattern.name}"]
        assert mine == by_re(pattern, text.replace("\ud800", "\ufffe")), pattern.name


@settings(max_examples=300, deadline=None)
@given(text=TEXT, data=st.data())
def test_seam(detector: PatternDetector, gate: Gate, text: str, data: st.DataObject) -> None:
    check_stability(detector, gate, text, data.draw(st.integers(0, len(text))))
    check_locality(detector, gate, text, margin=1)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_seam_alone(pattern: UserPattern, data: st.DataObject) -> None:
    alone = PatternDetector([pattern])
    gate = open_gate(alone.expressions)
    text = data.draw(TEXT)
    check_stability(alone, gate, text, data.draw(st.integers(0, len(text))))


def test_many_patterns_keep_the_longest_match_back() -> None:
    many = PatternDetector([UserPattern(f"p{n}", "N", f"n{n}x\\d{{3}}") for n in range(300)])
    gate = open_gate(many.expressions)
    assert many.settled("word " * 20) == 100 - many.reach.length - 1
    check_stability(many, gate, "see n250x123, n1x999", 12)


def test_prose_is_settled_to_its_last_word(detector: PatternDetector) -> None:
    text = "Nothing here looks like the beginning of one, not at " + "all"
    assert len(text) - detector.settled(text) <= 3


def test_too_many_are_refused() -> None:
    with pytest.raises(WordsError, match="20,001 patterns are too many"):
        PatternDetector([PATTERNS[0]] * (MOST_PATTERNS + 1))


def test_repeats_without_an_end_are_capped_and_said(detector: PatternDetector) -> None:
    assert [note.partition(",")[0] for note in detector.notes] == [
        "pattern 'bait': a repeat without an end takes at most 128 characters"
    ]


def test_what_is_masked_is_the_group(detector: PatternDetector, gate: Gate) -> None:
    assert found(detector, gate, "his id: k_c1.") == [Match("ID", 8, 12, 1.0, "pattern.masked", "pattern")]


def test_bait_and_100_000_matches_take_bounded_work(detector: PatternDetector, gate: Gate) -> None:
    assert {match.rule for match in found(detector, gate, "a" * 20_000)} == {"pattern.many"}
    assert len(found(detector, gate, "EMP-1234 " * 20_000)) == 40_000
    assert found(detector, gate, "lorem ipsum " * 400_000) == []


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.sampled_from(["a", "[bc]", r"\d"]),
        lambda inner: st.tuples(inner, st.integers(1, 40)).map(lambda t: f"(?:{t[0]}x?){{1,{t[1]}}}"),
    )
)
def test_what_is_accepted_never_fails_later(pattern: str) -> None:
    """RE2 compiles at the first hit, or now where it could refuse."""
    try:
        accepted = PatternDetector([UserPattern("p", "P", pattern)])
    except WordsError:
        return
    found(accepted, open_gate(accepted.expressions), "abc123xaax")
    accepted.settled("abc123xaax")
