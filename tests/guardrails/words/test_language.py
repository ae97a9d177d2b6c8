"""The language of users' patterns: what is refused and why; its form for RE2."""

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from guardrails.words.errors import WordsError
from guardrails.words.language import UserPattern, for_re2, read, unfinished


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a*", "matches the empty text"),
        ("(?=x)a", "holds a look-around, which cannot be decided in linear time; allowed are classes"),
        (r"(a)\1", "holds a back-reference"),
        ("(?>a)b", "holds an atomic group"),
        ("^a", "asks for the beginning or end of the text, which a stream does not have"),
        ("a{2000}", "repeats more than 1,000 times"),
        ("(a{100}){100}", "can match 10,000 characters; 4,096 are allowed: bound its repeats"),
        ("(?:(?:(?:a?){30}){30}){30}", "matches the empty text"),
        ("a(?:(?:(?:b?){10}){20}){20}(?:(?:c?){10}){9}" * 6, "too large with its repeats written out|can match"),
        ("x" * 2000, "is longer than 1000 characters"),
        ("(", "is not a regular expression"),
        (r"(?u)\w+x", "is not a regular expression: ASCII and UNICODE flags are incompatible"),
        ("(?P<mask>a)|b", "the group mask must take part in every match"),
        ("a(?P<mask>b*)", "the group mask can be empty"),
        (r"[^\s\S]", "a class that nothing is in"),
    ],
)
def test_what_is_refused_and_why(pattern: str, words: str) -> None:
    with pytest.raises(WordsError, match=words) as refused:
        read(UserPattern("mine", "X", pattern))
    assert "'mine'" in str(refused.value)
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(
    ("pattern", "longest", "lead", "capped"),
    [("ab{2,3}", 4, 0, False), ("x+", 128, 0, True), ("(?:ab)*c", 129, 0, True), ("id: ?(?P<mask>a|bc)d", 7, 4, False)],
)
def test_what_is_known_of_a_pattern(pattern: str, longest: int, lead: int, capped: bool) -> None:
    known = read(UserPattern("p", "P", pattern))
    assert (known.longest, known.lead, known.capped) == (longest, lead, capped)


PATTERNS = [r"\bab\b", "a(?:b|cd)+?e", r"(?P<mask>x{2,3})y", r"[^a]\B1", "é.", "(?:ab|a)(?:c|bcd)"]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text("abcdexy1é -", max_size=8), more=st.text("abcdexy1é -", max_size=6))
def test_what_more_text_could_change_is_unfinished(pattern: str, text: str, more: str) -> None:
    """Beginnings of matches, whole ones included, up to the end of the text."""
    tree = read(UserPattern("p", "P", pattern)).tree
    exact = re2.compile(for_re2(tree))
    begun = re2.compile(unfinished(tree)).search(text)
    first = begun.start() if begun else len(text)
    for start in range(first):
        before, after = exact.match(text, start), exact.match(text + more, start)
        assert (before and before.span()) == (after and after.span())


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text("abcdexy1é -\n", max_size=10))
def test_re2_finds_what_re_finds(pattern: str, text: str) -> None:
    """`\\w \\d \\s \\b` are ASCII, as in RE2 and in `re` with re.ASCII."""
    mine = re2.compile(for_re2(read(UserPattern("p", "P", pattern)).tree)).search(text)
    theirs = re.search(pattern, text, re.ASCII)
    assert (mine and mine.span()) == (theirs and theirs.span())
