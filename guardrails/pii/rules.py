"""What is looked for: the table of rules read from `data/presidio.json` and `data/own.json`, and which are asked for.

`presidio.json` is taken from Presidio 2.2.366 (MIT) by `tools/pii_tables.py`: its regexes, scores and context words.
`own.json` goes beyond it; its rules can be left out (`extra=False`).
"""

from importlib.resources import files

import msgspec

DEFAULT = (
    "CREDIT_CARD", "CRYPTO", "DATE_TIME", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "MAC_ADDRESS", "MEDICAL_LICENSE",
    "PHONE_NUMBER", "UK_NHS", "URL", "US_BANK_NUMBER", "US_DRIVER_LICENSE", "US_ITIN", "US_PASSPORT", "US_SSN",
)  # fmt: skip
"""What is found when nothing is named."""


class Row(msgspec.Struct, frozen=True):
    """One regex of a table. Every match begins at its own start, whatever other matches there are."""

    id: str
    entity: str
    regex: str
    """For `re` with IGNORECASE, DOTALL and MULTILINE, applied at one start."""
    score: float
    length: int
    """Characters of its longest match."""
    shortest: int
    """Characters of its shortest match."""
    gate: str
    """A superset in the common subset of Hyperscan, RE2 and `re`, on bytes of UTF-8, caseless."""
    prefix: str = ""
    """Where a match can hold white space: a pattern of all that a match may begin with, for the end of a text."""
    behind: str = ""
    """What must stand before: a pattern that ends where the match starts, within `BEHIND` characters."""
    after: int = 1
    """Characters behind the match that it depends on."""
    country: str = ""
    name: str = ""


class Table(msgspec.Struct, frozen=True):
    """One data file."""

    rules: tuple[Row, ...]
    context: dict[str, tuple[str, ...]] = {}
    """By entity: words that make a match more likely when they stand before it."""


def read(name: str) -> Table:
    """One of the tables in the package: `presidio` or `own`."""
    raw = files("guardrails.pii").joinpath("data").joinpath(f"{name}.json").read_bytes()
    return msgspec.json.decode(raw, type=Table)


def described() -> dict[str, str]:
    """Every entity name `PiiDetector` knows, with one line about it, in alphabetical order."""
    raw = files("guardrails.pii").joinpath("data").joinpath("entities.json").read_bytes()
    return msgspec.json.decode(raw, type=dict[str, str])
