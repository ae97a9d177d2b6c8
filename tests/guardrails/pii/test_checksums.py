"""Check digits against their definitions."""

from hypothesis import given
from hypothesis import strategies as st

from guardrails.pii.checksums import base58check, bech32, luhn, mod97, verhoeff, weighted

digits = st.text("0123456789", min_size=1, max_size=24)


@given(digits)
def test_exactly_one_last_digit_fits_luhn(body: str) -> None:
    """*The check digit makes the sum a multiple of ten*: for every body there is one."""
    assert sum(luhn(body + last) for last in "0123456789") == 1


@given(st.text("0123456789", min_size=2, max_size=20), st.integers(0, 18), st.integers(1, 9))
def test_luhn_sees_every_single_wrong_digit(body: str, place: int, step: int) -> None:
    right = next(body + last for last in "0123456789" if luhn(body + last))
    place %= len(right)
    wrong = right[:place] + str((int(right[place]) + step) % 10) + right[place + 1 :]
    assert not luhn(wrong)


@given(digits)
def test_exactly_one_last_digit_fits_verhoeff(body: str) -> None:
    assert sum(verhoeff(body + last) for last in "0123456789") == 1


def test_verhoeff_of_the_books_example() -> None:
    assert verhoeff("2363")
    assert not verhoeff("2364")
    assert not verhoeff("2633")


def test_luhn_reads_digits_of_any_script() -> None:
    assert luhn("٤١١١١١١١١١١١١١١١")
    assert not luhn("٤١١١١١١١١١١١١١١٢")


def test_mod97_of_the_standards_example() -> None:
    assert mod97("GB82WEST12345698765432")
    assert not mod97("GB82WEST12345698765423")
    assert not mod97("GB82WEST1234569876543é")


@given(digits)
def test_weighted_is_a_dot_product(body: str) -> None:
    assert weighted(body, range(len(body))) == sum(int(digit) * place for place, digit in enumerate(body))


def test_bitcoin_addresses() -> None:
    """The examples of BIP-173 and BIP-350, and the first address ever paid to."""
    assert base58check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
    assert not base58check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb")
    assert not base58check("0OIl")
    assert not base58check("1")
    assert bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
    assert bech32("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0")
    assert not bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5")
    assert not bech32("bc1QW508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
    assert not bech32("bc1" + "q" * 100)
