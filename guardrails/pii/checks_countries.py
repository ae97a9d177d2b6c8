"""Check digits of the numbers that single countries issue, for the entities one has to ask for by name."""

from collections.abc import Iterable
from datetime import date

from guardrails.pii.candidates import Check
from guardrails.pii.checksums import luhn, verhoeff, weighted

SPANISH = "TRWAGMYFPDXBNJZSQVHLCKE"
FINNISH = "0123456789ABCDEFHJKLMNPRSTUVWXY"
FINNISH_CENTURIES = {"+": 1800} | dict.fromkeys("-YXWVU", 1900) | dict.fromkeys("ABCDEF", 2000)


def digits_of(text: str) -> str:
    """The decimal digits of a matched text, in ASCII."""
    return "".join(str(int(character)) for character in text if character.isdecimal())


def real_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def aba(text: str) -> bool:
    """Routing number: weights 3, 7, 1 give a multiple of ten (ABA routing number policy)."""
    return weighted(digits_of(text), (3, 7, 1) * 3) % 10 == 0


def abn(text: str) -> bool:
    """Business number: the first digit less one, weights 10, 1, 3, … 19, a multiple of 89 (abr.business.gov.au)."""
    digits = digits_of(text)
    weights = (10, *range(1, 20, 2))
    return (weighted(digits, weights) - weights[0]) % 89 == 0


def acn(text: str) -> bool:
    """Company number: weights 8 to 1 and the check digit give a multiple of ten (asic.gov.au)."""
    return weighted(digits_of(text), (8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def medicare(text: str) -> bool:
    """Australian Medicare: weights 1, 3, 7, 9 give the ninth digit."""
    digits = digits_of(text)
    return weighted(digits[:8], (1, 3, 7, 9) * 2) % 10 == int(digits[8])


def tfn(text: str) -> bool:
    """Australian tax file number: a multiple of eleven (ato.gov.au)."""
    return weighted(digits_of(text), (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def sin(text: str) -> bool | None:
    """Canadian social insurance number: Luhn, which one in ten numbers passes, so that it can only refuse."""
    return None if luhn(digits_of(text)) else False


def npi(text: str) -> bool:
    """National provider identifier: Luhn with 80840 before it (CMS)."""
    digits = digits_of(text)
    return len(set(digits[:-1])) > 1 and luhn("80840" + digits)


def nif(text: str) -> bool:
    """Spanish tax number: the letter is the number's remainder by 23."""
    return SPANISH[int(digits_of(text)) % 23] == text[-1].upper()


def nie(text: str) -> bool:
    """Spanish foreigner's number: X, Y and Z stand for 0, 1 and 2."""
    plain = text.upper().replace("-", "").replace(" ", "")
    if plain[0] not in "XYZ" or not 8 <= len(plain) <= 9:
        return False
    return nif(str("XYZ".index(plain[0])) + plain[1:])


def aadhaar(text: str) -> bool:
    """Aadhaar: Verhoeff, does not begin with 0 or 1, is no palindrome (UIDAI)."""
    digits = digits_of(text)
    return digits[0] >= "2" and digits != digits[::-1] and verhoeff(digits)


def nin(text: str) -> bool:
    return verhoeff(digits_of(text))


def pesel(text: str) -> bool:
    """PESEL: weights 1, 3, 7, 9 and the check digit give a multiple of ten."""
    return weighted(digits_of(text), (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def finnish(text: str) -> bool:
    """Personal identity code: a real day, and the character of the remainder by 31 (dvv.fi)."""
    year = FINNISH_CENTURIES.get(text[6].upper(), 2000) + int(text[4:6])
    number = int(text[:6] + text[7:10])
    return real_day(year, int(text[2:4]), int(text[:2])) and FINNISH[number % 31] == text[10].upper()


def turkish(text: str) -> bool:
    """T.C. identity number: the tenth digit from the odd and even places, the eleventh from all ten."""
    digits = [int(digit) for digit in digits_of(text)]
    return (7 * sum(digits[0:9:2]) - sum(digits[1:8:2])) % 10 == digits[9] and sum(digits[:10]) % 10 == digits[10]


def thai(text: str) -> bool:
    """National identity number: weights 13 to 2, eleven minus the remainder by eleven."""
    digits = digits_of(text)
    return (11 - weighted(digits[:12], range(13, 1, -1)) % 11) % 10 == int(digits[12])


def personnummer(text: str) -> bool:
    """Swedish personal number: month and day (60 more for a coordination number), Luhn over ten digits."""
    digits = digits_of(text)[-10:]
    day = int(digits[4:6])
    day -= 60 * (day > 60)
    return 1 <= int(digits[2:4]) <= 12 and 1 <= day <= 31 and luhn(digits)


def organisation(text: str) -> bool:
    """Swedish organisation number: a third digit of two or more, Luhn."""
    digits = digits_of(text)
    return digits[2] >= "2" and luhn(digits)


def south_african(text: str) -> bool:
    """Identity number: a real day in some century, Luhn. (Presidio also asks the clock whether it is past.)"""
    digits = digits_of(text)
    year, month, day = (int(digits[at : at + 2]) for at in (0, 2, 4))
    return (real_day(1900 + year, month, day) or real_day(2000 + year, month, day)) and luhn(digits)


def partita_iva(text: str) -> bool:
    digits = digits_of(text)
    return digits != "0" * 11 and luhn(digits)


def german_tax(text: str) -> bool:
    """Steuer-ID: ISO 7064 MOD 11,10; no digit more than three times among the first ten (§ 139b AO)."""
    digits = digits_of(text)
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return _most(digits[:10]) <= 3 and (11 - product) % 10 == int(digits[10])


def _most(items: Iterable[str]) -> int:
    listed = list(items)
    return max(map(listed.count, listed))


COUNTRIES: dict[str, Check] = {
    "ABA_ROUTING_NUMBER": aba,
    "AU_ABN": abn,
    "AU_ACN": acn,
    "AU_MEDICARE": medicare,
    "AU_TFN": tfn,
    "CA_SIN": sin,
    "DE_TAX_ID": german_tax,
    "ES_NIE": nie,
    "ES_NIF": nif,
    "FI_PERSONAL_IDENTITY_CODE": finnish,
    "IN_AADHAAR": aadhaar,
    "IT_VAT_CODE": partita_iva,
    "NG_NIN": nin,
    "PL_PESEL": pesel,
    "SE_ORGANISATIONSNUMMER": organisation,
    "SE_PERSONNUMMER": personnummer,
    "TH_TNIN": thai,
    "TR_NATIONAL_ID": turkish,
    "US_NPI": npi,
    "ZA_ID_NUMBER": south_african,
}
"""By entity."""
