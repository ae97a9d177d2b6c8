"""Where a rule looks, and what must stand around a match."""

from guardrails.injection.rule import INJECTION, Rule
from guardrails.injection.words import tokens


def found(rule: Rule, text: str) -> list[str]:
    words = set(tokens(text))
    return [text[start:end] for start, end in rule.matches(text, words, {})] if rule.may_match(text, words, {}) else []


def rule_of(**more: object) -> Rule:
    fields: dict[str, object] = {"needs": frozenset({"red", "blue"}), "pattern": r"\b(?:red|blue) \w{1,9}"} | more
    return Rule(id="x", type=INJECTION, score=0.9, why="colours", **fields)  # pyright: ignore[reportArgumentType]


def test_one_of_its_words_must_occur() -> None:
    assert found(rule_of(), "a red hat, a blue coat") == ["red hat", "blue coat"]
    assert found(rule_of(also=frozenset({"coat"})), "a red hat") == []
    assert found(rule_of(needs=frozenset({"green"})), "a red hat") == []


def test_matches_begin_at_its_starts() -> None:
    assert found(rule_of(starts=("blue",)), "a red hat, a blue coat, a bluered one") == ["blue coat"]


def test_parts_of_words_are_starts_too() -> None:
    parts = rule_of(starts=("ue",), parts=True, pattern=r"ue \w{1,9}")
    assert found(parts, "a blue coat") == ["ue coat"]


def test_what_leads_to_a_match() -> None:
    led = rule_of(starts=("red", "blue"), led=r"\bvery \Z")
    assert found(led, "a red hat, a very blue coat") == ["blue coat"]


def test_the_end_of_a_text() -> None:
    ending = rule_of(ending=40, pattern=r"[ \t]*red \w{1,9}\Z")
    assert found(ending, "a blue coat.\nred hat  ") == ["red hat"]
    assert found(ending, "red hat\na blue coat") == []


def test_rules_share_where_their_starts_are() -> None:
    """ "`places`: where starts are known to be in it (or not to be), for rules that share them; added to." """
    text, places = "a red hat, a blue coat", dict[str, list[int]]()
    first = list(rule_of(starts=("red", "blue")).matches(text, {"red", "blue"}, places))
    assert places == {"red": [2], "blue": [13]}
    assert list(rule_of(starts=("red", "blue")).matches(text, {"red", "blue"}, places)) == first
    assert list(rule_of(starts=("red", "blue")).matches(text, {"red", "blue"}, {"blue": []})) == first[:1]


def test_what_is_known_to_be_nowhere_is_not_sought() -> None:
    rule = rule_of(needs=frozenset({"<red"}), inside=True)
    assert rule.may_match("a <red hat", set(), {})
    assert rule.may_match("a <red hat", set(), {"<red": [2]})
    assert not rule.may_match("a <red hat", set(), {"<red": []})
