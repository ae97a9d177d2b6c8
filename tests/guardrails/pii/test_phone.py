"""Telephone numbers."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guardrails.pii.candidates import Candidate
from guardrails.pii.phone import Phone
from guardrails.pii.writing import SPAN


@pytest.fixture(scope="module")
def ours() -> Phone:
    return Phone(extra=True)


@pytest.fixture(scope="module")
def planned() -> Phone:
    return Phone(extra=False)


def longest(phone: Phone, text: str) -> Candidate | None:
    found = list(phone.scan(text, 0, len(text)))
    return max(found, key=lambda one: (one.end - one.start, one.score), default=None)


@pytest.mark.parametrize(
    ("number", "rule"),
    [
        ("(212) 555-0147", "pii.phone_number.bracketed"),
        ("212.555.0147x1887", "pii.phone_number.grouped"),
        ("212-555-0147 ext. 55", "pii.phone_number.grouped"),
        ("(505)498-8487-x6837", "pii.phone_number.bracketed"),
        ("+1-212-555-0147", "pii.phone_number.international"),
        ("001-212-555-0147x60", "pii.phone_number.international"),
        ("+46 (0)8 928 571 38", "pii.phone_number.international"),
        ("02.27.96.63.08", "pii.phone_number.local"),
        ("0431 35 06 90", "pii.phone_number.trunk"),
        ("06-10446904", "pii.phone_number.trunk"),
        ("555 0147", "pii.phone_number.local"),
        ("02079460958", "pii.phone_number.1"),
    ],
)
def test_ways_of_writing(ours: Phone, number: str, rule: str) -> None:
    for frame in ("{}", "it is {} now", "<{}>"):
        text = frame.format(number)
        found = longest(ours, text)
        assert found is not None
        assert (text[found.start : found.end], found.rule) == (number, rule)


@pytest.mark.parametrize(
    "text",
    [
        "1992-12-08",
        "10.20.30.40",
        "536-22-8150",
        "4111 1111 1111 1111",
        "$2125550147",
        "SN2125550147",
        "12/03/1981",
        "3.14159265",
        "1111111",
        "ISBN 978-3-16-148410-0",
    ],
)
def test_other_numbers(ours: Phone, text: str) -> None:
    assert longest(ours, f"It is {text} here") is None


def test_digits_alone_need_a_word(ours: Phone) -> None:
    assert longest(ours, "order 54671236") is None
    found = longest(ours, "my phone 54671236")
    assert found is not None
    assert found.rule == "pii.phone_number.context"


def test_presidios_rule_alone(planned: Phone) -> None:
    assert {one.rule for one in planned.scan("call (212) 555-0147 or 0431 35 06 90 12 34", 0, 50)} == {
        "pii.phone_number.1"
    }


GROUPS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "", "+", "(", "(+", "(("]),
    st.text("0123456789", min_size=1, max_size=5) | st.text("0019", min_size=6, max_size=SPAN + 12) | st.just("٣٤٥"),
    st.sampled_from(
        [" ", " ", "-", ".", "/", ") ", ")", "x", " x ", "~", "   ", "     ", ", ", "[", "]", " call ", "a"]
    ),
)


@given(st.lists(GROUPS, min_size=1, max_size=30).map("".join), st.booleans())
@example("1 " * 40, True)
@example("1234 " * 9 + "567", True)
def test_a_chain_says_what_its_groups_say(ours: Phone, planned: Phone, text: str, extra: bool) -> None:
    """*What stands before its later groups is a part of it*: a chain that is remembered as a whole is judged as each of
    its groups is, where it stands."""
    phone = ours if extra else planned
    alone = [
        candidate
        for begun in phone.each(text, 0, len(text), len(text))
        if not begun.writing.abroad or text.startswith("00", begun.at)
        for candidate in phone.judged(text, begun.start, begun.at, text[begun.at : begun.end], begun.writing)
    ]
    assert phone.scan(text, 0, len(text)) == alone
