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


def test_rules_that_begin_with_one_certain_letter() -> None:
    """Also where no other rule may begin with any letter: `HRB 12345` was let go before its digits came."""
    register = tail(r"(?:[H](?:[R](?:[AB](?:\s{0,32}\d{0,6})?)?)?)?")
    assert register.letters
    assert register.settled("see HRB ") == 4
