"""Numbers whose groups stand several blanks apart: they are read with one, unless they stand in a table.

A row of a table that is aligned by blanks may look like a card or an account, and one in ten has its check digit right.
So what is read so must have a check digit or a word before it that says what it is, and must stand alone: no digits
beside it on its line, and near it no other gap of two blanks, no bar and no tab. Telephone numbers have blanks enough
without (`GAP` in `writing.py`).
"""

import re
from collections.abc import Iterator

from guardrails.matching.reading import Reading

MOST = 4
"""Blanks between two groups."""
SPREAD = 3
"""A number has no two blanks in a row when it is read, so that in its source it is at most so many times as long."""
TABLE = 64
"""Characters before and behind a number in which a table shows."""
CLOSE = TABLE - 2 * MOST
"""Characters between two gaps that surely stand in a table if they are not in one number."""
GATE = rf"[0-9)]  {{1,{MOST - 1}}}[0-9A-Za-z(]|[A-Za-z]  {{1,{MOST - 1}}}[0-9]"
_GAP = re.compile(rf"[0-9)]( {{2,{MOST}}})(?=[0-9A-Za-z(])|[A-Za-z]( {{2,{MOST}}})(?=[0-9])")
_BEGUN = re.compile(rf"[0-9)] {{2,{MOST}}}(?:\Z|[0-9A-Za-z(])|[A-Za-z] {{2,{MOST}}}(?:\Z|[0-9])")
_CHAIN = re.compile(r"[0-9A-Za-z()+./\- ]*")
_CELL = r"[|\t]|[^\s.!?:;,] {2,}"
_ROW_BEFORE = re.compile(rf"{_CELL}|[0-9] *\Z")
_ROW_BEHIND = re.compile(rf"\A *[0-9]|\A {{2,}}\S|(?:{_CELL})\S")


def narrowed(text: str, longest: int) -> Reading | None:
    """The text with one blank where several stand between groups of what may be a number by itself; None, where they do
    so nowhere. `longest`: characters of a number in its source."""
    gaps: list[tuple[int, int]] = []
    parts: list[str] = []
    done = out = 0
    for start, end in _alone([found.span(found.lastindex or 0) for found in _GAP.finditer(text)], longest):
        parts.append(text[done : start + 1])
        done = end
        gaps.append((start + 1 - out, end - start - 1))
        out += end - start - 1
    return Reading("".join([*parts, text[done:]]), gaps, ()) if gaps else None


def _alone(gaps: list[tuple[int, int]], longest: int) -> Iterator[tuple[int, int]]:
    """Without the gaps of tables: rows of gaps each of which shows that the others are cells, and that are too long to
    be in one number. It spares looking at them: `in_table` would say the same of each number there."""
    begun = 0
    for at, (_, end) in enumerate(gaps, start=1):
        if at == len(gaps) or gaps[at][0] - end > CLOSE:
            if end - gaps[begun][0] <= longest:
                yield from gaps[begun:at]
            begun = at


def in_table(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` may be some cells of a table."""
    if _ROW_BEFORE.search(text[max(start - TABLE, 0) : start]):
        return True
    return _ROW_BEHIND.search(text[end : end + TABLE]) is not None


def begun(text: str, longest: int) -> int:
    """Where the first number may begin that more text could complete or show to stand in a table: the end of the text,
    if there is none. `longest`: characters of a number in its source."""
    size = len(text)
    low = max(size - longest - TABLE - MOST - 1, 0)
    if text.find("  ", low) < 0:
        return size
    gap = _BEGUN.search(text, low)
    if gap is None:
        return size
    before = _CHAIN.match(text[max(gap.start() + 1 - longest, 0) : gap.start() + 1][::-1])
    return gap.start() + 1 - (before.end() if before else 0)
