"""Pieces of PromQL, read back by Prometheus' own rules for strings and patterns."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.slo.promql import number, one_of, quoted, selector

names = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="*"), min_size=1, max_size=20)


def unquoted(literal: str) -> str:
    """A double-quoted string as Go reads it, for the escapes that `quoted` uses."""
    assert literal[0] == literal[-1] == '"'
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), literal[1:-1])


@given(st.text(max_size=30))
def test_a_string_is_read_back_as_it_was(text: str) -> None:
    assert unquoted(quoted(text)) == text


@given(st.lists(names, min_size=1, max_size=4), names)
def test_a_matcher_takes_the_names_it_was_made_of_and_no_other(listed: list[str], other: str) -> None:
    """ "A matcher's value for any of `names`"; Prometheus anchors patterns at both ends."""
    matcher = one_of(listed)
    for name in {*listed, other}:
        operator, literal = matcher[: matcher.index('"')], matcher[matcher.index('"') :]
        text = unquoted(literal)
        matched = name == text if operator == "=" else re.fullmatch(text, name) is not None
        assert matched == (name in listed)


@given(names, names)
def test_a_star_takes_everything_that_begins_so(prefix: str, rest: str) -> None:
    matcher = one_of([prefix + "*"])
    pattern = unquoted(matcher.removeprefix("=~"))
    assert re.fullmatch(pattern, prefix + rest)
    assert re.fullmatch(pattern, prefix)


@given(st.decimals("0.00001", "1000", places=5))
def test_a_number_is_plain_and_exact(value) -> None:
    text = number(float(value))
    assert re.fullmatch(r"\d+(\.\d*[1-9])?", text)
    assert float(text) == float(value)


def test_selectors() -> None:
    assert selector("up", {}) == "up"
    assert selector("up", {"job": '="a"', "x": '!="b"'}) == 'up{job="a",x!="b"}'
