"""Whether digits are a valid telephone number: the world's numbering plans as tables.

The tables are libphonenumber's metadata (Apache-2.0) by `tools/pii_phone.py`; the question is libphonenumber's
`isValidNumber(parse(…))`, asked of digits alone, in a few microseconds and without its library.
"""

import re
from importlib.resources import files

import msgspec

LONGEST_BARE = 15
"""Digits of the longest number that is dialled without a trunk zero, German ones with their calling code apart."""


class _Plan(msgspec.Struct, frozen=True):
    valid: str
    prefix: str
    transform: str


class _Region(msgspec.Struct, frozen=True):
    code: int
    abroad: str
    prefix: str
    transform: str
    lengths: frozenset[int]
    formats: tuple[tuple[str, str, bool], ...]


class _Tables(msgspec.Struct, frozen=True):
    codes: dict[str, _Plan]
    regions: dict[str, _Region]


class _Trunk:
    """What is dialled before a national number within its country, and which numbers there are."""

    def __init__(self, valid: re.Pattern[str], prefix: str, transform: str) -> None:
        self.valid = valid
        self.prefix = re.compile(prefix) if prefix else None
        self.transform = transform

    def bare(self, digits: str) -> str:
        """The digits without a trunk prefix; the same digits if they have none."""
        found = self.prefix.match(digits) if self.prefix else None
        if found is None or not found.end():
            return digits
        if self.transform and found.lastindex:
            return found.expand(self.transform) + digits[found.end() :]
        return digits[found.end() :]

    def holds(self, digits: str) -> bool:
        return bool(self.valid.fullmatch(digits) or self.valid.fullmatch(self.bare(digits)))


class _Home(_Trunk):
    """Dialling from within one region."""

    def __init__(self, valid: re.Pattern[str], region: _Region) -> None:
        super().__init__(valid, region.prefix, region.transform)
        self.code = str(region.code)
        self.lengths = region.lengths
        """Digits of its national numbers."""
        self.leading = frozenset(
            digit
            for digit in "0123456789"
            if self.prefix and any(self.prefix.match(digit + rest) for rest in ("8002012345678", "0150123456789"))
        )
        """Digits a trunk prefix may begin with."""
        self.abroad = re.compile(region.abroad)
        self.formats = [(re.compile(lead), re.compile(whole), needed) for lead, whole, needed in region.formats]

    def needs_prefix(self, digits: str) -> bool:
        """Whether this national number is never written without its trunk prefix: libphonenumber's format decides."""
        for lead, whole, needed in self.formats:
            if lead.match(digits) and whole.fullmatch(digits):
                return needed
        return False


class Numbering:
    """The tables, compiled."""

    def __init__(self) -> None:
        raw = files("guardrails.pii").joinpath("data").joinpath("phone.json").read_bytes()
        tables = msgspec.json.decode(raw, type=_Tables)
        self.codes = {
            code: _Trunk(re.compile(plan.valid), plan.prefix, plan.transform) for code, plan in tables.codes.items()
        }
        self.homes = [_Home(self.codes[str(region.code)].valid, region) for region in tables.regions.values()]

    def valid(self, digits: str, plus: bool) -> bool:
        """Whether digits, of any script, are a number: behind a `+`, or as somebody in one of the regions dials."""
        if not digits.isascii():
            digits = "".join(str(int(digit)) for digit in digits)
        return self.international(digits) if plus else self.national(digits)

    def coded(self, digits: str) -> bool:
        """Whether digits begin with a calling code."""
        codes = self.codes
        return digits[:1] in codes or digits[:2] in codes or digits[:3] in codes

    def international(self, digits: str) -> bool:
        """Whether digits that follow a `+` are a number: a calling code and one of its numbers. No code is the
        beginning of another (ITU-T E.164)."""
        for size in (1, 2, 3):
            trunk = self.codes.get(digits[:size])
            if trunk is not None:
                return trunk.holds(digits[size:])
        return False

    def national(self, digits: str) -> bool:
        """Whether somebody in one of the regions can dial these digits."""
        if len(digits) > LONGEST_BARE and not digits.startswith(("0", "49")):
            return False
        return any(self._from(home, digits) for home in self.homes)

    def _from(self, home: _Home, digits: str) -> bool:
        if digits[0] == "0":
            abroad = home.abroad.match(digits)
            if abroad and digits[abroad.end() : abroad.end() + 1] != "0" and self.international(digits[abroad.end() :]):
                return True
        if len(digits) in home.lengths and home.valid.fullmatch(digits) and not home.needs_prefix(digits):
            return True
        if digits[0] in home.leading:
            bare = home.bare(digits)
            if bare != digits and home.valid.fullmatch(bare):
                return True
        return digits.startswith(home.code) and home.holds(digits[len(home.code) :])
