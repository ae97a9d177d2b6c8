"""OpenAI's moderations: what the service flags, or what a threshold says."""

import json

import pytest

from gateway.inspection.external.moderations import Moderations
from gateway.inspection.external.shape import Context, Reply, Stamp, Text, WrongAnswer
from tests.support.detector_services import config_of

TEXT = [Text("user", "some text")]


def reply(
    threshold: float | None = None, flagged: bool = True, **categories: tuple[bool | None, float | None]
) -> Reply:
    result = {"flagged": flagged, "categories": {name: pair[0] for name, pair in categories.items()},
              "category_scores": {name: pair[1] for name, pair in categories.items()}}  # fmt: skip
    shape = Moderations(config_of("openai-moderations", "http://x", threshold=threshold))
    return shape.reply(TEXT, 200, json.dumps({"results": [result]}).encode())


def test_categories_the_service_flagged_whatever_their_score() -> None:
    """Its thresholds differ by category: 0.2 may be flagged and 0.4 not."""
    found = [match for _, match in reply(hate=(True, 0.2), violence=(False, 0.4)).matches]
    assert [(m.type, m.start, m.end, m.score, m.rule) for m in found] == [("HATE", 0, 9, 0.2, "zoo/hate")]


def test_a_threshold_decides_instead() -> None:
    assert [m.type for _, m in reply(0.3, hate=(True, 0.2), violence=(False, 0.4)).matches] == ["VIOLENCE"]


def test_flagged_without_a_category_is_a_finding_too() -> None:
    assert [m.type for _, m in reply(hate=(False, 0.0)).matches] == ["FLAGGED"]


def test_categories_without_scores_and_scores_of_none() -> None:
    assert [m.score for _, m in reply(hate=(True, None), illicit=(None, None)).matches] == [1.0]


def test_a_result_for_each_text() -> None:
    with pytest.raises(WrongAnswer, match="1 results to 2 texts"):
        Moderations(config_of("openai-moderations", "http://x")).reply(
            TEXT * 2, 200, b'{"results":[{"flagged":false}]}'
        )


def test_without_a_model_the_services_own_is_asked() -> None:
    shape = Moderations(config_of("openai-moderations", "http://x", model=""))
    assert json.loads(shape.request(TEXT, Context(), Stamp(0, "i")).body) == {"input": ["some text"]}
