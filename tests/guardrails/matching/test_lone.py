"""Words that need not be shown to the gate again, against what the gate sees in a text of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.detector import Expression
from guardrails.matching.lone import Lone
from guardrails.pii import PiiDetector, described
from guardrails.secrets.detector import SecretDetector
from tests.support.detectors import ReGate

EXPRESSIONS = [
    Expression("(?:pin|api key|token) (?:is|was)[ :]", caseless=True),
    Expression(r"\bfoo bar\b"),
    Expression("xox"),
    Expression("ab{2,3}"),
    Expression("no\n(?:more|less)"),
    Expression("two  blanks"),
    Expression(r"\bso\b"),
    Expression("[0-9] [a-z]"),
]
WORDS = st.builds(
    str.__add__,
    st.sampled_from(
        ["pin", "spin", "Token", "is", "was", "api", "key", "foo", "bar", "bars", "xo", "xoxo", "abb", "so", "sos",
         "no", "more", "two", "", "blanks", "the", "word,"]
    ),
    st.sampled_from([" ", " ", " ", "\n"]),
)  # fmt: skip


def learned(words: list[str], expressions: list[Expression], gate: ReGate) -> Lone:
    lone = Lone(expressions)
    for word in words:
        if not gate.scan(b" " + word.encode()):
            lone.add(word)
    return lone


@given(st.lists(WORDS, max_size=12), st.lists(st.sampled_from(EXPRESSIONS), min_size=1, unique=True))
def test_nothing_ends_in_a_word_that_is_known(words: list[str], expressions: list[Expression]) -> None:
    """ "What matches within a word depends on the word alone and on the blanks around it", and "no word is kept with
    which such a match could end" that goes over a blank."""
    gate = ReGate(expressions)
    known = learned(words, expressions, gate).known
    ends = {end for _, end in gate.scan("".join(words).encode())}
    at = 0
    for word in words:
        at += len(word)
        assert word not in known or ends.isdisjoint(range(at - len(word) + 1, at + 1))


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("xox", {"the ", "bar ", "is\n"}),
        ("foo bar", {"the ", "is\n"}),
        ("(?i)token is ", {"the ", "bar "}),
        ("foo [a-z]+", set[str]()),
        ("[^x]the", {"bar ", "is\n"}),
        ("[^x]the[^x]", set[str]()),
        (r"token is \b", set[str]()),
        (r"(the) \1", set[str]()),
        ("a(?! b)", set[str]()),
        ("[a-z0-9]{0,40} [0-9]", {"the ", "bar ", "is\n"}),
    ],
)
def test_which_words_are_kept(pattern: str, kept: set[str]) -> None:
    lone = Lone([Expression(pattern)])
    for word in ("the ", "bar ", "is\n", "two words ", "word", "w" * 40 + " "):
        lone.add(word)
    assert lone.known == kept


@pytest.mark.parametrize(
    ("pattern", "tail"),
    [
        ("1ab", 0),
        ("1 ab", 3),
        ("a b", 3),
        ("(?:1 |2)a{2,4}", 5),
        ("(?:1 ab){2,3}", 3),
        ("a 1(?:b|3)?", 1),
        ("a b(?:1)?", 3),
        (r"\bfoo bar\b", 7),
    ],
)
def test_how_far_a_match_may_reach_into_words(pattern: str, tail: int) -> None:
    """ "The most plain characters in a row, blanks among them, that a match may end with.\""""
    assert Lone([Expression(pattern)]).tail == tail


def test_what_the_gate_only_approximates_keeps_none() -> None:
    lone = Lone([Expression("foo(?=a)", prefilter=True)])
    lone.add("the ")
    assert not lone.known


def test_everything_that_is_shipped_can_be_told() -> None:
    lone = Lone([*PiiDetector(frozenset(described())).expressions, *SecretDetector().expressions])
    for word in ("the ", "is ", "was\n"):
        lone.add(word)
    assert lone.known == {"the "}, "'token is ' is a beginning"


def test_what_is_kept_is_bounded() -> None:
    lone = Lone([Expression("xox")])
    for number in range(10_000):
        lone.add(f"{number} ")
    assert 0 < len(lone.known) <= 4096
