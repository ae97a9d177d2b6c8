"""Numbering plans. The numbers are those that regulators keep free for fiction, or published by public offices."""

import pytest

from guardrails.pii.numbering import Numbering


@pytest.fixture(scope="module")
def plans() -> Numbering:
    return Numbering()


@pytest.mark.parametrize(
    "digits",
    [
        "2125550147",
        "12125550147",
        "02079460958",
        "00442079460958",
        "01144207946095" + "8",
        "030227" + "0",
        "0142345678",
        "1142345678",
    ],
)
def test_what_can_be_dialled(plans: Numbering, digits: str) -> None:
    assert plans.national(digits)


@pytest.mark.parametrize("digits", ["1111111111", "2079460958" + "12345", "123", "0000000", "4111111111111111"])
def test_what_cannot(plans: Numbering, digits: str) -> None:
    assert not plans.national(digits)


def test_calling_codes(plans: Numbering) -> None:
    """*No code is the beginning of another* (ITU-T E.164)."""
    codes = plans.codes.keys()
    assert not [code for code in codes for other in codes if code != other and other.startswith(code)]
    assert plans.international("442079460958")
    assert plans.international("12125550147")
    assert not plans.international("4420794609")
    assert not plans.international("999123456")
    assert not plans.international("")


def test_a_trunk_prefix_that_is_required(plans: Numbering) -> None:
    """A British number is never written without its 0."""
    assert plans.national("02079460958")
    assert plans.homes[1].needs_prefix("2079460958")
    assert not plans.homes[0].needs_prefix("2125550147")
