"""A glance at a whole body never says that nothing is in it where something is found in its texts."""

import json
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.detector import Expression
from guardrails.engine import PolicyEngine
from guardrails.glance import LARGEST, clear
from guardrails.matching.gate import open_gate
from tests.fuzz.fuzz_shipped import RIG, body, compare_glance, engine, secrets
from tests.guardrails.pii.texts import PIECES

GATE = open_gate([Expression("secret|key[0-9]"), Expression('token["]?[:=]'), Expression("a\nb")])
STOCK = [*PIECES, *secrets(random.Random(1))]


@cache
def judge_of(which: int) -> PolicyEngine:
    """Made when a test asks, and not by every worker's collection."""
    return engine(None, None, patterns=True) if which else engine(RIG, None)


def compact(value: Any, **options: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, **options).encode()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (compact({"max_tokens": 256, "a": "words"}), True),
        (b'{"token" : 1}', True),
        (b'{"a":"token:"}', False),
        (compact({"a": 'x "token":'}), False),
        (compact({"a": "the secret"}), False),
        (compact({"secret": 1}), False),
        (compact({"a": "line\nline\ttab / \r"}), True),
        (compact({"a": "a\nb"}), False),
        (compact({"a": "back\\slash"}), False),
        (b'{"a":"\\u00e9"}', False),
        (b'{"a":"\\b"}', False),
        (b'{"a":"\\/"}', True),
        (compact({"a": "é"}), True),
        (b'{"a":"\xff"}', False),
        (b'{"a":1', False),
        (b"", False),
        (b"[" * 5000 + b"]" * 5000, False),
        (b"[1]", True),
    ],
)
def test_what_a_glance_shows(written: bytes, expected: bool) -> None:
    assert clear(GATE, written) is expected


def test_expressions_that_do_not_count_and_members_that_hold_no_text() -> None:
    written = compact({"id": "secret", "choices": ["key1"]})
    assert not clear(GATE, written)
    assert not clear(GATE, written, within=b'"choices"')
    assert not clear(GATE, written, within=b'"output"'), "it is not there, so that all is looked at"
    assert clear(GATE, written, counted={1})
    assert clear(GATE, compact({"id": "secret", "choices": ["words"]}), within=b'"choices"')


def test_a_gate_that_fails_shows_nothing() -> None:
    class Broken:
        def scan(self, data: bytes, /) -> Sequence[tuple[int, int]]:
            raise RuntimeError

    assert not clear(Broken(), b"{}")


def test_large_bodies_and_restored_answers_are_not_glanced_at() -> None:
    judge = judge_of(0)
    assert judge.clear(compact({"a": "words " * 20}), "request")
    assert not judge.clear(compact({"a": "words " * (LARGEST // 6)}), "request")


@given(st.integers(0, 1 << 30), st.booleans(), st.sampled_from(range(2)))
@settings(max_examples=150, deadline=None)
def test_what_is_clear_at_a_glance_is_allowed_by_the_engine(seed: int, rich: bool, which: int) -> None:
    """ "Whether a glance at a JSON body shows that `inspect` allows whatever texts it has"."""
    chance = random.Random(seed)
    compare_glance(judge_of(which), chance, body(chance, STOCK if rich else ["word", "4111"]))
