"""How characters of a text are written in its source, where they are not written as themselves.

A JSON string writes `é` as six characters and a smiley as twelve; a lone surrogate is judged as U+FFFD, so that every
text has UTF-8 bytes. What is passed on must be written as it came.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

_SURROGATE = re.compile("[\ud800-\udfff]")


def sound(text: str, spelled: Sequence[tuple[int, str]]) -> tuple[str, Sequence[tuple[int, str]]]:
    """`text` with its lone surrogates judged as U+FFFD, and spelled as they are."""
    lone = [(found.start(), found.group()) for found in _SURROGATE.finditer(text)]
    if not lone:
        return text, spelled
    return _SURROGATE.sub("\ufffd", text), sorted([*spelled, *lone])


class Spelling:
    """Sparse: only for characters that are written otherwise. Offsets are characters of the decoded text."""

    __slots__ = ("_at", "_before", "_extra", "_raw")

    def __init__(self) -> None:
        self._at: list[int] = []
        self._raw: list[str] = []
        self._extra: list[int] = []
        """Source characters more than decoded ones, up to and with this entry."""
        self._before = 0

    def add(self, begin: int, spelled: Sequence[tuple[int, str]]) -> None:
        """Characters at these offsets from `begin`, all behind those that were added, are written so."""
        extra = self._extra[-1] if self._extra else self._before
        self._at += [begin + at for at, _ in spelled]
        self._raw += [raw for _, raw in spelled]
        self._extra += accumulate([extra + len(spelled[0][1]) - 1, *[len(raw) - 1 for _, raw in spelled[1:]]])

    def source(self, text: str, base: int, start: int, end: int) -> str:
        """Characters `start..end` as they came. `text` begins at `base`."""
        first = bisect_left(self._at, start)
        last = bisect_left(self._at, end, first)
        out: list[str] = []
        for index in range(first, last):
            at = self._at[index]
            out += (text[start - base : at - base], self._raw[index])
            start = at + 1
        out.append(text[start - base : end - base])
        return "".join(out)

    def offset(self, at: int) -> int:
        """Where a character stands in the source, counted from where the text begins there."""
        index = bisect_left(self._at, at)
        return at + (self._extra[index - 1] if index else self._before)

    def forget(self, before: int) -> None:
        """Nothing before this character is asked for any more."""
        index = bisect_left(self._at, before)
        if index:
            self._before = self._extra[index - 1]
            del self._at[:index], self._raw[:index], self._extra[:index]
