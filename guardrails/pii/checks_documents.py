"""What must hold in the numbers of papers, companies and vehicles, for the entities one has to ask for by name.

Where an issuer publishes a check digit it decides; elsewhere the parts are looked at: regions, prefixes, days. What is
only refused by a rule, and never proved, gives None. No clock: a year of registration may lie ahead (Presidio asks).
"""

import re
from string import ascii_uppercase

from guardrails.pii.candidates import Check
from guardrails.pii.checks_countries import digits_of, south_african
from guardrails.pii.checksums import weighted

SEPARATORS = str.maketrans("", "", "- ")
ICAO = {letter: value for value, letter in enumerate("0123456789" + ascii_uppercase)}
"""ICAO Doc 9303 part 3: A is 10, Z is 35."""
ICAO_LEFT_OUT = frozenset("ABDEIOQSU")
PENSION_WEIGHTS = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
FISCAL_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
"""What the characters in odd places count, by letter; a digit counts as the letter of its place in the alphabet."""
KOREAN_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
KOREAN_LICENCES = frozenset(str(region) for region in (*range(11, 27), 28))
UEN_PREFIXES = frozenset("TSR")
UEN_ENTITIES = frozenset(
    {
        "LP",
        "LL",
        "FC",
        "PF",
        "RF",
        "MQ",
        "MM",
        "NB",
        "CC",
        "CS",
        "MB",
        "FM",
        "GS",
        "DP",
        "CP",
        "NR",
        "CM",
        "CD",
        "MD",
        "HS",
        "VH",
        "CH",
        "MH",
        "CL",
        "XL",
        "CX",
        "HC",
        "RP",
        "TU",
        "TC",
        "FB",
        "FN",
        "PA",
        "PB",
        "SS",
        "MC",
        "SM",
        "GA",
        "GB",
    }
)
UEN_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWX0123456789"
PROVINCES = frozenset({"GP", "ZN", "WP", "EC", "NC", "FS", "LP", "MP", "NW"})
DISTRICTS: dict[str, frozenset[int]] = {
    "AP": frozenset({39, 40}),
    "AR": frozenset(range(1, 23)) - {18, 21},
    "BR": frozenset({*range(1, 12), 19, 22, 24, *range(25, 35), 37, 38, 39, 43, 44, 45, 46, *range(50, 54), 55, 56})
    | {21},
    "CG": frozenset(range(1, 31)),
    "DN": frozenset({9}),
    "GJ": frozenset(range(1, 40)),
    "UP": frozenset(range(11, 97)) - {21},
} | {
    state: frozenset(range(1, last + 1)) - {21}
    for state, last in {
        "AN": 1, "AS": 34, "CH": 4, "DD": 3, "DL": 13, "GA": 12, "HP": 99, "HR": 99, "JH": 24, "JK": 22, "KA": 71,
        "KL": 99, "LA": 2, "LD": 9, "MH": 51, "ML": 10, "MN": 7, "MP": 71, "MZ": 8, "NL": 10, "OD": 35, "OR": 31,
        "PB": 99, "PY": 5, "RJ": 58, "SK": 8, "TN": 99, "TR": 8, "TS": 38, "UK": 20, "WB": 98,
    }.items()
}  # fmt: skip
"""Districts of the transport offices by state or territory, as Presidio lists them."""
SHORT_DISTRICTS = frozenset({"DL", "GJ"})
"""Where a district may be written with one digit."""
COMPANY = re.compile(r"(?:[A-Z]{1,2}(\d{4})/\d{6}|(\d{4})/\d{6}/\d\d)")
SURNAME = re.compile("[A-Z]+9*")


def alnum(text: str) -> str:
    """A matched text in capitals, without blanks and dashes."""
    return text.translate(SEPARATORS).upper()


def practice(text: str) -> bool | None:
    """German practice number: never all zero; it has no published check digit."""
    return False if text == "000000000" else None


def doctor(text: str) -> bool:
    """German doctor's number: weights 4 and 9 give the seventh digit (KBV, Arztnummern-Richtlinie)."""
    digits = digits_of(text)
    return -weighted(digits[:6], (4, 9) * 3) % 10 == int(digits[6])


def insured(text: str) -> bool:
    """German health insurance number: the letter as two digits, weights 1 and 2, digit sums (§ 290 SGB V)."""
    return _digit_sums(_numbered(text[0]) + digits_of(text[1:9]), (1, 2) * 5) % 10 == int(text[9])


