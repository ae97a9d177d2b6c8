"""What tells a real credential from a placeholder, a word or a mistyped one: checksums, randomness, stop-words."""

import binascii
import json
import math
import re
from collections.abc import Callable

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_STOP = ("example", "sample", "dummy", "placeholder", "changeme", "change_me", "redacted", "replace", "insert",
         "your-", "your_", "my-", "my_", "fake", "mock", "foobar", "foo_bar", "secrethere", "secret_here", "keyhere",
         "key_here", "tokenhere", "token_here", "notreal", "not_real", "xxxx", "***", "...", "${", "{{")  # fmt: skip
_WORDS = ("123456", "qwerty", "asdf", "deadbeef", "password", "passwd", "secret", "token", "test", "none", "null",
          "true", "false", "env.", "env_", "env[")  # fmt: skip
_RUN = re.compile(r"(.)\1{6}")
_COUNTING = re.compile(r"abcdef(?!\d)|\w\(")
_DIGIT = re.compile(r"[0-9]")
LEAST_BITS = 2.6
"""Bits a character (Shannon) below which nothing is taken for a key: 32 random hexadecimal digits have 2.9 or more in
999 of 1,000 draws, words and counters have less."""


def entropy(value: str) -> float:
    """Shannon entropy of the characters, in bits each."""
    total = len(value)
    bits = 0.0
    for char in set(value):
        share = value.count(char) / total
        bits -= share * math.log2(share)
    return bits


def placeholder(value: str) -> bool:
    """Whether this stands for a secret in documentation: stop-words, runs, templates."""
    return value[:1] in "<{[" or _holds(value, _STOP) or _RUN.search(value) is not None


def worded(value: str) -> bool:
    """Whether words, counting or code stand in the value, which a generated key has only by chance."""
    return _holds(value, _WORDS) or _COUNTING.search(value.lower()) is not None


def _holds(value: str, words: tuple[str, ...]) -> bool:
    lower = value.lower()
    for word in words:  # noqa: SIM110 (any() takes three times as long)
        if word in lower:
            return True
    return False


def random_looking(value: str) -> bool:
    """Whether the characters may have been drawn by chance: enough of them differ, and either digits are among them or
    both cases of letters are mixed."""
    if _DIGIT.search(value) is None:
        fifth = len(value) // 5
        if (
            sum(map(str.isupper, value)) < fifth
            or sum(map(str.islower, value)) < fifth
            or value.upper() == value.lower()
        ):
            return False
    return entropy(value) >= min(LEAST_BITS, math.log2(len(value)) * 0.75)


def github(token: str) -> bool:
    """GitHub's and npm's tokens end in six base-62 digits: CRC-32 of the 30 characters between prefix and checksum
    (GitHub's blog, "Behind GitHub's new authentication token formats", 2021). Longer ones are of a later kind."""
    body = token.partition("_")[2]
    if len(body) != 36:
        return True
    return _base62(binascii.crc32(body[:30].encode("ascii"))).rjust(6, "0") == body[30:]


def _base62(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def jwt(token: str) -> bool:
    """The header is a JSON object that names an algorithm (RFC 7515 section 4.1.1)."""
    header = token.partition(".")[0]
    try:
        decoded: object = json.loads(binascii.a2b_base64(header.replace("-", "+").replace("_", "/") + "=="))
    except (ValueError, RecursionError):
        return False
    return isinstance(decoded, dict) and "alg" in decoded


def named(check: str) -> Callable[[str], bool] | None:
    """The check a rule names; None for the empty name. Raises KeyError."""
    return {"github": github, "jwt": jwt}[check] if check else None
