"""Units as people write them: sizes in bytes, durations in seconds, money in nano-dollars, percentages as fractions.

Each parser takes the written text and raises `ValueError` saying what is allowed, never repeating the text (it may
have come from a variable that holds a secret).
"""

import re
from datetime import UTC, datetime
from decimal import Decimal

_SIZES = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
_SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
    "w": Decimal(604800),
}
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_SIZE = re.compile(rf"({_NUMBER}) ?([a-z]*)", re.IGNORECASE | re.ASCII)
_PART = re.compile(rf"({_NUMBER}) ?(ms|s|m|h|d|w)", re.ASCII)
_DURATION = re.compile(rf"(?:{_NUMBER} ?(?:ms|s|m|h|d|w) ?)+", re.ASCII)
_MONEY = re.compile(rf"({_NUMBER}) ?USD|USD ?({_NUMBER})", re.ASCII)
_PERCENT = re.compile(rf"({_NUMBER}) ?%", re.ASCII)

SIZE_HINT = "allowed is a size such as 512KiB, 20MiB, 1GB, or a plain number of bytes"
DURATION_HINT = "allowed is a number with a unit (ms, s, m, h, d, w), such as 250ms, 30s, 1m30s, 10m, 90d"
_COUNT = re.compile(rf"({_NUMBER}) ?([kKM]?)", re.ASCII)
_COUNTS = {"": 1, "k": 1000, "K": 1000, "M": 1_000_000}
_OTHER_MONEY = re.compile(rf"{_NUMBER} ?[^\W\d_]{{3}}|[^\W\d_]{{3}} ?{_NUMBER}|[€£¥] ?{_NUMBER}|{_NUMBER} ?[€£¥]")

_MANY_DIGITS = re.compile(r"[0-9]{16}|\.[0-9]{10}")

MONEY_HINT = "allowed is an amount in US dollars, such as 500 USD or 0.25 USD"
PERCENT_HINT = "allowed is a percentage from 0% to 100%, such as 5% or 99.5%"
COUNT_HINT = "allowed is a whole number from 1, such as 600, 200k or 2M"
SHARE_HINT = "allowed are on, off and a percentage such as 1%"
DATE_HINT = "allowed is a UTC date such as 2027-01-31, or a time with its zone such as 2027-01-31T12:00:00Z"


def _odd(text: str, what: str, hint: str) -> ValueError:
    """What is wrong with a text that is not what it should be. Never repeats it."""
    if text.startswith("-") and text[1:2].isdigit():
        return ValueError(f"this {what} is negative; {hint}")
    if _MANY_DIGITS.search(text):
        return ValueError(f"this {what} has too many digits; allowed are 15, and 9 behind the point")
    article = "an" if what[0] in "aeiou" else "a"
    return ValueError(f"this is not {article} {what}; {hint}")


def parse_size(text: str) -> int:
    """Bytes. `20MiB` is 20 · 2^20, `20MB` is 20 · 10^6."""
    found = _SIZE.fullmatch(text.strip())
    scale = _SIZES.get(found[2].lower()) if found else None
    if found is None or scale is None:
        raise _odd(text.strip(), "size", SIZE_HINT)
    size = Decimal(found[1]) * scale
    if size != size.to_integral_value():
        raise ValueError(f"this size is not a whole number of bytes; {SIZE_HINT}")
    return int(size)


def parse_duration(text: str) -> float:
    """Seconds. A bare number is refused (seconds or milliseconds?), but for 0."""
    text = text.strip()
    if text == "0":
        return 0.0
    if _DURATION.fullmatch(text) is None:
        raise _odd(text, "duration", DURATION_HINT)
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))


def parse_money(text: str) -> int:
    """Nano-dollars (1e-9 USD), exact."""
    text = text.strip()
    found = _MONEY.fullmatch(text)
    if found is None and "-" in text and _MONEY.fullmatch(text.replace("-", "", 1).strip()):
        raise ValueError(f"this amount is negative; {MONEY_HINT}")
    if found is None and _OTHER_MONEY.fullmatch(text):
        raise ValueError(f"this currency is not known: amounts are in US dollars; {MONEY_HINT}")
    if found is None:
        raise _odd(text, "amount of money", MONEY_HINT)
    return int(Decimal(found[1] or found[2]) * 1_000_000_000)


def parse_count(text: str) -> int:
    """A number of requests, tokens or things under way: `200k` is 200,000, `2M` 2,000,000. At least 1."""
    text = text.strip()
    found = _COUNT.fullmatch(text.removeprefix("-"))
    if found is None:
        raise _odd(text, "whole number", COUNT_HINT)
    count = Decimal(found[1]) * _COUNTS[found[2]]
    if text.startswith("-") or count == 0:
        raise ValueError("this is too small; allowed is 1 or more")
    if count != count.to_integral_value():
        raise ValueError(f"this is not a whole number; {COUNT_HINT}")
    return int(count)


def parse_percent(text: str) -> float:
    """A fraction from 0 to 1."""
    found = _PERCENT.fullmatch(text.strip())
    if found is None or Decimal(found[1]) > 100:
        raise ValueError(f"this is not a percentage; {PERCENT_HINT}")
    return float(Decimal(found[1]) / 100)


def parse_share(text: str) -> float:
    """A fraction from 0 to 1: all (`on`), nothing (`off`), or a percentage."""
    words = {"on": 1.0, "yes": 1.0, "true": 1.0, "off": 0.0, "no": 0.0, "false": 0.0}
    word = words.get(text.strip().lower())
    if word is not None:
        return word
    try:
        return parse_percent(text)
    except ValueError:
        raise ValueError(f"this is not a share; {SHARE_HINT}") from None


def parse_moment(text: str) -> int:
    """Nanoseconds since the epoch, UTC. A date alone means its first moment."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"this is not a date; {DATE_HINT}") from None
    if moment.tzinfo is None:
        if len(text.strip()) > 10:
            raise ValueError(f"this time has no zone; {DATE_HINT}")
        moment = moment.replace(tzinfo=UTC)
    whole = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return ((whole.days * 86400 + whole.seconds) * 1_000_000 + whole.microseconds) * 1000
