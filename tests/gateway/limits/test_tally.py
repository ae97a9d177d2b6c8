"""Decisions are counted by rule and kind."""

from gateway.limits.tally import Tally
from gateway.quota import Admitted, Bound, Rolling, Rule


def bound(name: str) -> Bound:
    return Bound(Rule(id=name, measure="requests", amount=5, window=Rolling(60)), name)


def test_decisions_are_counted_by_rule_and_kind() -> None:
    tally = Tally()
    tally.add(bound("a"), "refused")
    tally.add(bound("a"), "refused")
    tally.admitted(Admitted(crossed=(bound("a"),), over=(bound("b"),), soft=(bound("c"),)))
    assert tally.counts == {("a", "refused"): 2, ("a", "soft"): 1, ("b", "over"): 1}
