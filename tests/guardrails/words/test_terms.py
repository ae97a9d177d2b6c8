"""Lists of terms: whole words, case, blanks, overlaps, and the seam's promises."""

import re
import timeit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.detector import Match
from guardrails.matching.gate import open_gate
from guardrails.words.errors import WordsError
from guardrails.words.terms import MOST_BLANKS, TermDetector, TermList, lowered, topics
from tests.support.seam import check_locality, check_stability, found

LISTS = [
    TermList("customers", "CUSTOMER", ["Acme", "Acme Corp", "Müller", "ΟΔΟΣ", "ab", "abc d"]),
    TermList("codes", "CODE", ["XY", "xyz", "b", "éX"], caseless=False, whole_words=False),
    *topics({"weapons": ["gun", "hand grenade"]}),
]
DETECTOR = TermDetector(LISTS)
GATE = open_gate(())
TEXT = st.lists(
    st.sampled_from(["Acme", "acme corp", " ", "CORP", "müller", "MÜLLER", "οδοσ", "ΟΔΟΣ", "ς", "İ", "XY", "xyz", "é",
                     "X", "ab", "c", " d", "b", "_", "-", "gun", "hand gren", "ade", "\ud800", "ß",
                     "hand", "grenade", "acme", "  ", "\n", "\t\r\n", "\xa0", " " * 7, "\u2003" * 8]),
    max_size=10,
).map("".join)  # fmt: skip


def by_hand(text: str) -> set[tuple[int, int, str]]:
    """Every occurrence that counts, looked for in the plainest way."""
    spans: set[tuple[int, int, str]] = set()
    for each in LISTS:
        rule = each.rule or f"terms.{each.name}"
        terms = [lowered(term) if each.caseless else term for term in each.terms]
        wanted = re.compile("|".join(rf"\s{{1,{MOST_BLANKS}}}".join(map(re.escape, term.split())) for term in terms))
        for start in range(len(text)):
            for end in range(start + 1, len(text) + 1):
                piece = text[start:end]
                glued = any(
                    0 < at < len(text) and all(c.isalnum() or c == "_" for c in text[at - 1 : at + 1])
                    for at in (start, end)
                )
                if wanted.fullmatch(lowered(text)[start:end] if each.caseless else piece) and not (
                    each.whole_words and glued
                ):
                    spans.add((start, end, rule))
    return {
        (s, e, r)
        for s, e, r in spans
        if not any(r == q and a <= s and e <= b and (a, b) != (s, e) for a, b, q in spans)
    }


@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_matches(text: str) -> None:
    """Of those that begin at one place the longest stays, and none that lies inside another."""
    matches = DETECTOR.confirm(text, ())
    assert {(m.start, m.end, m.rule) for m in matches} == by_hand(text)
    assert [m.start for m in matches] == sorted(m.start for m in matches)


@settings(max_examples=300, deadline=None)
@given(text=TEXT, data=st.data())
def test_seam(text: str, data: st.DataObject) -> None:
    check_stability(DETECTOR, GATE, text, data.draw(st.integers(0, len(text))))
    check_locality(DETECTOR, GATE, text, margin=1)


@given(st.text(max_size=20) | st.text("İıẞßΣςσſK", max_size=20))
def test_lower_case_is_as_long_and_local(text: str) -> None:
    """Each character's simple lower case; as long as the text."""
    assert lowered(text) == "".join(lowered(char) for char in text)
    assert len(lowered(text)) == len(text)


def test_topics_are_reported_by_name() -> None:
    assert DETECTOR.confirm("a Hand Grenade", ()) == [Match("BANNED_TOPIC", 2, 14, 1.0, "topic.weapons", "list")]


@pytest.mark.parametrize("between", [" ", "  ", "\n", "\r\n\t ", "\xa0", "\u2003 \n", " " * MOST_BLANKS])
@pytest.mark.parametrize("written", ["hand grenade", "hand\tgrenade", "hand  grenade"])
def test_a_blank_of_a_term_is_several_or_the_end_of_a_line(between: str, written: str) -> None:
    detector = TermDetector([TermList("w", "W", [written])])
    text = f"\n\n a  Hand{between}Grenade  b"
    (match,) = detector.confirm(text, ())
    assert text[match.start : match.end] == f"Hand{between}Grenade"
    assert detector.settled(f"a  hand{between}") == 3
    assert detector.settled(f"a  hand{' ' * (MOST_BLANKS + 1)}") == 4 + 3 + MOST_BLANKS + 1


def test_more_blanks_than_a_line_and_its_indent_are_none() -> None:
    assert DETECTOR.confirm(f"a hand{' ' * (MOST_BLANKS + 1)}grenade", ()) == []
    assert DETECTOR.confirm("a handgrenade", ()) == []


def test_blanks_cost_time_linear_in_the_text() -> None:
    detector = TermDetector([TermList("w", "W", ["a b " * 60 + "c"])])
    for bait in ("a  b\n\n", "a b ", " \n", "a" + " " * 9):
        spent = [
            min(timeit.repeat(lambda text=bait * size: detector.confirm(text, ()), number=1, repeat=3))
            for size in (4_000, 32_000)
        ]
        assert spent[1] < 32 * spent[0]


@pytest.mark.parametrize(
    ("terms", "words"),
    [([], "has no terms"), (["ok", " "], "term 2 is empty"), (["x" * 257], "term 1 is longer than 256 characters"),
     (["ok", "a\ud800"], "term 2 holds half a surrogate pair"), ([" padded"], "begins or ends with a blank"),
     (["x"] * 1_000_001, "1,000,001 terms are too many")],
)  # fmt: skip
def test_refusals_name_the_place_and_not_the_term(terms: list[str], words: str) -> None:
    with pytest.raises(WordsError, match=words) as refused:
        TermDetector([TermList("mine", "X", terms)])
    assert "padded" not in str(refused.value)


def test_100_000_matches_and_ten_thousand_terms() -> None:
    many = TermDetector([TermList("many", "M", [f"name{n} of{n}" for n in range(10_000)])])
    assert len(many.confirm("name77 of77 " * 100_000, ())) == 100_000
    text = "we met name123 o"
    assert many.settled(text) == 7
    assert found(many, GATE, "prose without any " * 10_000) == []
