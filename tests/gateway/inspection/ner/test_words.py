"""Words with their offsets, folding, and the lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.ner.words import WordLists, fold, words


@given(st.text(max_size=60))
def test_words_are_slices_of_the_text_in_order(text: str) -> None:
    """ "One word of a text": its offsets are the text's."""
    at = 0
    for word in words(text):
        assert at <= word.start < word.end
        assert text[word.start : word.end] == word.text
        at = word.end


@pytest.mark.parametrize(("text", "expected"), [
    ("O'Brien's cat", ["O'Brien", "cat"]), ("Anna-Lena Müller", ["Anna-Lena", "Müller"]), ("it's 4 o'clock",
     ["it", "4", "o'clock"]), ("Jo's", ["Jo"]), ("x_y", ["x", "y"]),
])  # fmt: skip
def test_apostrophes_and_hyphens(text: str, expected: list[str]) -> None:
    assert [word.text for word in words(text)] == expected


@pytest.mark.parametrize(("word", "folded"), [("Muñoz-Łoś", "munoz-los"), ("Þórðarson", "thordarson"),
                                              ("D’Angelo", "d'angelo"), ("ΛΑΡΝΑΚΑ", "λαρνακα")])  # fmt: skip
def test_folding(word: str, folded: str) -> None:
    assert fold(word) == folded


@given(st.text(max_size=20))
def test_folding_again_changes_nothing(word: str) -> None:
    """ "Lower case without accents": there is nothing left to fold."""
    assert fold(fold(fold(word))) == fold(fold(word))


def test_the_lists_are_there_and_folded() -> None:
    lists = WordLists.load()
    assert {"anna", "mehmet", "sigridur"} <= lists.given
    assert {"garcia", "nakamura"} <= lists.surnames
    assert {"reykjavik", "new york", "germany"} <= lists.places
    assert {"the", "wife", "wrote"} <= lists.common
    assert all(fold(word) == word for word in list(lists.given)[:2000])
    assert lists.place_words >= 3
