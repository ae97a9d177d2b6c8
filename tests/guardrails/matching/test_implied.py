"""What needs a run of digits is worked out, and never wrongly."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.detector import Detector, Expression
from guardrails.matching.implied import DIGITS, GAP, MARKS, MOST, RUN, WORTH, fewer, needs_run
from guardrails.pii.detector import PiiDetector, described
from guardrails.secrets.detector import SecretDetector

RUNS = re.compile(RUN.pattern)
PIECES = (
    "[0-9]", r"\d", "[0-9-]", "[a-z0-9]", "-", "[ -]", "x", "a", "[^0-9]", ".", r"\b", "7", "(?:12|-3)", "[0-9]{3}",
)  # fmt: skip
DETECTORS: tuple[Detector, ...] = (PiiDetector(frozenset(described())), SecretDetector())
TIMES = ("", "?", "*", "+", "{2}", "{0,3}", "{7}", "{3,}")


@st.composite
def patterns(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(TIMES)), min_size=1, max_size=7))
    either = draw(st.booleans())
    return ("|" if either else "").join(part if part == r"\b" else part + times for part, times in parts)


@given(text=st.text("0123456789" + MARKS + "a:\n", min_size=1, max_size=40))
@settings(max_examples=500)
def test_a_text_alone_needs_a_run_if_it_has_one(text: str) -> None:
    assert needs_run(Expression(re.escape(text))) == (RUNS.search(text) is not None)


@given(pattern=patterns(), data=st.data())
@settings(max_examples=300)
def test_whatever_needs_a_run_has_one(pattern: str, data: st.DataObject) -> None:
    if needs_run(Expression(pattern)):
        found = data.draw(st.from_regex(re.compile(f"(?:{pattern})", re.ASCII), fullmatch=True))
        assert not found.isascii() or RUNS.search(found)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[0-9]{7}", True),
        ("[0-9]{6}", False),
        (r"\b\d{3}[ -]\d{2}[ -]\d{4}\b", True),
        ("[0-9]{3}:[0-9]{4}", False),
        ("[0-9]{3}-{6}[0-9]{4}", True),
        ("[0-9]{3}-{7}[0-9]{4}", False),
        ("[0-9]{3}-{7}[0-9]{4}-?[0-9]{3}", True),
        ("(?:[0-9]-?){4,}[0-9]{3}", True),
        ("(?:[0-9]-?){3,}[0-9]{3}", False),
        ("[0-9]{8}|a[0-9]{7}", True),
        ("[0-9]{8}|a", False),
        ("[\x80-\xff]1", True),
        ("(?=[0-9]{9})a", False),
        (r"([0-9]{9})\1", True),
        (r"([0-9]{3})\1-", False),
        ("[0-9]{5000}", False),
        ("(", False),
    ],
)
def test_what_needs_a_run(pattern: str, expected: bool) -> None:
    assert needs_run(Expression(pattern)) is expected


def test_case_and_prefilters() -> None:
    assert needs_run(Expression("[0-9]{3}X[0-9]{4}", caseless=True))
    assert not needs_run(Expression("[0-9]{9}", prefilter=True)), "what the engine makes of it is its own affair"
    assert (DIGITS, GAP) == (7, 6), "telephone numbers are looked for so"


def test_the_few_and_the_many() -> None:
    word, short = Expression("word"), Expression("[0-9]{3}")
    long = [Expression(f"[0-9]{{{9 + more}}}") for more in range(WORTH)]
    assert fewer([word, *long, short]) == [word, short, RUN]
    assert fewer([word, *long[1:], short]) is None
    assert fewer([]) is None
    assert fewer([word] * MOST + long) == [word] * MOST + [RUN]
    assert fewer([word] * (MOST + 1) + long) is None


@pytest.mark.parametrize(
    "detector", [PiiDetector(frozenset(described())), SecretDetector()], ids=lambda detector: detector.name
)
@given(data=st.data())
@settings(max_examples=400)
def test_what_is_shipped(detector: Detector, data: st.DataObject) -> None:
    expressions = [each for each in detector.expressions if needs_run(each)]
    assert expressions
    chosen = data.draw(st.sampled_from(expressions))
    flags = re.ASCII | re.IGNORECASE if chosen.caseless else re.ASCII
    found = data.draw(st.from_regex(re.compile(chosen.pattern.encode("utf-8", "surrogatepass"), flags), fullmatch=True))
    assert not found.isascii() or RUNS.search(found.decode("ascii"))
