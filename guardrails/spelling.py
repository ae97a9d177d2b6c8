"""How characters of a text are written in its source, where they are not written as themselves.

A JSON string writes `é` as six characters and a smiley as twelve; a lone surrogate is judged as U+FFFD, so that every
text has UTF-8 bytes. What is passed on must be written as it came.
"""

from bisect import bisect_left


class Spelling:
    """Sparse: only for characters that are written otherwise. Offsets are characters of the decoded text."""

    __slots__ = ("_at", "_before", "_extra", "_raw")

    def __init__(self) -> None:
        self._at: list[int] = []
        self._raw: list[str] = []
        self._extra: list[int] = []
        """Source characters more than decoded ones, up to and with this entry."""
        self._before = 0

    def add(self, at: int, raw: str) -> None:
        """The character at `at`, behind all that were added, is written `raw`."""
        extra = self._extra[-1] if self._extra else self._before
        self._at.append(at)
        self._raw.append(raw)
        self._extra.append(extra + len(raw) - 1)

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
