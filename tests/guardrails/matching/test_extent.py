"""How far expressions reach, against what `re` finds."""

import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.detector import Expression
from guardrails.matching.extent import Extent, extent, joined
from guardrails.matching.syntax import UNBOUNDED, Chars, parse, walk
from guardrails.pii import PiiDetector, described
from guardrails.secrets.detector import SecretDetector
from tests.support.regex_samples import sample


def ascii_text(expression: Expression) -> bool:
    """Whether `sample` can write what it matches."""
    sets = [node for node in walk(parse(expression.pattern)) if isinstance(node, Chars)]
    return all(any(low < 0x7F for low, _ in one.ranges) for one in sets)


EXPRESSIONS = [*PiiDetector(frozenset(described())).expressions, *SecretDetector().expressions]
SHIPPED = list(filter(ascii_text, EXPRESSIONS))
WORDS = re.compile(rb"[A-Za-z \n,.;'!?]+")


@pytest.mark.parametrize(
    ("pattern", "longest", "words", "within"),
    [
        ("ab", 2, 0, True),
        ("a b?", 3, 3, True),
        ("ab{2,5} [0-9]", 8, 0, True),
        ("é", 2, 0, True),
        (r"\bpin (?:is|was)\b", 7, 7, True),
        ("a+b", UNBOUNDED, 0, True),
        ("a ?b+", UNBOUNDED, UNBOUNDED, True),
        ("(?:^|[^0-9])[0-9](?:[^0-9]|$)", 3, 0, True),
        ("[^a]b[^a]", 3, 3, True),
        ("^a", 1, 0, False),
        ("(?:^|x)a", 2, 0, False),
        ("a$", 1, 0, False),
        ("a(?:^|[^0-9])b", 3, 3, False),
        ("a\\sb", 3, 3, False),
        ("a.b", 3, 3, True),
        ("(?:a[^b]|c) d", 4, 4, False),
        ("a(?=b)", UNBOUNDED, UNBOUNDED, False),
        (r"(a)\1", UNBOUNDED, UNBOUNDED, False),
        ("(", UNBOUNDED, UNBOUNDED, False),
    ],
)
def test_what_is_known_of_an_expression(pattern: str, longest: int, words: int, within: bool) -> None:
    assert extent([Expression(pattern)]) == Extent(longest, words, within)


def test_of_several_the_farthest_counts() -> None:
    parts = [extent([Expression("abc")]), extent([Expression("a b")]), extent([Expression("^a")])]
    assert joined(parts) == extent([Expression("abc"), Expression("a b"), Expression("^a")]) == Extent(3, 3, False)
    assert joined([]) == Extent(0, 0, True)


def test_what_a_prefilter_finds_is_not_known() -> None:
    assert extent([Expression("ab", prefilter=True)]) == Extent(UNBOUNDED, UNBOUNDED, False)


def test_default_detectors_are_bounded_and_within() -> None:
    """What makes clean requests and the events of a stream cheap in the usual configuration."""
    for detector in (PiiDetector(), SecretDetector()):
        known = extent(detector.expressions)
        assert known.within
        assert known.longest < 256
        assert known.words < 32


@given(st.integers(0, len(SHIPPED) - 1), st.integers(0, 1 << 30))
def test_no_match_is_longer(place: int, seed: int) -> None:
    """`longest` and `words`: "Bytes of the longest match of any"; "that is made of" words, with a blank."""
    expression = SHIPPED[place]
    chance = random.Random(seed)
    text = sample(parse(expression.pattern), chance, shortest=False).encode()
    known = extent([expression])
    found = re.compile(expression.pattern.encode(), re.IGNORECASE * expression.caseless).search(b" %b " % text)
    if found is not None:
        assert len(found[0]) <= known.longest
        if b" " in found[0] and WORDS.fullmatch(found[0]):
            assert len(found[0]) <= known.words


@given(st.integers(0, len(SHIPPED) - 1), st.integers(0, 1 << 30), st.sampled_from(["", "x", " ", "\n", "-", "7"]))
def test_what_matches_in_a_string_matches_in_its_document(place: int, seed: int, beside: str) -> None:
    """`within`: "what matches in a string of a JSON document, taken by itself, matches at the same place where the
    document is scanned"."""
    expression = SHIPPED[place]
    pattern = re.compile(expression.pattern.encode(), re.IGNORECASE * expression.caseless)
    chance = random.Random(seed)
    text = chance.choice(["", beside]) + sample(parse(expression.pattern), chance, shortest=False) + beside
    document = json.dumps({"a": [text, 1], text: 2}, ensure_ascii=False)
    if extent([expression]).within and "\\" not in document and pattern.search(text.encode()):
        assert pattern.search(document.encode())
        assert pattern.search(text.encode() + b"\n" + text.encode())
