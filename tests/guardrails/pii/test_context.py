"""Context words."""

from hypothesis import given
from hypothesis import strategies as st

from guardrails.pii.context import REACH, Context, Near, raised, words_before


def said(words: list[str], text: str) -> bool:
    return Context(words).among(words_before(text, len(text)))


def test_whole_words_in_any_case_and_plural() -> None:
    assert said(["card"], "My CARD is ")
    assert said(["card"], "the cards: ")
    assert said(["ssn"], "ssn#")
    assert not said(["card"], "discard it ")
    assert not said(["card"], "card and so on for a while ")


def test_a_phrase_is_its_words_in_a_row() -> None:
    assert said(["mac address"], "the MAC-address of it: ")
    assert not said(["mac address"], "the address of my mac ")


@given(st.text(), st.text(min_size=REACH, max_size=REACH))
def test_context_is_local(head: str, near: str) -> None:
    """*Left context a decision may depend on* is `REACH` characters."""
    assert words_before(head + near, len(head) + REACH) == words_before(near, REACH)


@given(st.text() | st.text("aB, -9.\n", max_size=200), st.lists(st.integers(0, 200), max_size=8), st.integers(0, 9))
def test_many_places_are_read_as_each_alone(text: str, starts: list[int], places: int) -> None:
    """`Near.before` is "as `words_before`", whichever way it reads."""
    near = Near(text, places)
    for start in starts:
        assert near.before(start) == near.before(start) == words_before(text, start)


@given(st.floats(0, 1))
def test_a_raised_score_is_a_score(score: float) -> None:
    assert 0.4 <= raised(score) <= 1.0
    assert raised(score) >= score
