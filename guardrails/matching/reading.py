"""Texts as they are read: without invisible characters, with typographic blanks and dashes, full-width letters and
digits as those of ASCII.

A value that is copied out of a typeset page has non-breaking blanks between its groups and soft hyphens in its words,
one typed on an East Asian keyboard has full-width digits, and one that is to pass unseen has characters of no width.
Blanks and dashes are read so only beside digits: elsewhere they are prose, and texts would all be looked at twice.
Invisible characters are left out only between letters, digits, signs and blanks of Latin, Greek and Cyrillic: Arabic
and Indic writing and emoji are made of them. Up to `RUN` in a row, so that what is read is near what is written.
Sources: Unicode's Zs, Pd and Default_Ignorable_Code_Point, and the block Halfwidth and Fullwidth Forms (U+FF01..FF5E
are ASCII, 0xFEE0 further on).
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

RUN = 3
"""Invisible characters in a row that are left out."""
STRETCH = RUN + 1
"""Characters that one of a value that is read can have taken in its source, at most."""
BESIDE = 2 * STRETCH
"""Characters on either side of one that say how it is read."""
_BLANKS = "\u00a0\u2000-\u200a\u202f\u205f\u3000"
_DASHES = "\u2010-\u2015\u2212\ufe63\uff0d"
_WIDE = "\uff0b\uff0d\uff0e\uff10-\uff19\uff20-\uff3a\uff3f\uff41-\uff5a"
_DIGIT = "0-9\uff10-\uff19"
_HIDDEN = "\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
_SEEN = f"\\x20-\\x7e\u00a0-\u00ac\u00ae-\u034e\u0350-\u052f{_BLANKS}{_DASHES}{_WIDE}"
"""What an invisible character may stand between."""
_LEFT_OUT = re.compile(f"[{_HIDDEN}](?<=[{_SEEN}][{_HIDDEN}])[{_HIDDEN}]{{0,{RUN - 1}}}(?=[{_SEEN}])")
_SPELLED = re.compile(
    rf"[{_BLANKS}{_DASHES}{_WIDE}](?:(?<=[{_WIDE}])|(?<=[{_DIGIT}].)|(?=[+(\uff0b]?[{_DIGIT}]))", re.DOTALL
)
"""The sets stand first: `re` runs to the next of their characters without trying anything else."""
_ODD = re.compile(f"[{_HIDDEN}{_BLANKS}{_DASHES}{_WIDE}]")
_IN_BYTES = r"(?:\xc2\xa0|\xe2\x80[\x80-\x8a\x90-\x95\xaf]|\xe2\x81\x9f|\xe2\x88\x92|\xe3\x80\x80|\xef\xb9\xa3)"
_HIDDEN_IN_BYTES = (
    r"(?:\xc2\xad|\xcd\x8f|\xd8\x9c|\xe1\xa0[\x8b-\x8f]|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xaf]|"
    r"\xef\xb8[\x80-\x8f]|\xef\xbb\xbf)"
)
GATE = (
    rf"[0-9)]{_IN_BYTES}|{_IN_BYTES}[+(]?[0-9]|"
    r"\xef\xbc[\x8b\x8d\x8e\x90-\x99\xa0-\xba\xbf]|\xef\xbd[\x81-\x9a]|"
    rf"{_HIDDEN_IN_BYTES}[\x20-\x7e\xc2-\xd4\xe2\xe3\xef]"
)
"""For the gate: one of them is there, before what it may be read beside. What is before it would cost twice as much."""


class Reading:
    """A text as it is read. Offsets are characters, of `text` or of the source."""

    __slots__ = ("_after", "_gaps", "_marks", "text")

    def __init__(self, text: str, gaps: Sequence[tuple[int, int]], changed: Sequence[int]) -> None:
        """`gaps`: before which characters something was left out, and how much; `changed`: which ones are written
        otherwise. Both in order."""
        self.text = text
        self._gaps = [at for at, _ in gaps]
        self._after = list(accumulate((size for _, size in gaps), initial=0))
        self._marks = sorted([2 * at for at in self._gaps] + [2 * at + 1 for at in changed])
        """Characters have odd numbers, what is between them even ones."""

    def differs(self, start: int, end: int) -> bool:
        """Whether something within `text[start:end]` is not written so."""
        at = bisect_left(self._marks, 2 * start + 1)
        return at < len(self._marks) and self._marks[at] < 2 * end

    def around(self, before: int, behind: int) -> list[tuple[int, int]]:
        """Stretches of `text` with so many characters around all that is not written so. They do not overlap."""
        found: list[tuple[int, int]] = []
        for mark in self._marks:
            low, high = max((mark >> 1) - before, 0), (mark >> 1) + behind + 1
            if found and low <= found[-1][1]:
                found[-1] = found[-1][0], high
            else:
                found.append((low, high))
        return found

    def source(self, at: int) -> int:
        """Where the character at `at` is in the source; of the end, the end."""
        return at + self._after[bisect_right(self._gaps, at)]


def read(text: str) -> Reading | None:
    """The text as it is read; None, where that is as it is written. Linear in the text."""
    if text.isascii() or _ODD.search(text) is None:
        return None
    gaps: list[tuple[int, int]] = []
    parts: list[str] = []
    done = out = 0
    for found in _LEFT_OUT.finditer(text):
        start, end = found.span()
        parts.append(text[done:start])
        done = end
        gaps.append((start - out, end - start))
        out += end - start
    plain = "".join([*parts, text[done:]]) if gaps else text
    changed = [found.start() for found in _SPELLED.finditer(plain)]
    if not gaps and not changed:
        return None
    return Reading(_SPELLED.sub(_character, plain) if changed else plain, gaps, changed)


def readings(text: str) -> list[Reading]:
    """How else a text is read that may go on: as if it ended, and as it will be if a digit follows, or a letter."""
    found: list[Reading] = []
    for following in ("", "0", "a") if is_odd(text, max(len(text) - BESIDE, 0)) else ("",):
        reading = read(text + following)
        if reading is not None:
            if following:
                reading.text = reading.text[:-1]
            found.append(reading)
    return found


def tail(text: str, size: int) -> int:
    """Where the last `size` characters of a text begin as it is read, or shortly before that."""
    wanted = size + BESIDE
    while True:
        begin = max(len(text) - wanted, 0)
        hidden = sum(map(len, _LEFT_OUT.findall(text, begin)))
        if not begin or wanted >= size + BESIDE + hidden:
            return begin
        wanted = size + BESIDE + hidden


def is_odd(text: str, low: int) -> bool:
    """Whether there is something from `low` on that may be read otherwise than it is written."""
    return _ODD.search(text, low) is not None


def _character(found: re.Match[str]) -> str:
    mark = found[0]
    if "\uff01" <= mark <= "\uff5e":
        return chr(ord(mark) - 0xFEE0)
    return "-" if mark in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63" else " "
