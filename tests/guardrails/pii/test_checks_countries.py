"""Check digits of the countries' numbers: the issuers' published examples, and one wrong digit in each."""

import pytest

from guardrails.pii.checks_countries import COUNTRIES
from guardrails.pii.rules import described

EXAMPLES = {
    "ABA_ROUTING_NUMBER": "021000021",
    "AU_ABN": "51 824 753 556",
    "AU_ACN": "000 000 019",
    "AU_MEDICARE": "2123 45670 1",
    "AU_TFN": "876 543 210",
    "DE_TAX_ID": "86095742719",
    "ES_NIE": "X1234567L",
    "ES_NIF": "12345678Z",
    "FI_PERSONAL_IDENTITY_CODE": "131052-308T",
    "IN_AADHAAR": "2341 2341 2346",
    "IT_VAT_CODE": "07643520567",
    "PL_PESEL": "44051401359",
    "SE_ORGANISATIONSNUMMER": "556016-0680",
    "SE_PERSONNUMMER": "811228-9874",
    "TH_TNIN": "1101700230708",
    "TR_NATIONAL_ID": "10000000146",
    "US_NPI": "1234567893",
    "ZA_ID_NUMBER": "8001015009087",
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_published_examples(kind: str) -> None:
    assert COUNTRIES[kind](EXAMPLES[kind]) is True


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_wrong_digit_is_refused(kind: str) -> None:
    right = EXAMPLES[kind]
    at = next(place for place in range(len(right) - 2, -1, -1) if right[place].isdigit())
    if kind == "AU_MEDICARE":
        at = 3  # the last digit counts a family's cards and is not checked
    assert COUNTRIES[kind](right[:at] + str((int(right[at]) + 1) % 10) + right[at + 1 :]) is False


def test_a_canadian_number_is_only_ever_refused() -> None:
    assert COUNTRIES["CA_SIN"]("046 454 286") is None
    assert COUNTRIES["CA_SIN"]("046 454 287") is False


def test_days_that_never_were() -> None:
    assert COUNTRIES["FI_PERSONAL_IDENTITY_CODE"]("310252-308T") is False
    assert COUNTRIES["ZA_ID_NUMBER"]("8013015009087") is False
    assert COUNTRIES["SE_PERSONNUMMER"]("811328-9874") is False


def test_each_is_of_an_entity_one_can_ask_for() -> None:
    assert COUNTRIES.keys() <= described().keys()
