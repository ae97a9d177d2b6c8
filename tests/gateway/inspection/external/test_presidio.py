"""Presidio's analyzer service: an array of texts, an array of arrays of results."""

import json

import pytest

from gateway.inspection.external.presidio import Presidio
from gateway.inspection.external.shape import Context, Stamp, Text, WrongAnswer
from tests.support.detector_services import config_of


def test_entities_and_threshold_are_the_services_business() -> None:
    shape = Presidio(config_of("presidio", "http://x", entities=("PERSON",), threshold=0.4, language="de"))
    body = json.loads(shape.request([Text("user", "a")], Context(), Stamp(0, "i")).body)
    assert body == {"text": ["a"], "language": "de", "score_threshold": 0.4, "entities": ["PERSON"]}


def test_results_are_sorted_clipped_and_never_empty() -> None:
    shape = Presidio(config_of("presidio", "http://x"))
    results = [[
        {"entity_type": "B", "start": 3, "end": 99, "score": 2},
        {"entity_type": "A", "start": -2, "end": 2, "score": 0.5, "analysis_explanation": None},
    ]]  # fmt: skip
    found = shape.reply([Text("user", "abcde")], 200, json.dumps(results).encode()).matches
    assert [(m.type, m.start, m.end, m.score) for _, m in found] == [("A", 0, 2, 0.5), ("B", 3, 5, 1.0)]


@pytest.mark.parametrize(("start", "end"), [(9, 12), (-7, -7), (3, 2), (5, 9), (2, 2)])
def test_a_span_that_is_nowhere_is_no_answer(start: int, end: int) -> None:
    """What was found somewhere must not pass because nobody knows where: `WrongAnswer`, and `on_failure` decides."""
    shape = Presidio(config_of("presidio", "http://x"))
    results = [[{"entity_type": "A", "start": start, "end": end, "score": 1}]]
    with pytest.raises(WrongAnswer, match="not in the text"):
        shape.reply([Text("user", "abcde")], 200, json.dumps(results).encode())


def test_one_list_for_one_text_is_another_form() -> None:
    with pytest.raises(WrongAnswer):
        Presidio(config_of("presidio", "http://x")).reply([Text("user", "a")], 200, b'[{"entity_type": "A"}]')
