"""Texts without ordinary casing are given one, character for character as long."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.ner.casing import natural
from gateway.inspection.ner.words import WordLists, words

LISTS = WordLists(
    frozenset({"anna", "straße", "mark"}), frozenset({"muller"}), frozenset({"oslo"}), frozenset({"mark"})
)


def recased(text: str) -> str:
    return natural(text, list(words(text)), LISTS)


def test_names_in_a_text_without_capitals_get_one() -> None:
    assert recased("i met anna müller in oslo. she said: mark it") == "I met Anna Müller in Oslo. She said: mark it"


def test_a_text_in_capitals_loses_them_but_for_names() -> None:
    assert recased("PAID BY ANNA MÜLLER, OSLO") == "Paid by Anna Müller, Oslo"


def test_in_an_ordinary_text_only_listed_names_in_capitals_change() -> None:
    assert recased("Please call ANNA about the USA and ASAP.") == "Please call Anna about the USA and ASAP."


@given(st.text(st.sampled_from("anNA oslo.ßẞŐİ \nMark'"), max_size=60))
def test_the_copy_is_as_long_as_the_text(text: str) -> None:
    """ "A copy of a text, as long as it is": the model's offsets are the text's."""
    copy = recased(text)
    assert len(copy) == len(text)
    assert copy.casefold() == text.casefold() or "İ" in text
