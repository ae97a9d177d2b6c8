"""Features of words: the model's label, lists, shapes, neighbours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.ner.features import Entity, features, in_places, labels
from gateway.inspection.ner.words import WordLists, words

LISTS = WordLists(frozenset({"anna", "mark"}), frozenset({"bauer"}), frozenset({"new york", "york", "oslo"}),
                  frozenset({"mark", "the", "novel"}))  # fmt: skip


def of(text: str, which: int, *entities: Entity) -> set[str]:
    return set(features(text, list(words(text)), entities, LISTS)[which])


@pytest.mark.parametrize(("text", "which", "expected"), [
    ("Anna", 0, {"title", "list:g", "first", "last"}),
    ("mark", 0, {"lower", "list:gc"}),
    ("Dr. Xuan left", 1, {"<title/title", "<gap:near"}),
    ("He left. Xuan came", 2, {"<gap:.", "starts/title"}),
    ("Xuan's novel", 0, {"possessive/title", ">work/title"}),
    ("Anna, Xuan", 1, {"<list:title/g"}),
    ("Anna and Xuan", 2, {"<list:title/g"}),
    ("the Xuan novel", 1, {"<w:the/title", ">w:novel/title"}),
    ("12 Xuan Street", 1, {"<number", ">street/title"}),
    ("GB33BUKB2020", 0, {"code"}),
    ("Petrovic", 0, {"suffix/title"}),
    ("New York", 1, {"place2+", "place2+/title"}),
])  # fmt: skip
def test_what_is_known(text: str, which: int, expected: set[str]) -> None:
    assert expected <= of(text, which)


def test_words_of_addresses_and_single_letters_have_no_other_feature() -> None:
    assert of("see https://Anna.example/Bauer", 2) == {"address-part"}
    assert of("anna@bauer.example", 0) == {"address-part"}
    assert of("23 y/o", 1) == {"letter"}


def test_the_models_label_says_where_an_entity_begins() -> None:
    found = list(words("met Anna Bauer, Oslo"))
    assert labels(found, [Entity("LOCATION", 16, 20), Entity("PERSON", 4, 14)]) == [
        "", "B-PERSON", "I-PERSON", "B-LOCATION"]  # fmt: skip


def test_the_longest_place_counts() -> None:
    assert in_places(list(words("New York, York")), LISTS) == ["2+", "2+", "1"]


ENTITIES = st.builds(Entity, st.sampled_from(["PERSON", "OTHER"]), st.integers(0, 40), st.integers(0, 60))


@given(st.text(max_size=60), st.lists(ENTITIES, max_size=3))
def test_every_word_of_any_text_has_features(text: str, entities: list[Entity]) -> None:
    """ "Features of every word of `text`", whatever the text and whatever the model says."""
    found = list(words(text))
    made = features(text, found, entities, LISTS)
    assert len(made) == len(found)
    assert all(made)