def pension(text: str) -> bool:
    """German pension insurance number: a day (50 more for a second holder), a month, § 4 VKVV's check digit."""
    digits = digits_of(text[:8])
    day, month = int(digits[2:4]), int(digits[4:6])
    effective = digits + _numbered(text[8]) + digits_of(text[9:11])
    real = (1 <= day <= 31 or 51 <= day <= 81) and 1 <= month <= 12
    return real and _digit_sums(effective, PENSION_WEIGHTS) % 10 == int(text[11])


def _numbered(letter: str) -> str:
    return f"{ascii_uppercase.find(letter.upper()) + 1:02}"


def _digit_sums(digits: str, weights: tuple[int, ...]) -> int:
    products = (int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
    return sum(product // 10 + product % 10 for product in products)


def travel(text: str) -> bool:
    """Check digit of travel documents: weights 7, 3 and 1 over the first eight characters (ICAO Doc 9303 part 3)."""
    values = [ICAO.get(letter, -1) for letter in text.upper()]
    if len(values) != 9 or -1 in values or values[8] > 9:
        return False
    return (
        sum(value * weight for value, weight in zip(values, (7, 3, 1, 7, 3, 1, 7, 3), strict=False)) % 10 == values[8]
    )


def german_passport(text: str) -> bool:
    return ICAO_LEFT_OUT.isdisjoint(text.upper()) and travel(text)


def german_card(text: str) -> bool | None:
    """Identity card: the old form, T and eight digits, has no check digit."""
    return None if text[0] in "Tt" and text[1:].isdigit() else travel(text)


def german_vat(text: str) -> bool | None:
    """VAT number: ISO 7064 MOD 11,10 is what everybody uses and nobody publishes, so that it can only prove."""
    digits = digits_of(text)
    product = 10
    for digit in digits[:8]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return True if (11 - product) % 10 == int(digits[8]) else None


def gstin(text: str) -> bool:
    """Indian goods and services tax number: state, permanent account number, a registration, Z, a character."""
    state, account = text[:2], text[2:12]
    return (
        len(text) == 15
        and state.isdigit()
        and 1 <= int(state) <= 37
        and sum(map(str.isalpha, account[:5])) >= 3
        and account[5:9].isdigit()
        and account[9].isalpha()
        and text[13] in "Zz"
    )


def indian_vehicle(text: str) -> bool | None:
    """A plate of a state or territory whose transport offices include the district, and a number but zero. What fails
    may be new, so that it can only prove."""
    plate = text.upper()
    if len(plate) < 8 or plate[:2] not in DISTRICTS or not plate[2].isdecimal():
        return None
    district = plate[2:4] if plate[3].isdecimal() else plate[2]
    known = int(district) in DISTRICTS[plate[:2]] and (len(district) == 2 or plate[:2] in SHORT_DISTRICTS)
    number = plate[-4:]
    return True if known and number.isdecimal() and int(number) else None


def fiscal(text: str) -> bool | None:
    """Italian fiscal code: odd and even places count differently, the remainder by 26 is the last letter (D.M. 23
    December 1976). What fails may be a code changed for a homonym, so that it can only prove."""
    values = [value - 10 if (value := ICAO.get(letter, -1)) > 9 else value for letter in text.upper()]
    if min(values) < 0:
        return None
    total = sum(FISCAL_ODD[value] for value in values[:-1:2]) + sum(values[1:-1:2])
    return True if ascii_uppercase[total % 26] == text[-1].upper() else None


def korean_business(text: str) -> bool:
    """Business registration number: weights 1, 3, 7, and of the ninth digit five times, with its tens again."""
    digits = digits_of(text)
    ninth = int(digits[8]) * 5
    return -(weighted(digits[:8], (1, 3, 7, 1, 3, 7, 1, 3)) + ninth + ninth // 10) % 10 == int(digits[9])


def korean_licence(text: str) -> bool:
    """Driving licence: a region, that is all that is published."""
    return digits_of(text)[:2] in KOREAN_LICENCES


def korean(text: str) -> bool | None:
    """Resident registration number. Since October 2020 the last digits are random, so that it can only prove."""
    return _korean(text, 11)


def korean_foreigner(text: str) -> bool | None:
    """Foreigner registration number: as residents', from another start."""
    return _korean(text, 13)


def _korean(text: str, start: int) -> bool | None:
    digits = digits_of(text)
    right = (start - weighted(digits[:12], KOREAN_WEIGHTS) % 11) % 10 == int(digits[12])
    return True if right and int(digits[7:9]) <= 95 else None


def philippine_tax(text: str) -> bool | None:
    """Taxpayer number: weights 9 to 2, the remainder by eleven is the ninth digit. It can only refuse."""
    digits = digits_of(text)
    return None if weighted(digits[:8], range(9, 1, -1)) % 11 == int(digits[8]) else False


def uen(text: str) -> bool:
    """Singaporean entity number: of businesses, of companies with their year, and of others (uen.gov.sg)."""
    number = text.upper()
    body, check = number[:-1], number[-1]
    if not body.isdecimal():
        prefixed = number[0] in UEN_PREFIXES and number[3:5] in UEN_ENTITIES
        values = [UEN_ALPHABET.find(letter) for letter in body]
        if not prefixed or -1 in values:
            return False
        total = sum(value * weight for value, weight in zip(values, (4, 3, 5, 3, 10, 2, 2, 5, 7), strict=True))
        return UEN_ALPHABET[(total - 5) % 11] == check
    if len(body) == 8:
        return "XMKECAWLJDB"[weighted(body, (10, 4, 9, 3, 8, 2, 7, 1)) % 11] == check
    return int(body[:4]) < 2100 and "ZKCMDNERGWH"[weighted(body, (10, 8, 6, 4, 9, 7, 5, 3, 1)) % 11] == check


def turkish_plate(text: str) -> bool:
    """A province from 01 to 81."""
    return 1 <= int(digits_of(text[:2])) <= 81


def british_licence(text: str) -> bool | None:
    """Driving licence: a surname, filled up with nines. The check characters are not published."""
    return None if SURNAME.fullmatch(text[:5].upper()) else False


def british_plate(text: str) -> bool | None:
    """Registration mark: the age identifier of the form since 2001; older forms have nothing to check."""
    plate = alnum(text)
    if len(plate) != 7 or not plate[:2].isalpha() or not plate[2:4].isdigit():
        return None
    return 2 <= int(plate[2:4]) <= 29 or 51 <= int(plate[2:4]) <= 79


def uuid(text: str) -> bool | None:
    """A version from 1 to 8 and the variant of RFC 9562; not the one of zeros. It can only refuse."""
    return None if text[14] in "12345678" and text[19] in "89abAB" else False


def south_african_company(text: str) -> bool:
    """Company registration: a year from 1800 to 2099."""
    found = COMPANY.fullmatch(text.upper())
    return found is not None and 1800 <= int(found[1] or found[2]) < 2100


def south_african_licence(text: str) -> bool:
    """Driving licence: 10 to 14 characters with a letter."""
    return 10 <= len(text) <= 14 and any(map(str.isalpha, text))


def south_african_plate(text: str) -> bool:
    """A province at the end, and a letter before it."""
    plate = alnum("".join(text.split()))
    return len(plate) >= 5 and plate[-2:] in PROVINCES and any(map(str.isalpha, plate[:-2]))


def traffic_register(text: str) -> bool:
    """Traffic register number: thirteen digits that are no identity number."""
    return not (text[10] in "012" and text[11] in "89" and south_african(text))


def always(text: str) -> bool:
    """Presidio's check repeats the pattern."""
    return bool(text)


DOCUMENTS: dict[str, Check] = {
    "DE_BSNR": practice,
    "DE_HEALTH_INSURANCE": insured,
    "DE_ID_CARD": german_card,
    "DE_LANR": doctor,
    "DE_PASSPORT": german_passport,
    "DE_SOCIAL_SECURITY": pension,
    "DE_VAT_ID": german_vat,
    "IN_GSTIN": gstin,
    "IN_VEHICLE_REGISTRATION": indian_vehicle,
    "IT_FISCAL_CODE": fiscal,
    "KR_BRN": korean_business,
    "KR_DRIVER_LICENSE": korean_licence,
    "KR_FRN": korean_foreigner,
    "KR_RRN": korean,
    "PH_TIN": philippine_tax,
    "SG_UEN": uen,
    "TR_LICENSE_PLATE": turkish_plate,
    "UK_DRIVING_LICENCE": british_licence,
    "UK_VEHICLE_REGISTRATION": british_plate,
    "UUID": uuid,
    "ZA_COMPANY_REGISTRATION": south_african_company,
    "ZA_DRIVER_LICENSE": south_african_licence,
    "ZA_INCOME_TAX_NUMBER": always,
    "ZA_LICENSE_PLATE": south_african_plate,
    "ZA_PASSPORT": always,
    "ZA_TRAFFIC_REGISTER_NUMBER": traffic_register,
    "ZA_VAT_NUMBER": always,
}
"""By entity."""
