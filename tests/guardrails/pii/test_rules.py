"""The tables."""

import re

from guardrails.pii.candidates import FLAGS
from guardrails.pii.rules import DEFAULT, described, read


def test_ids_are_unique_and_stable_in_form() -> None:
    ids = [row.id for name in ("presidio", "own") for row in read(name).rules]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"pii\.[a-z_]+\.[a-z0-9_]+", one) for one in ids)


def test_every_pattern_compiles() -> None:
    for name in ("presidio", "own"):
        for row in read(name).rules:
            re.compile(row.regex, FLAGS)
            re.compile(row.gate.encode())
            re.compile(row.prefix, FLAGS)
            assert 0 < row.shortest <= row.length <= 128
            assert 0 < row.score < 1


def test_what_is_described_has_rules() -> None:
    own_code = {"EMAIL_ADDRESS", "URL", "IBAN_CODE", "PHONE_NUMBER"}
    assert described().keys() <= {row.entity for row in read("presidio").rules} | own_code
    assert set(DEFAULT) <= described().keys()
    assert list(described()) == sorted(described())
