"""Patterns over characters as expressions over bytes: nothing is missed."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.detector import Expression
from guardrails.matching.gate import BACKENDS, open_gate
from guardrails.matching.syntax import SyntaxRefused, parse
from guardrails.matching.widening import opening, widened

PATTERNS = [
    r"\b\w+@\w+\.com\b",
    r"\b[A-Z]{2}\d{2}\b",
    r"\b\d{1,3}\b",
    r"(?<![\w-])k[^ks]s(?!\d)",
    r"\bé\b",
    r"[éà]x",
    r"(['\"]).{1,4}\1",
    r"(?:\bab|cd\b)-?\b(?:1|2)",
    r"\B1\B",
    r"(?>a+)b?+.",
    r"^a.$",
    r"(a)?(?(1)b|1)",
    r"\S\s\D\W",
    r"ßk",
    r"(?s:.)k{2,}",
    r"a.b",
    r"k{0,0}[^a]b",
]
TEXTS = st.text("ab12KkSsİıſKéÀß٣@.-_ '\"\n\ud800中ex", max_size=14) | st.text(max_size=12)


@pytest.mark.parametrize("flags", [0, re.IGNORECASE, re.ASCII, re.ASCII | re.IGNORECASE], ids=["u", "ui", "a", "ai"])
@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_match_has_a_hit(pattern: str, flags: int, data: st.DataObject) -> None:
    """For every match of the pattern in a text, [start, end) in bytes of its UTF-8, a hit lies in (start, end]."""
    text = data.draw(TEXTS)
    exact = re.compile(pattern, flags)
    for backend in BACKENDS:
        gate = open_gate([widened(pattern, flags)], backend)
        hits = {end for _, end in gate.scan(text.encode("utf-8", "surrogatepass"))}
        for start in range(len(text)):
            if match := exact.match(text, start):
                low, high = (len(text[:at].encode("utf-8", "surrogatepass")) for at in match.span())
                assert any(low < hit <= high for hit in hits), (backend, start, hits)


@pytest.mark.parametrize(
    ("pattern", "expression"),
    [
        (r"\bghp_[A-Za-z0-9]{36}\b", r"\bghp\x5f[0-9A-Za-z]{36,36}\b"),
        (r"\b\d{3}-\d{2}", r"(?:\b|[\x80-\xff])[0-9\x80-\xff]{3,12}\x2d[0-9\x80-\xff]{2,8}"),
        (r"(?<!x)é{2,}(?=y)", r"(?:\xc3\xa9){2,}"),
    ],
)
def test_what_is_written(pattern: str, expression: str) -> None:
    assert widened(pattern).pattern == expression


@pytest.mark.parametrize(("pattern", "words"), [("a*", "matches the empty text"), ("(", "not a regular expression")])
def test_refusals(pattern: str, words: str) -> None:
    with pytest.raises(SyntaxRefused, match=words):
        widened(pattern)


@pytest.mark.parametrize(
    ("pattern", "caseless", "expected"),
    [
        (r"\bEMP-\d{4}", False, Expression(r"EMP\x2d")),
        ("emp-1", True, Expression(r"emp\x2d1", caseless=True)),
        (r"ab\d{4}", False, None),
        ("müller", False, None),
        ("a" * 40, False, Expression("a" * 16)),
    ],
)
def test_opening(pattern: str, caseless: bool, expected: Expression | None) -> None:
    tree = parse(pattern, re.ASCII | (re.IGNORECASE if caseless else 0))
    assert opening(tree, caseless) == expected
