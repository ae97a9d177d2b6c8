"""Spellings of one value: blanks and dashes outside ASCII between groups of digits, and full-width letters and digits.

A value that is copied out of a typeset page has non-breaking blanks between its groups, and one that was typed on an
East Asian keyboard full-width digits. Each such character stands for one of ASCII, so that places stay as they are.
Blanks and dashes are read so only beside digits: elsewhere they are prose, and texts would all be looked at twice.
Sources: Unicode's Zs and Pd, and the block Halfwidth and Fullwidth Forms (U+FF01..FF5E are ASCII, 0xFEE0 further on).
"""

import re

_BLANKS = "\u00a0\u2000-\u200a\u202f\u205f\u3000"
_DASHES = "\u2010-\u2015\u2212\ufe63\uff0d"
_WIDE = "\uff0b\uff0d\uff0e\uff10-\uff19\uff20-\uff3a\uff3f\uff41-\uff5a"
_DIGIT = "0-9\uff10-\uff19"
_ANY = re.compile(f"[{_BLANKS}{_DASHES}{_WIDE}]").search
_SPELLED = re.compile(
    rf"[{_BLANKS}{_DASHES}{_WIDE}](?:(?<=[{_WIDE}])|(?<=[{_DIGIT})].)|(?=[+(\uff0b]?[{_DIGIT}]))", re.DOTALL
)
"""The set stands first: `re` runs to the next of its characters without trying anything else."""
_IN_BYTES = r"(?:\xc2\xa0|\xe2\x80[\x80-\x8a\x90-\x95\xaf]|\xe2\x81\x9f|\xe2\x88\x92|\xe3\x80\x80|\xef\xb9\xa3)"
GATE = (
    rf"[0-9)]{_IN_BYTES}|{_IN_BYTES}[+(]?[0-9]|"
    r"\xef\xbc[\x8b\x8d\x8e\x90-\x99\xa0-\xba\xbf]|\xef\xbd[\x81-\x9a]"
)
"""For the gate: one of them is there, or beside one that is."""
BESIDE = 2
"""Characters on either side of one that say whether it is read so."""


def folded(text: str) -> tuple[str, list[int]]:
    """The text as it is read, as long as it was, and where it differs."""
    places = [found.start() for found in _SPELLED.finditer(text)]
    return (_SPELLED.sub(_read, text), places) if places else (text, places)


def readings(text: str) -> list[str]:
    """How else a text is read that may go on: folded, with its last characters as they are and as they will be if a
    digit follows. None, if it is not read otherwise."""
    if _ANY(text) is None:
        return []
    alone, followed = folded(text)[0], folded(text + "0")[0][:-1]
    return [each for each in dict.fromkeys((alone, followed)) if each != text]


def _read(found: re.Match[str]) -> str:
    mark = found[0]
    if "\uff01" <= mark <= "\uff5e":
        return chr(ord(mark) - 0xFEE0)
    return "-" if mark in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63" else " "
