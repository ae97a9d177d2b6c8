"""What a change of policies does to texts."""

from hypothesis import given
from hypothesis import strategies as st

from guardrails.comparison import CHANGES, Changed, Comparison
from guardrails.interface import ALLOWED, Action, Mode, RuleResult, Segment, Verdict


def verdict(enforced: Action, *rules: tuple[str, Mode, Action], text: str = "") -> Verdict:
    results = tuple(RuleResult(rule, "p", mode, action, ("T",), 1) for rule, mode, action in rules)
    rewrites = (Segment("text", "user", text),) if text else ()
    return Verdict(enforced, enforced, (), "p", rewrites, results)


MASKED = verdict("mask", ("a", "enforce", "mask"), text="<T>")
BLOCKED = verdict("block", ("a", "enforce", "mask"), ("b", "enforce", "block"))
SHADOWED = verdict("allow", ("b", "shadow", "block"))
FLAGGED = verdict("flag", ("c", "enforce", "flag"))


def test_each_kind_of_change() -> None:
    comparison = Comparison()
    assert comparison.add(ALLOWED, ALLOWED) is None
    assert comparison.add(SHADOWED, FLAGGED) is None
    assert comparison.add(SHADOWED, BLOCKED) == Changed(3, "newly_acted_on", "allow", "block", ("a", "b"))
    assert comparison.add(MASKED, SHADOWED) == Changed(4, "no_longer_acted_on", "mask", "allow", ("a",))
    assert comparison.add(MASKED, BLOCKED) == Changed(5, "other_action", "mask", "block", ("b",))
    other = verdict("mask", ("a", "enforce", "mask"), text="<U>")
    assert comparison.add(MASKED, other) == Changed(6, "rewritten_otherwise", "mask", "mask", ("a",))
    assert comparison.counts == dict.fromkeys(CHANGES, 1)
    assert (comparison.texts, comparison.old_acted, comparison.new_acted) == (6, 3, 3)
    b = comparison.rules["b"]
    assert (b.old_found, b.old_acted, b.new_found, b.new_acted) == (2, 0, 3, 2)


VERDICTS = st.sampled_from([ALLOWED, MASKED, BLOCKED, SHADOWED, FLAGGED])


@given(st.lists(st.tuples(VERDICTS, VERDICTS)))
def test_the_sums_agree(pairs: list[tuple[Verdict, Verdict]]) -> None:
    """What is newly acted on is the difference between what was and would be; nothing changes where nothing differs."""
    comparison = Comparison()
    for old, new in pairs:
        changed = comparison.add(old, new)
        assert changed is None or old != new
    counts = comparison.counts
    assert comparison.new_acted - comparison.old_acted == counts["newly_acted_on"] - counts["no_longer_acted_on"]
    assert sum(counts.values()) == len(comparison.changed)
