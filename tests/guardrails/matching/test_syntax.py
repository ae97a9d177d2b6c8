"""Regular expressions as trees: sets and lengths are those of `re`."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.matching.syntax import LAST, UNBOUNDED, Chars, Group, SyntaxRefused, beginnings, lengths, parse, walk

SETS = [r"[a-c]", r"[^a-c]", r"\w", r"\W", r"[^\W\d]", r"\s", r"\S", ".", "(?s:.)", "k", "[^k]", "é", r"[à-ü]", r"\D"]


@pytest.mark.parametrize("flags", [0, re.I, re.A, re.A | re.I], ids=["u", "ui", "a", "ai"])
@pytest.mark.parametrize("pattern", SETS)
@given(char=st.characters() | st.sampled_from("kKsSiIſKİıéÉüÜ\n\x0b\xa0"))
def test_a_set_holds_what_re_matches(pattern: str, flags: int, char: str) -> None:
    """Where a set is not vague its members are exactly what `re` matches; ASCII is always exact. (With re.ASCII and
    ignored case, letters beyond ASCII match their other case as well.)"""
    tree = parse(pattern, flags)
    assert isinstance(tree, Chars)
    member = any(low <= ord(char) <= high for low, high in tree.ranges)
    matches = bool(re.fullmatch(pattern, char, flags))
    if char.isascii():
        assert member == matches
    elif not (flags & re.I and flags & re.A):
        assert not matches or member or tree.vague
        assert tree.vague or member == matches


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("abc?", (2, 3)), ("(a|bcd){2,4}", (2, 12)), (r"\bx+(?=y)", (1, UNBOUNDED)), (r"(a)\1", (1, UNBOUNDED)),
     ("(?P<n>a)??(?(n)bb|c)", (1, 3)), ("(?>a{3})", (3, 3)), ("(?:a*){100}", (0, UNBOUNDED)), ("", (0, 0))],
)  # fmt: skip
def test_lengths(pattern: str, expected: tuple[int, int]) -> None:
    assert lengths(parse(pattern)) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("abc?", "a"), ("(a|bcd){2,4}", "ab"), (r"\bx+(?=y)", "x"), (r"(?<!y)a?b", "ab"), ("(?>a{3})", "a"),
     ("[a-c]??(?:d|e)", "abcde")],
)  # fmt: skip
def test_beginnings(pattern: str, expected: str) -> None:
    found = beginnings(parse(pattern))
    assert [chr(code) for low, high in found for code in range(low, high + 1)] == list(expected)


@pytest.mark.parametrize("pattern", ["", "a?", r"(a)?\1b", "(?:a|b?)", "(?=a)"])
def test_what_can_be_empty_begins_with_anything(pattern: str) -> None:
    assert beginnings(parse(pattern)) == ((0, LAST),)


@given(
    st.sampled_from(SETS), st.sampled_from(["?", "*", "", "{2}"]), st.sampled_from(SETS), st.text(min_size=2),
    st.sampled_from([0, re.I, re.A]),
)  # fmt: skip
def test_a_match_begins_with_one_of_its_beginnings(first: str, often: str, second: str, text: str, flags: int) -> None:
    """ "The characters a match can begin with; all that come into question"."""
    pattern = rf"(?<!#)(?:{first}){often}{second}"
    found = beginnings(parse(pattern, flags))
    for match in re.finditer(pattern, text, flags):
        assert any(low <= ord(match[0][0]) <= high for low, high in found)


def test_groups_keep_their_names() -> None:
    assert [(g.number, g.name) for g in walk(parse("(a)(?P<mask>b)")) if isinstance(g, Group)] == [(1, ""), (2, "mask")]


@pytest.mark.parametrize("pattern", ["(", "a{9999999999}", "(" * 50_000 + ")" * 50_000, r"(?P<x>a)(?P<x>b)"])
def test_what_is_no_pattern_is_refused_without_quoting_it(pattern: str) -> None:
    with pytest.raises(SyntaxRefused) as refused:
        parse(pattern)
    assert len(str(refused.value)) < 120
