"""The whole recognizer: with a tiny model, and with spaCy's."""

from collections.abc import Sequence

import pytest

from gateway.inspection.ner.features import Entity
from gateway.inspection.ner.recognizer import Recognizer
from gateway.inspection.ner.spacy_model import SpacyModel
from guardrails.detector import Match


def nothing(texts: Sequence[str]) -> list[list[Entity]]:
    return [[] for _ in texts]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(SpacyModel())


def said(matches: list[Match], text: str, *kinds: str) -> list[tuple[str, str]]:
    return [(m.type, text[m.start : m.end]) for m in matches if m.type in kinds]


@pytest.mark.parametrize(("text", "names"), [
    ("My name is Katarzyna Wójcik and I live here.", ["Katarzyna Wójcik"]),
    ("my name is katarzyna wójcik and i live here", ["katarzyna wójcik"]),
    ("Kind regards,\nOluwaseun Adebayo\nSales Manager", ["Oluwaseun Adebayo"]),
    ("Please ask Dr. Rasmussen about it.", ["Rasmussen"]),
    ("I met Priya, Mehmet and Giulia yesterday.", ["Priya", "Mehmet", "Giulia"]),
    ("The printer is broken and the paper is gone.", []),
    ("Open the Settings page and click Save.", []),
    ("Visit https://www.AnnaBauer.example/Start today", []),
])  # fmt: skip
def test_names(recognizer: Recognizer, text: str, names: list[str]) -> None:
    assert said(recognizer([text])[0], text, "PERSON") == [("PERSON", name) for name in names]


@pytest.mark.parametrize(("text", "places"), [
    ("We flew from Copenhagen to Nairobi.", ["Copenhagen", "Nairobi"]),
    ("who is coming to norway with me?", ["norway"]),
])  # fmt: skip
def test_places(recognizer: Recognizer, text: str, places: list[str]) -> None:
    assert said(recognizer([text])[0], text, "LOCATION") == [("LOCATION", place) for place in places]


def test_dates_and_nationalities_are_the_models(recognizer: Recognizer) -> None:
    text = "The German minister resigned on March 3rd."
    assert said(recognizer([text])[0], text, "NRP", "DATE_TIME") == [("NRP", "German"), ("DATE_TIME", "March 3rd")]


def test_each_text_has_its_own_matches(recognizer: Recognizer) -> None:
    texts = ["", "Please ask Dr. Rasmussen.", "nothing"]
    assert [len(matches) for matches in recognizer(texts)] == [0, 1, 0]


def test_entities_under_a_name_give_way() -> None:
    def dates(texts: Sequence[str]) -> list[list[Entity]]:
        return [[Entity("DATE_TIME", 12, 17), Entity("NRP", 0, 2)] for _ in texts]

    found = Recognizer(dates)(["my name is Marta Nowak"])[0]
    assert [(m.type, m.start) for m in found] == [("NRP", 0), ("PERSON", 11)]


def test_without_a_models_help_lists_and_rules_still_find_what_is_plain() -> None:
    found = Recognizer(nothing)(["My name is Anna Bauer."])[0]
    assert [(m.type, m.start, m.end, m.evidence) for m in found] == [("PERSON", 11, 21, "model")]
