"""What tells a real credential from a placeholder, a word or a mistyped one: checksums, randomness, stop-words."""

import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Callable

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_STOP = re.compile(
    r"example|sample|dummy|placeholder|change_?me|redacted|replace|insert|your[_-]|my[_-]|fake|mock|foo_?bar|"
    r"secret_?here|key_?here|token_?here|not_?real|xxxx|(.)\1{6}|\*\*\*|\.\.\.",
    re.IGNORECASE,
)
_COUNTING = re.compile(
    r"123456|abcdef(?!\d)|qwerty|asdf|deadbeef|password|passwd|secret|token|test|none|null|true|false|env[._]|\w\(",
    re.I,
)
LEAST_BITS = 2.6
"""Bits a character (Shannon) below which nothing is taken for a key: 32 random hexadecimal digits have 2.9 or more in
999 of 1,000 draws, words and counters have less."""


def entropy(value: str) -> float:
    """Shannon entropy of the characters, in bits each."""
    if not value:
        return 0.0
    total = len(value)
    return -sum(count / total * math.log2(count / total) for count in Counter(value).values())


def placeholder(value: str) -> bool:
    """Whether this stands for a secret in documentation: stop-words, runs, templates."""
    return _STOP.search(value) is not None or value[:1] in "<{[" or "${" in value or "{{" in value


def worded(value: str) -> bool:
    """Whether words, counting or code stand in the value, which a generated key has only by chance."""
    return _COUNTING.search(value) is not None


def random_looking(value: str) -> bool:
    """Whether the characters may have been drawn by chance: enough of them differ, and either digits are among them or
    both cases of letters are mixed."""
    digits = sum(char.isdigit() for char in value)
    upper = sum(char.isupper() for char in value)
    lower = sum(char.islower() for char in value)
    mixed = digits > 0 or (upper >= len(value) // 5 and lower >= len(value) // 5)
    return mixed and upper + lower + digits > 0 and entropy(value) >= min(LEAST_BITS, math.log2(len(value)) * 0.75)


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
