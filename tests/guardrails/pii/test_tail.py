"""What is held back, where the detector's own tests do not say it."""

from guardrails.pii.tail import Tail


def tail(*prefixes: str) -> Tail:
    return Tail(prefixes, phone=False, iban=False, url=False, longest=8)


def test_a_word_is_held() -> None:
    assert tail().settled("one two") == 4
    assert tail().settled("one two ") == 8
    assert tail().settled("") == 0


def test_groups_are_held_while_they_may_go_on() -> None:
    digits = tail(r"(?:\d(?:\d(?: (?:\d)?)?)?)?")
    assert digits.settled("at 12 ") == 3
    assert digits.settled("at 12  ") == 7


def test_rules_that_begin_with_a_letter() -> None:
    plates = tail(r"(?:[A-Z](?: (?:\d)?)?)?")
    assert plates.settled("to B ") == 3
    assert plates.settled("to Bo ") == 6
