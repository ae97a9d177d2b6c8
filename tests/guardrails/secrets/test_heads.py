"""Heads: what the gate looks for is short, of known length, and says where a token starts."""

import random
import re

import pytest

from guardrails.matching.syntax import parse
from guardrails.secrets.heads import has_blank, head
from guardrails.secrets.rules import Token, tokens
from tests.support.regex_samples import sample


@pytest.mark.parametrize(
    ("pattern", "expression", "shortest", "longest"),
    [
        ("ghp_[A-Za-z0-9]{36}", r"ghp\x5f[0-9A-Za-z]{6,6}", 10, 10),
        (r"\d{8,10}:AA[A-Za-z0-9_-]{33}", r"[0-9]{8,10}\x3aAA[\x2d0-9A-Z\x5fa-z]{6,6}", 17, 19),
        ("[0-9a-f]{32}-us[0-9]{1,2}", r"[0-9a-f]{32,32}\x2dus[0-9]{1,1}", 36, 36),
    ],
)
def test_heads(pattern: str, expression: str, shortest: int, longest: int) -> None:
    found = head(pattern)
    assert (found.expression.pattern, found.shortest, found.longest) == (expression, shortest, longest)


@pytest.mark.parametrize("rule", tokens(), ids=lambda rule: rule.id)
def test_every_token_begins_with_its_head(rule: Token) -> None:
    """A match starts between `longest` and `shortest` characters before a hit's end."""
    found = head(rule.pattern)
    chance = random.Random(rule.id)
    for _ in range(5):
        value = sample(parse(rule.pattern), chance, shortest=False)
        start = re.match(found.expression.pattern, value, re.ASCII)
        assert start is not None
        assert found.shortest <= start.end() <= found.longest <= 100
        assert len(value) <= found.length


def test_blanks_are_seen() -> None:
    assert has_blank("a b")
    assert has_blank(r"a[^x]b")
    assert not has_blank(r"a[^x\s]b")
