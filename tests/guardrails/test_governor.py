"""When a rule is demoted to shadow."""

import math

from hypothesis import given
from hypothesis import strategies as st

from guardrails.governor import Demotion, Governor
from guardrails.policy import Bounds

BOUNDS = Bounds(micros=100, match_rate=0.5, window=10, at_least=4, cooling=60)


def test_too_slow_on_average_is_demoted_once_and_comes_back() -> None:
    governor = Governor({"r": BOUNDS})
    told = [governor.tell("r", False, micros, at) for at, micros in enumerate((50, 150, 150, 150, 900))]
    assert told == [None, None, None, Demotion("r", "latency", 125.0, 100, 63.0), None]
    assert governor.demoted(62.9) == {"r"}
    assert governor.demoted(63.0) == frozenset()
    assert governor.tell("r", False, 900, 64.0) is None, "it starts afresh"


def test_what_is_over_is_told_once() -> None:
    governor = Governor({"r": BOUNDS, "s": BOUNDS})
    assert list(governor.rules) == ["r", "s"]
    for at in range(4):
        governor.tell("r", True, 900, at)
    assert governor.counts == {("r", "latency"): 1}
    assert [governor.ended(now) for now in (62.9, 63.0, 64.0)] == [[], ["r"], []]
    assert governor.demoted(63.0) == frozenset()


def test_what_was_seen_to_be_over_first_is_told_too() -> None:
    """An inspection after `cooling` does not take the telling away, nor a reload."""
    governor = Governor({"r": BOUNDS})
    for at in range(4):
        governor.tell("r", True, 900, at)
    governor.tell("r", True, 1, 64.0)
    assert [governor.ended(64.0), governor.ended(64.0)] == [["r"], []]


def test_acting_too_often_is_demoted() -> None:
    governor = Governor({"r": BOUNDS})
    told = [governor.tell("r", at != 1, 1, 0.0) for at in range(4)]
    assert told[-1] == Demotion("r", "match_rate", 0.75, 0.5, 60.0)


def test_what_is_long_past_does_not_count() -> None:
    governor = Governor({"r": BOUNDS})
    for at in (0.0, 0.1, 0.2):
        governor.tell("r", True, 1, at)
    assert governor.tell("r", True, 1, 25.0) is None, "only this one is in the window"


def test_rules_without_bounds_and_rules_within_them_stay() -> None:
    governor = Governor({"r": BOUNDS})
    assert all(governor.tell("other", True, 1e9, 0.0) is None for _ in range(50))
    assert all(governor.tell("r", at % 2 == 0, 100, at / 10) is None for at in range(1, 200))


def test_rules_that_a_reload_did_not_change_go_on_where_they_were() -> None:
    earlier = Governor({"r": BOUNDS, "s": BOUNDS, "seen": BOUNDS})
    for rule in ("r", "s"):
        for at in range(4):
            earlier.tell(rule, True, 900, at)
    for _ in range(3):
        earlier.tell("seen", True, 900, 3.0)
    governor = Governor({"r": BOUNDS, "s": BOUNDS, "seen": BOUNDS})
    governor.take_over(earlier, {"r", "seen"})
    assert governor.demoted(10.0) == {"r"}
    assert governor.counts == {("r", "latency"): 1}
    assert governor.ended(63.0) == ["r"]
    assert governor.tell("seen", True, 900, 3.0) is not None, "the fourth inspection"


def test_a_person_ends_a_demotion() -> None:
    governor = Governor({"r": Bounds(micros=1, at_least=1, cooling=math.inf)})
    assert governor.tell("r", False, 2, 0.0) is not None
    assert governor.demoted(1e12) == {"r"}
    governor.restore("r")
    assert governor.demoted(0.0) == frozenset()


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans(), st.floats(0, 300)), max_size=60))
def test_nobody_is_demoted_on_less_than_the_least_evidence(told: list[tuple[float, bool, float]]) -> None:
    """ "Inspections in the window before anything is concluded", and a demotion names a value over its bound."""
    governor = Governor({"r": BOUNDS})
    now, since = 0.0, 0
    for pause, matched, micros in told:
        now += pause
        counted = "r" not in governor.demoted(now)
        since += counted
        demotion = governor.tell("r", matched, micros, now)
        if demotion is not None:
            assert since >= BOUNDS.at_least
            assert demotion.value > demotion.bound
            since = 0
