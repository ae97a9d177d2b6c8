"""Check digits: what the numbers' issuers publish. Each takes a text of digits (or letters) without separators."""

from collections.abc import Sequence
from hashlib import sha256
from string import ascii_letters

LUHN_PLAIN = bytes(max(code - 48, 0) % 10 for code in range(256))
LUHN_DOUBLED = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[value] for value in LUHN_PLAIN)
"""By code of a digit: its value, and that doubled with its two digits added."""
COUNTED = {ord(letter): str(int(letter, 36)) for letter in ascii_letters}
"""ISO 13616: A is 10, Z is 35."""
VERHOEFF_STEP = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
BASE58 = {letter: value for value, letter in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
BECH32 = {letter: value for value, letter in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
BECH32_FINALS = (1, 0x2BC830A3)
"""What a right checksum leaves: BIP-173 (bech32) and BIP-350 (bech32m)."""


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B: from the right every second digit is doubled, and the digit sum is a multiple of ten."""
    if not digits.isascii():
        digits = "".join(str(int(digit)) for digit in digits)
    codes = digits.encode()
    return (sum(codes[-1::-2].translate(LUHN_PLAIN)) + sum(codes[-2::-2].translate(LUHN_DOUBLED))) % 10 == 0


def mod97(iban: str) -> bool:
    """ISO 13616 by ISO 7064 MOD 97-10: the first four go to the end, letters count from ten, the rest by 97 is one."""
    turned = iban[4:] + iban[:4]
    if not (turned.isascii() and turned.isalnum()):
        return False
    return int(turned.translate(COUNTED)) % 97 == 1


def verhoeff(digits: str) -> bool:
    """J. Verhoeff, *Error Detecting Decimal Codes* (1969): products in the dihedral group of ten elements, each digit
    permuted by its place from the right, end at zero."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place % 8):
            value = VERHOEFF_STEP[value]
        total = _dihedral(total, value)
    return total == 0


def _dihedral(left: int, right: int) -> int:
    """The product of two elements: 0 to 4 turn, 5 to 9 turn and reflect."""
    if left < 5:
        return (left + right) % 5 + (5 if right > 4 else 0)
    return (left - right) % 5 + (0 if right > 4 else 5)


def weighted(digits: str, weights: Sequence[int]) -> int:
    """Sum of digit times weight, as far as both reach."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def base58check(address: str) -> bool:
    """Bitcoin's P2PKH and P2SH addresses: the last four bytes are the double SHA-256 of those before."""
    number = 0
    for letter in address:
        value = BASE58.get(letter)
        if value is None:
            return False
        number = number * 58 + value
    zeros = len(address) - len(address.lstrip("1"))
    raw = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    return len(raw) > 4 and sha256(sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def bech32(address: str) -> bool:
    """BIP-173 and BIP-350: one case, a human-readable part, `1`, at least six characters of checksum, at most 90."""
    if len(address) > 90 or (address.lower() != address and address.upper() != address):
        return False
    human, one, data = address.lower().rpartition("1")
    if not (one and human and len(data) >= 6):
        return False
    values = [BECH32.get(letter, -1) for letter in data]
    if -1 in values:
        return False
    check = 1
    for value in [ord(x) >> 5 for x in human] + [0] + [ord(x) & 31 for x in human] + values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit in range(5):
            check ^= BECH32_GENERATOR[bit] if top >> bit & 1 else 0
    return check in BECH32_FINALS
