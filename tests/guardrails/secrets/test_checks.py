"""Checks: entropy, placeholders, randomness, checksums."""

import math
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.secrets import checks


@given(st.text(min_size=1, max_size=50))
def test_entropy_is_between_nothing_and_all_different(value: str) -> None:
    """Shannon entropy of the characters, in bits each."""
    assert -1e-9 <= checks.entropy(value) <= math.log2(len(value)) + 1e-9


def test_entropy_of_halves() -> None:
    assert checks.entropy("abab") == 1
    assert checks.entropy("") == 0


@pytest.mark.parametrize(
    "value",
    ["sk-" + "x" * 20, "YOUR_API_KEY", "<token>", "AKIAIOSFODNN7EXAMPLE", "${TOKEN}", "changeme", "aaaaaaaaaa1"],
)
def test_placeholders(value: str) -> None:
    assert checks.placeholder(value)


def test_random_keys_look_random() -> None:
    chance = random.Random(7)
    for alphabet, least in (
        (string.hexdigits[:16], 20),
        (string.ascii_letters + string.digits, 16),
        (string.ascii_letters, 30),
    ):
        values = ["".join(chance.choices(alphabet, k=least)) for _ in range(500)]
        assert sum(map(checks.random_looking, values)) >= 495
        assert sum(map(checks.placeholder, values)) <= 2


@pytest.mark.parametrize("value", ["counterrevolutionary", "aaaa1111aaaa1111", "............", ""])
def test_words_and_runs_do_not(value: str) -> None:
    assert not (value and checks.random_looking(value))


def test_a_check_is_named() -> None:
    assert checks.named("") is None
    assert checks.named("github") is checks.github
    with pytest.raises(KeyError):
        checks.named("none")
