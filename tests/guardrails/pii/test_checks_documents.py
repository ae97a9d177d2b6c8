"""Numbers of papers, companies and vehicles: the issuers' published or made-up examples, and one wrong sign in each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.pii.checks_documents import DOCUMENTS
from guardrails.pii.rules import described

PROVED = {
    "DE_HEALTH_INSURANCE": "A123456780",
    "DE_ID_CARD": "C01X00T41",
    "DE_LANR": "123456601",
    "DE_PASSPORT": "C01X00T41",
    "DE_SOCIAL_SECURITY": "15070649C103",
    "DE_VAT_ID": "DE136695976",
    "IN_VEHICLE_REGISTRATION": "KA01AB1234",
    "IT_FISCAL_CODE": "RSSMRA85T10A562S",
    "KR_BRN": "120-81-47521",
    "KR_DRIVER_LICENSE": "11-22-333333-44",
    "SG_UEN": "53276854W",
    "UK_VEHICLE_REGISTRATION": "AB51 CDE",
    "ZA_COMPANY_REGISTRATION": "CK1998/012345",
    "ZA_DRIVER_LICENSE": "12345678AB",
    "ZA_LICENSE_PLATE": "CA 123 WP",
}
POSSIBLE = {
    "DE_ID_CARD": "T22000129",
    "DE_BSNR": "521234567",
    "DE_VAT_ID": "DE136695977",
    "IN_VEHICLE_REGISTRATION": "KA21AB1234",
    "IT_FISCAL_CODE": "RSSMRA85T10A562T",
    "KR_RRN": "900101-1234567",
    "PH_TIN": "123-456-782",
    "UK_DRIVING_LICENCE": "MORGA657054SM9IJ",
    "UK_VEHICLE_REGISTRATION": "A123 BCD",
    "UUID": "f47ac10b-58cc-4372-a567-0e02b2c3d479",
}
WRONG = {
    "DE_BSNR": "000000000",
    "DE_HEALTH_INSURANCE": "A123456781",
    "DE_ID_CARD": "C01X00T48",
    "DE_LANR": "123456701",
    "DE_PASSPORT": "A01X00T47",
    "DE_SOCIAL_SECURITY": "15990649C103",
    "IN_GSTIN": "99AAPFU0939F1ZV",
    "KR_BRN": "120-81-47522",
    "KR_DRIVER_LICENSE": "29-22-333333-44",
    "PH_TIN": "123-456-789",
    "SG_UEN": "53276854B",
    "TR_LICENSE_PLATE": "82 ABC 12",
    "UK_DRIVING_LICENCE": "99999657054SM9IJ",
    "UK_VEHICLE_REGISTRATION": "AB40 CDE",
    "UUID": "00000000-0000-0000-0000-000000000000",
    "ZA_COMPANY_REGISTRATION": "CK1798/012345",
    "ZA_DRIVER_LICENSE": "1234567890",
    "ZA_LICENSE_PLATE": "12 34 GP",
    "ZA_TRAFFIC_REGISTER_NUMBER": "8001015009087",
}


@pytest.mark.parametrize("entity", PROVED)
def test_what_a_rule_proves(entity: str) -> None:
    assert DOCUMENTS[entity](PROVED[entity]) is True
    assert DOCUMENTS[entity](PROVED[entity].lower()) is True


@pytest.mark.parametrize("entity", POSSIBLE)
def test_what_may_be_one(entity: str) -> None:
    """*What is only refused by a rule, and never proved, gives None.*"""
    assert DOCUMENTS[entity](POSSIBLE[entity]) is None


@pytest.mark.parametrize("entity", WRONG)
def test_what_is_none(entity: str) -> None:
    assert DOCUMENTS[entity](WRONG[entity]) is False


def test_all_have_a_name() -> None:
    assert DOCUMENTS.keys() <= described().keys()


@given(st.sampled_from(["DE_LANR", "KR_BRN", "SG_UEN"]), st.text(alphabet="0123456789", min_size=8, max_size=8))
def test_one_check_sign_fits(entity: str, body: str) -> None:
    """A check digit is a function of the digits before it."""
    forms = {
        "DE_LANR": [f"{body[:6]}{last}{body[6:]}" for last in "0123456789"],
        "KR_BRN": [f"{body[:3]}-{body[3:5]}-{body[4:]}{last}" for last in "0123456789"],
        "SG_UEN": [f"{body}{last}" for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"],
    }
    assert sum(DOCUMENTS[entity](form) is True for form in forms[entity]) == 1
