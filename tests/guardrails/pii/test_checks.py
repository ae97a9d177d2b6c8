"""What each entity's matches must pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.pii.candidates import Check
from guardrails.pii.checks import CHECKS, REFUSING, card, dea, ip, issued_card, mac, nhs, ssn
from guardrails.pii.checksums import luhn
from guardrails.pii.rules import Row, read


@pytest.mark.parametrize(
    "number", ["676222165679", "4222222222222", "378282246310005", "2223003122003222", "6011111111111117"]
)
def test_cards_of_the_schemes(number: str) -> None:
    assert issued_card(number)
    assert card(number)


@pytest.mark.parametrize("number", ["4111111111111112", "1234567890123452", "411111111111117", "5555555555555555"])
def test_numbers_that_no_scheme_issues(number: str) -> None:
    assert not issued_card(number)


def test_separators_do_not_count() -> None:
    assert issued_card("4111.1111.1111.1111")
    assert card("4111-1111 1111 1111")
    assert luhn("4111111111111111")


def test_dea_number() -> None:
    assert dea("AB1234563")
    assert not dea("AB1234564")


def test_nhs_number() -> None:
    assert nhs("943-476-5919")
    assert not nhs("943-476-5918")


@pytest.mark.parametrize(
    "number", ["000-12-3456", "666-12-3456", "536-00-3456", "536-12-0000", "536-12 3456", "111-11-1111", "078-05-1120"]
)
def test_social_security_numbers_that_are_never_issued(number: str) -> None:
    assert ssn(number) is False


def test_a_social_security_number_proves_nothing() -> None:
    assert ssn("536-12-3456") is None


@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.1/8", "::1", "fe80::1%eth0", "::ffff:10.0.0.1/96"])
def test_addresses_of_machines(address: str) -> None:
    assert ip(address) is None


@pytest.mark.parametrize("address", ["10.0.0.01", "1::2::3", "10.0.0.1/٣"])
def test_no_addresses(address: str) -> None:
    assert ip(address) is False


def test_hardware_addresses_of_nobody() -> None:
    assert mac("FF-FF-FF-FF-FF-FF") is False
    assert mac("00:00:00:00:00:00") is False
    assert mac("0012.3456.789A") is None


def test_every_check_is_of_a_known_name() -> None:
    assert all(callable(check) for check in CHECKS.values())


@pytest.fixture(scope="module")
def refused() -> list[Row]:
    return [row for row in read("presidio").rules if check_of(row) in REFUSING]


def check_of(row: Row) -> Check | None:
    return CHECKS.get(row.id) or CHECKS.get(row.entity)


@given(st.data())
def test_what_only_refuses_never_says_right(refused: list[Row], data: st.DataObject) -> None:
    """*Checks that never say that a match is right.*"""
    row = data.draw(st.sampled_from(refused))
    check = check_of(row)
    assert check is not None
    assert check(data.draw(st.from_regex(row.regex, fullmatch=True))) is not True
