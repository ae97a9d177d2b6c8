"""Policies as they are compiled: what is wrong with them, and who is in a rollout."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.policy import AllowList, Bounds, Policy, PolicyError, Rule, in_rollout, problems

REQUEST = frozenset(("request",))


def complaints(*rules: Rule) -> list[str]:
    return problems([Policy("p", rules)], ["pii"], ["injection"], ["remote"])


def test_what_is_right_has_no_problem() -> None:
    assert (
        complaints(
            Rule(id="a", detector="pii", action="mask", thresholds={"X": 0.5}, allow=AllowList(frozenset(("x",)))),
            Rule(id="b", detector="injection", action="block"),
            Rule(id="c", detector="remote", action="reroute", reroute_to="m", on=REQUEST),
        )
        == []
    )


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule(id="a", detector="nobody"), "no detector 'nobody'"),
        (Rule(id="a", detector="injection", action="mask"), "injection judges whole texts, which mask cannot rewrite"),
        (Rule(id="a", detector="pii", action="reroute", on=REQUEST), "needs a model"),
        (Rule(id="a", detector="pii", action="reroute", reroute_to="m"), "cannot be rerouted"),
        (Rule(id="a", detector="pii", threshold=2), "from 0 to 1"),
        (Rule(id="a", detector="pii", thresholds={"X": math.nan}), "from 0 to 1"),
        (Rule(id="a", detector="pii", rollout=101), "percentage"),
        (Rule(id="a", detector="pii", on=frozenset()), "never run"),
        (Rule(id="a", detector="pii", max_scan=0), "max_scan"),
        (Rule(id="", detector="pii"), "needs an id"),
        (Rule(id="a", detector="pii", bounds=Bounds(match_rate=7)), "match_rate"),
        (Rule(id="a", detector="pii", bounds=Bounds(window=0)), "window"),
    ],
)
def test_every_mistake_is_said_with_its_place(rule: Rule, said: str) -> None:
    (problem,) = complaints(rule)
    assert problem.startswith(f"p, rule {rule.id}: ")
    assert said in problem


def test_all_mistakes_are_said_at_once() -> None:
    assert len(complaints(Rule(id="a", detector="x"), Rule(id="a", detector="pii", rollout=-1))) == 3
    assert PolicyError(["one", "two"]).problems == ("one", "two")


@given(st.text(max_size=20), st.text(st.characters(codec=None), max_size=20), st.floats(0, 100), st.floats(0, 100))
def test_a_larger_share_keeps_who_was_in_a_smaller(rule: str, key: str, one: float, other: float) -> None:
    """ "Stable; a larger percentage keeps everybody who was in a smaller one"; 0 is nobody, 100 everybody."""
    small, large = sorted((one, other))
    assert in_rollout(rule, large, key) >= in_rollout(rule, small, key)
    assert in_rollout(rule, 100, key)
    assert not in_rollout(rule, 0, key)


def test_the_share_is_about_what_was_asked_and_independent_between_rules() -> None:
    keys = [f"key-{n}" for n in range(4_000)]
    first = {key for key in keys if in_rollout("a", 25, key)}
    second = {key for key in keys if in_rollout("b", 25, key)}
    assert 900 < len(first) < 1_100
    assert 180 < len(first & second) < 320
