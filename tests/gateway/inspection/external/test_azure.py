"""Azure AI Content Safety: severities as scores, blocklist terms looked up in the text."""

import json

import pytest

from gateway.inspection.external.azure import AzureContentSafety
from gateway.inspection.external.shape import Context, Reply, Stamp, Text, WrongAnswer
from tests.support.detector_services import config_of

TEXT = [Text("user", "Our Falcon project, falcon!")]


def reply(threshold: float | None = None, **answer: object) -> Reply:
    shape = AzureContentSafety(config_of("azure-content-safety", "http://x", threshold=threshold))
    return shape.reply(TEXT, 200, json.dumps(answer).encode())


def categories(**severities: int) -> list[dict[str, object]]:
    return [{"category": name, "severity": severity} for name, severity in severities.items()]


def test_medium_counts_unless_a_threshold_says_otherwise() -> None:
    found = categories(Hate=2, SelfHarm=4, Sexual=6)
    assert [m.type for _, m in reply(categoriesAnalysis=found).matches] == ["SELF_HARM", "SEXUAL"]
    assert [m.type for _, m in reply(0.2, categoriesAnalysis=found).matches] == ["HATE", "SELF_HARM", "SEXUAL"]
    assert [m.type for _, m in reply(0.8, categoriesAnalysis=found).matches] == ["SEXUAL"]


def test_a_blocklists_term_is_found_in_any_case() -> None:
    hit = {"blocklistName": "projects", "blocklistItemId": "1", "blocklistItemText": "falcon"}
    found = [match for _, match in reply(blocklistsMatch=[hit]).matches]
    assert [(m.start, m.end, m.rule) for m in found] == [(4, 10, "zoo/blocklist/projects"),
                                                        (20, 26, "zoo/blocklist/projects")]  # fmt: skip


def test_a_term_that_does_not_occur_as_such_covers_the_text() -> None:
    hit = {"blocklistName": "p", "blocklistItemText": "f a l c o n"}
    assert [(m.start, m.end) for _, m in reply(blocklistsMatch=[hit]).matches] == [(0, 27)]


def test_an_object_without_a_verdict_is_no_answer() -> None:
    """`categoriesAnalysis` always comes, if empty; any other service's JSON must not pass for harmless."""
    assert reply(categoriesAnalysis=[]) == Reply()
    assert reply(blocklistsMatch=[]) == Reply()
    for answer in ({}, {"status": "ok"}, {"categoriesAnalysis": None}):
        with pytest.raises(WrongAnswer):
            reply(**answer)


def test_blocklists_and_categories_are_asked_for() -> None:
    config = config_of("azure-content-safety", "http://x", blocklists=("p",), entities=("Hate",), version="2023-10-01")
    outgoing = AzureContentSafety(config).request(TEXT, Context(), Stamp(0, "i"))
    body = json.loads(outgoing.body)
    assert (body["blocklistNames"], body["categories"]) == (["p"], ["Hate"])
    assert outgoing.path.endswith("?api-version=2023-10-01")
