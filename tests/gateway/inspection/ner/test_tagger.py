"""The linear model, and how words become spans."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.ner.features import Entity, features
from gateway.inspection.ner.tagger import CLASSES, LEAST, Weights, probabilities, spans
from gateway.inspection.ner.words import WordLists, words

NAMES = frozenset({"anna", "bert", "cleo"})
LISTS = WordLists(NAMES, frozenset({"bauer"}), frozenset({"oslo"}), frozenset({"and", "met", "in"}))
TABLE = {
    "list:g": (0.0, 4.0, 0.0, 0.0, 0.0), "list:s": (0.0, 4.0, 0.0, 0.0, 0.0), "place1": (0.0, 0.0, 6.0, 0.0, 0.0),
    "list:c": (6.0, 0.0, 0.0, 0.0, 0.0), "lower": (3.0, 0.0, 0.0, 0.0, 0.0),
    "list:": (0.9, 0.8, -3.0, -3.0, -3.0),
}  # fmt: skip
WEIGHTS = Weights((0.5, 0.0, 0.0, 0.0, 0.0), TABLE)


def found(text: str) -> list[tuple[str, str]]:
    split = list(words(text))
    tagged = spans(text, split, features(text, split, [], LISTS), WEIGHTS)
    return [(match.type, text[match.start : match.end]) for match in tagged]


def test_neighbours_of_one_class_are_one_span() -> None:
    assert found("Anna Bauer met Bert in Oslo") == [("PERSON", "Anna Bauer"), ("PERSON", "Bert"), ("LOCATION", "Oslo")]


def test_what_divides_two_words_divides_two_spans() -> None:
    for mark in (", ", "; ", "\n", " and ", "/", ". ", "'s ", " (", ' "'):
        assert found(f"Anna{mark}Bert") == [("PERSON", "Anna"), ("PERSON", "Bert")], mark
    for mark in (" ", "  "):
        assert len(found(f"Anna{mark}Bauer")) == 1, mark


def test_in_a_list_of_names_the_next_is_a_name_too() -> None:
    """ "Of names in a list each makes the next likely": alone the unknown name is none."""
    assert found("Xuan") == []
    assert found("Anna, Xuan and Bert") == [("PERSON", "Anna"), ("PERSON", "Xuan"), ("PERSON", "Bert")]


@given(st.lists(st.sampled_from([*TABLE, "unknown"]), max_size=8))
def test_probabilities_sum_to_one(names: list[str]) -> None:
    """ "Of each of `CLASSES` for a word with these features"; a feature counts once."""
    rated = probabilities(names, WEIGHTS)
    assert len(rated) == len(CLASSES)
    assert math.isclose(sum(rated), 1.0)
    assert probabilities(names + names, WEIGHTS) == rated


@given(st.text(st.sampled_from("Anna Bert bauer Oslo,.\n'-s"), max_size=60))
def test_spans_are_sorted_apart_and_sure_enough(text: str) -> None:
    """ "Below `LEAST` there is none"."""
    split = list(words(text))
    tagged = spans(text, split, features(text, split, [Entity("PERSON", 0, 4)], LISTS), WEIGHTS)
    assert all(match.score >= LEAST[match.type] - 0.001 for match in tagged)
    assert all(a.end <= b.start for a, b in pairwise(tagged))


def test_the_weights_of_the_package_fit_the_classes() -> None:
    weights = Weights.load()
    assert len(weights.bias) == len(CLASSES)
    assert len(weights.table) > 200
    assert all(len(row) == len(CLASSES) for row in weights.table.values())
