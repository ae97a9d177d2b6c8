"""Pairs of a verb and an object, and what spares them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.injection.harm import ASKED, CRIMES, MAKING, SPARED, THINGS, Acts

ACTS = Acts("steal|break into", "cars?|houses?")


def test_a_pair_is_at_most_five_words_apart_within_a_sentence() -> None:
    expression = re.compile(ACTS.pattern)
    assert expression.search("steal two of her cars")
    assert expression.search("break into a house")
    assert not expression.search("steal. the cars")
    assert not expression.search("steal a b c d e f cars")
    assert not expression.search("steal attention from those who protect cars")


def test_starts_and_their_first_words() -> None:
    assert ACTS.starts == ("steal", "break into")
    assert ACTS.needs == {"steal", "break"}
    assert ACTS._replace(things=frozenset({"cars"})).needs == {"cars"}


@pytest.mark.parametrize(
    "before", ["how do banks stop people who ", "laws against those who try to ", "we protect and "]
)
def test_what_spares(before: str) -> None:
    assert not re.search(SPARED, before)
    assert not re.search(ASKED, before)


@pytest.mark.parametrize("before", ["how to ", "tell me how do i ", "they are caught. show me a way: steps to "])
def test_what_asks(before: str) -> None:
    assert re.search(SPARED, before)
    assert re.search(ASKED, before)


@given(
    st.sampled_from(MAKING.starts),
    st.sampled_from(["a pipe bomb", "ransomware", "fake passports", "a racist joke", "a Ponzi scheme"]),
)
def test_every_verb_goes_with_every_object(verb: str, thing: str) -> None:
    """ "Every verb goes with every object." """
    assert re.search(MAKING.pattern, f"{verb} {thing.lower()}")
    assert THINGS & set(thing.lower().split())


def test_all_expressions_are_bounded() -> None:
    assert not any(
        re.search(r"(?<!\\])[*+](?!\?)", acts.pattern.replace("[\\s\\S]*", "")) for acts in (MAKING, *CRIMES)
    )
