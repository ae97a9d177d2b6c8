"""Patterns of allow-lists."""

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.words.errors import WordsError
from guardrails.words.values import WholeValue


@pytest.mark.parametrize("pattern", [r"a+@example[.]org", r"(?:ab|c){1,3}", r"\d{2}-x", "ä[é-ü]?"])
@given(value=st.text("ab@exmplorg.c12-xäéü", max_size=14) | st.sampled_from(["aa@example.org", "abc", "12-x", "äé"]))
def test_it_matches_whole_values_as_re_does(pattern: str, value: str) -> None:
    assert (WholeValue(pattern).fullmatch(value) is not None) == (re.fullmatch(pattern, value, re.ASCII) is not None)


def test_half_a_surrogate_pair_is_no_error() -> None:
    assert WholeValue("a.").fullmatch("a\ud800") is not None


@pytest.mark.parametrize("pattern", ["(", "(?=a)b", r"(a)\1", "a*"])
def test_what_is_not_linear_is_refused(pattern: str) -> None:
    with pytest.raises(WordsError):
        WholeValue(pattern)


def test_what_it_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(WordsError, match="google-re2"):
        WholeValue("a")
