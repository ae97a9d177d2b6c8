"""Two ways to the same matches: with what one pass says is nowhere in a text, and by a search for each."""

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.injection import signs
from guardrails.injection.heuristics import RULES, Heuristics
from guardrails.injection.signs import LONG, Signs
from guardrails.injection.words import tokens
from guardrails.matching.gate import open_gate
from tests.guardrails.injection.test_heuristics import CASES

HEURISTICS, SIGNS = Heuristics(), Signs(RULES)
PARTS = sorted({*(start for rule in RULES for start in rule.starts), *(need for rule in RULES for need in rule.needs)})
SAID = sorted({text for texts in CASES.values() for said in texts for text in said})
TEXTS = st.lists(
    st.sampled_from([*PARTS, *SAID, "\n", ". ", " ", "é", "\ud800", "<", "#", "="]) | st.text(max_size=3), max_size=40
).map(lambda parts: " ".join(parts).lower())
FILLER = "the bridge was closed in march for repairs. " * (LONG // 40)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from(["user", "tool", "input"]))
def test_a_long_text_has_the_matches_that_searching_it_finds(text: str, role: str) -> None:
    """ "told by one pass of Hyperscan instead of a search for each": the same matches"""
    long = FILLER + text
    words = set(tokens(long))
    with patch.object(Signs, "absent", return_value={}):
        searched = list(HEURISTICS.find(long, words, role))
    assert list(HEURISTICS.find(long, words, role)) == searched


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_absent_is_what_is_not_there(text: str) -> None:
    """ "Parts that are surely not in a text" """
    every = SIGNS.absent("").keys()
    assert every <= set(PARTS)
    assert SIGNS.absent(text) == {part: [] for part in every if part not in text}


def test_what_the_words_of_a_text_tell_is_not_asked_for() -> None:
    every = SIGNS.absent("").keys()
    assert {"do not follow", "<start_of", "ignor", "<!--", "不要理会"} <= every
    assert not {"ignore", "[", "##", "your", "anything"} & every


@pytest.mark.parametrize("backend", ["re2", "re"])
def test_without_hyperscan_it_knows_nothing(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "open_gate", lambda expressions: open_gate(expressions, prefer=backend))  # pyright: ignore[reportArgumentType, reportUnknownArgumentType, reportUnknownLambdaType]
    assert Signs(RULES[:4]).absent("nothing of it") == {}
