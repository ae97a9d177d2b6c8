"""What answers of a team and a model are expected to be as long as."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limits.learned import CLASSES, ENOUGH, FRESH, HALF, Distribution, LearnedOutput, class_of, upper_edge

slow_machine = settings(deadline=None)
tokens = st.one_of(st.integers(0, 100), st.integers(0, 2**24))


@slow_machine
@given(tokens)
def test_a_class_is_at_most_a_sixteenth_wide(count: int) -> None:
    """The upper edge is at least the count, and at most 1/16 more; up to 32 it is the count."""
    index = class_of(count)
    edge = upper_edge(index)
    assert 0 <= index < CLASSES
    assert count <= edge <= count * 17 / 16
    assert class_of(edge) == index
    assert class_of(edge + 1) == index + 1 or index == CLASSES - 1


def test_classes_have_no_gap_and_keep_order() -> None:
    assert [class_of(count) for count in range(49)] == [*range(33), *(33 + i // 2 for i in range(16))]
    edges = [upper_edge(index) for index in range(CLASSES)]
    assert edges == sorted(set(edges))
    assert edges[-1] == 2**24
    assert class_of(2**40) == CLASSES - 1
    assert class_of(-5) == 0


@slow_machine
@given(st.lists(tokens, min_size=ENOUGH, max_size=300), st.floats(0.01, 1.0))
def test_a_quantile_is_the_exact_one_or_up_to_a_sixteenth_more(seen: list[int], share: float) -> None:
    """Of what was seen, at least `share` is at or below it, and it is the smallest such class."""
    learned = Distribution()
    for count in seen:
        learned.observe(count)
    exact = sorted(seen)[math.ceil(round(share * len(seen), 9)) - 1]
    found = learned.quantile(share)
    assert found is not None
    assert exact <= found <= exact * 17 / 16 or math.isclose(share * len(seen), round(share * len(seen)))
    assert sum(count <= found for count in seen) >= share * len(seen) - 1e-6


def test_nothing_is_expected_before_there_is_enough() -> None:
    learned = LearnedOutput()
    for number in range(ENOUGH):
        assert learned.expected("search", "m", 0.95) is None
        learned.observe("search", "m", number)
    assert learned.expected("search", "m", 0.95) == ENOUGH - 2
    assert learned.expected("search", "other", 0.95) is None
    assert learned.expected("other", "m", 0.95) is None


def test_a_quantile_is_worked_out_anew_after_a_few_observations() -> None:
    learned = Distribution()
    for _ in range(ENOUGH):
        learned.observe(10)
    assert learned.quantile(1.0) == 10
    for _ in range(FRESH):
        assert learned.quantile(1.0) == 10
        learned.observe(32)
    assert learned.quantile(1.0) == 32
    assert learned.quantile(0.5) == 10


def test_what_is_long_ago_fades() -> None:
    """After a change, p95 follows within HALF observations or so, and at last nothing of before is left."""
    learned = Distribution()
    for _ in range(50 * HALF):
        learned.observe(1000)
    for _ in range(2 * HALF):
        learned.observe(10)
    assert learned.quantile(0.5) == 10
    for _ in range(18 * HALF):
        learned.observe(10)
    assert learned.quantile(1.0) == 10
    for _ in range(HALF // 4):
        learned.observe(1000)
    found = learned.quantile(0.95)
    assert found is not None
    assert 1000 <= found <= 1063


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_about_as_many_answers_as_said_are_longer(share: float) -> None:
    """On answers drawn from one distribution (log-normal, as lengths of text are): 1 - share of them, or a bit less."""
    chance = random.Random(11)
    learned = LearnedOutput()
    beyond = asked = 0
    for _ in range(20_000):
        length = min(4096, int(chance.lognormvariate(5, 1)))
        if (expected := learned.expected("t", "m", share)) is not None:
            asked += 1
            beyond += length > expected
        learned.observe("t", "m", length)
    assert (1 - share) * 0.7 <= beyond / asked <= (1 - share) * 1.15


def test_pairs_are_bounded_and_those_in_use_stay() -> None:
    learned = LearnedOutput(pairs=10)
    for number in range(1000):
        learned.observe("team", "used", 7)
        learned.observe("team", f"other-{number}", 7)
        assert len(learned) <= 10
    assert learned.expected("team", "used", 0.95) == 7
    assert learned.expected("team", "other-1", 0.95) is None
