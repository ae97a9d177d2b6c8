"""Regular expressions as trees: sets and lengths are those of `re`."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.matching.syntax import UNBOUNDED, Chars, Group, SyntaxRefused, lengths, parse, walk

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


def test_groups_keep_their_names() -> None:
    assert [(g.number, g.name) for g in walk(parse("(a)(?P<mask>b)")) if isinstance(g, Group)] == [(1, ""), (2, "mask")]


@pytest.mark.parametrize("pattern", ["(", "a{9999999999}", "(" * 50_000 + ")" * 50_000, r"(?P<x>a)(?P<x>b)"])
def test_what_is_no_pattern_is_refused_without_quoting_it(pattern: str) -> None:
    with pytest.raises(SyntaxRefused) as refused:
        parse(pattern)
    assert len(str(refused.value)) < 120
