"""IBANs: country, two check digits, and what the country's registry entry says of the rest."""

import re
from collections.abc import Mapping
from importlib.resources import files

import msgspec

from guardrails.detector import Expression
from guardrails.pii.candidates import Candidate
from guardrails.pii.checksums import mod97

GENERIC = re.compile(
    r"(?<![A-Z0-9])(?=([A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,6})((?:[ -]?[A-Z0-9]{4})?)"
    r"((?:[ -]?[A-Z0-9]{1,3})?)(?![A-Z0-9]))",
    re.IGNORECASE | re.ASCII,
)
"""Presidio's: a match, and two shorter ones to try if the check digits do not fit."""
BEGIN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?=[ -]?[A-Za-z0-9])")
STEP = re.compile(r"[ -]?[A-Za-z0-9]")
CHECK_DIGITS = frozenset(f"{number:02}" for number in range(2, 99))
"""ISO 13616: what the calculation can give; 00, 01 and 99 would pass the remainder as well."""


def countries() -> Mapping[str, tuple[int, re.Pattern[str]]]:
    """By country code: characters of an IBAN, and the pattern of the whole without separators."""
    raw = files("guardrails.pii").joinpath("data").joinpath("iban.json").read_bytes()
    table = msgspec.json.decode(raw, type=dict[str, tuple[int, str]])
    return {country: (length, re.compile(regex)) for country, (length, regex) in table.items()}


class Iban:
    """IBAN_CODE as Presidio finds it; with small letters its score is 0.5. `extra` adds an IBAN that is followed by
    more letters or digits: of these as many are taken as the country's IBANs have."""

    entity = "IBAN_CODE"
    expressions = (Expression(pattern=r"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){8}", caseless=True),)
    back = 4 + 2 * 8 + 1
    length = 2 * 34
    after = 1
    foreign = False
    apart = 0
    shortest = 12

    def __init__(self, extra: bool) -> None:
        self.extra = extra
        self.countries = countries()

    def scan(self, text: str, low: int, high: int) -> list[Candidate]:
        accounts: list[Candidate] = []
        for found in BEGIN.finditer(text, low, high + 6):
            start = found.start()
            if start >= high:
                break
            candidate = self.generic(text, start)
            if candidate is None and self.extra:
                candidate = self.exact(text, start)
            if candidate is not None:
                accounts.append(candidate)
        return accounts

    def generic(self, text: str, at: int) -> Candidate | None:
        found = GENERIC.match(text, at)
        if found is None:
            return None
        for group in (3, 2, 1):
            end = found.end(group)
            plain = _plain(text[at:end])
            capital = plain.upper()
            country = self.countries.get(capital[:2])
            # Presidio matches a country's pattern from the left only: what follows is not looked at.
            if country and country[1].match(capital) and plain[2:4] in CHECK_DIGITS and mod97(plain):
                score = 1.0 if plain == capital or country[1].match(plain) else 0.5
                return Candidate(at, end, score, "pii.iban_code.1", "checksum")
        return None

    def exact(self, text: str, at: int) -> Candidate | None:
        country = self.countries.get(text[at : at + 2].upper())
        if country is None:
            return None
        end = at + 4
        for _ in range(country[0] - 4):
            step = STEP.match(text, end)
            if step is None:
                return None
            end = step.end()
        plain = _plain(text[at:end]).upper()
        if text[end : end + 1].isalnum() or not country[1].fullmatch(plain) or plain[2:4] not in CHECK_DIGITS:
            return None
        if not mod97(plain):
            return None
        return Candidate(at, end, 1.0, "pii.iban_code.length", "checksum")


def _plain(text: str) -> str:
    return text.replace(" ", "").replace("-", "")
