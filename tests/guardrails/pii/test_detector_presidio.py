"""What Presidio finds is found: against its analyzer's answers, frozen by `tests/fuzz/fuzz_pii.py --write`."""

import json
from pathlib import Path

from guardrails.pii import DEFAULT, PiiDetector, described
from tests.guardrails.pii.texts import missed, scanner

FROZEN = Path(__file__).with_name("presidio_2_2_366.jsonl")
"""400 made-up texts with what Presidio 2.2.366 finds in them: blank pipeline, default entities, threshold 0."""
COUNTRIES = Path(__file__).with_name("presidio_2_2_366_countries.jsonl")
"""Made-up texts for every entity that is not among the default ones, with what Presidio's recognizer for it finds."""
OPT_IN = described().keys() - set(DEFAULT)


def test_presidio_finds_nothing_more() -> None:
    """*Equal to Presidio 2.2.366 on its pattern entities*, rules beyond it left out; `missed` says what is compared."""
    scan = scanner(PiiDetector(extra=False))
    count, lost, phones, lost_phones = 0, [], 0, 0
    for line in FROZEN.read_text("utf-8").splitlines():
        row = json.loads(line)
        theirs = [tuple(found) for found in row["found"]]
        count += len(theirs)
        phones += sum(kind == "PHONE_NUMBER" for kind, *_ in theirs)
        for kind, start, end, _ in missed(theirs, scan(row["text"])):
            if kind == "PHONE_NUMBER":
                lost_phones += 1
            else:
                lost.append((kind, row["text"][start:end]))
    assert count > 500
    assert lost == []
    assert lost_phones <= 0.03 * phones


def test_scores_are_presidios() -> None:
    """Where spans are equal and no context speaks, so are scores."""
    scan = scanner(PiiDetector(extra=False))
    compared = 0
    for line in FROZEN.read_text("utf-8").splitlines():
        row = json.loads(line)
        theirs = {(kind, start, end): score for kind, start, end, score in row["found"]}
        for match in scan(row["text"]):
            score = theirs.get((match.type, match.start, match.end))
            if score is not None and match.evidence != "context":
                assert abs(score - match.score) < 0.006, match
                compared += 1
    assert compared > 500


def test_each_country_is_as_presidio_has_it() -> None:
    """*The other countries' recognizers as opt-in sets*: span and score of each find, and nothing else found where
    Presidio finds nothing. Presidio's spans are what its scan has left, ours may hold them."""
    scan = scanner(PiiDetector(frozenset(OPT_IN), extra=False))
    compared: set[str] = set()
    for line in COUNTRIES.read_text("utf-8").splitlines():
        row = json.loads(line)
        entity, text = row["entity"], row["text"]
        ours = [match for match in scan(text) if match.type == entity]
        for start, end, score in row["found"]:
            held = [match for match in ours if match.start <= start and match.end >= end]
            assert any(match.score > score - 0.006 for match in held), (entity, text, start, end, score)
            compared.add(entity)
        if not row["found"]:
            assert ours == [], (entity, text)
    assert compared == OPT_IN
