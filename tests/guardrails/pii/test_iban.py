"""IBANs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.pii.checksums import mod97
from guardrails.pii.iban import Iban, countries

EXAMPLES = [
    "GB82 WEST 1234 5698 7654 32",
    "DE89370400440532013000",
    "NO9386011117947",
    "FR14-2004-1010-0505-0001-3M02-606",
]


@pytest.fixture(scope="module")
def ours() -> Iban:
    return Iban(extra=True)


@pytest.mark.parametrize("iban", EXAMPLES)
def test_the_registrys_examples(ours: Iban, iban: str) -> None:
    for frame in ("{}", "pay {} now", "é:{}."):
        text = frame.format(iban)
        assert [text[one.start : one.end] for one in ours.scan(text, 0, len(text))] == [iban]


def test_small_letters_are_less_sure(ours: Iban) -> None:
    assert [one.score for one in ours.scan("gb82west12345698765432", 0, 22)] == [0.5]


def test_what_follows_does_not_hide_it(ours: Iban) -> None:
    text = "DE89370400440532013000 2 DAYS FROM TODAY"
    assert [text[one.start : one.end] for one in ours.scan(text, 0, 40)] == ["DE89370400440532013000"]
    assert [one.rule for one in ours.scan("AD12 0001 2030 2003 5910 0100 2024", 0, 4)] == ["pii.iban_code.length"]


@given(st.integers(0, 10**18 - 1), st.integers(0, 99))
def test_a_wrong_check_digit_is_seen(account: int, digits: int) -> None:
    body = f"{account:018}"
    text = f"DE{digits:02}{body}"
    found = list(Iban(extra=True).scan(text, 0, len(text))) if digits in range(2, 99) and mod97(text) else []
    assert bool(found) == (2 <= digits <= 98 and mod97(text))


def test_every_country_has_its_length() -> None:
    assert all(15 <= length <= 34 for length, _ in countries().values())
