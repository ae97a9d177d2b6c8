"""Corpora that detectors are judged on: JSON lines with a text and what is right about it.

A row says what is right in one of three ways: `label` (attack or benign), `spans` (`[{type, start, end}]`), or
`categories` (names of those that hold, or a mapping of names to whether they do). Spans and categories win over labels.

Optional are `source`, `role` (whose text it is, by default the user's) and `kind`: a `document`, or `indirect …`, is
text that somebody else wrote and the model was given to read, as a tool's answer is, and has role `tool`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

LABELS: Mapping[str, bool] = MappingProxyType({"attack": True, "benign": False})
BOM = b"\xef\xbb\xbf"
SAME: Mapping[str, str] = MappingProxyType({"DOMAIN_NAME": "URL"})
"""Names of types in public corpora, where ours are others."""
Role = Literal["system", "user", "assistant", "tool", "input", "output"]


class CorpusError(ValueError):
    """A line that is no row: says which, and why, without quoting it."""


class Span(msgspec.Struct, frozen=True):
    """What stands where, in characters; end exclusive."""

    type: str
    start: int
    end: int


class Row(msgspec.Struct, frozen=True):
    """One text."""

    text: str
    label: str | None = None
    spans: tuple[Span, ...] | None = None
    categories: dict[str, object] | tuple[str, ...] | None = None
    source: str = "all"
    role: Role | None = None
    kind: str = ""

    @property
    def spoken_by(self) -> Role:
        """Its role."""
        if self.role is not None:
            return self.role
        return "tool" if self.kind == "document" or self.kind.startswith("indirect") else "user"

    @property
    def truth(self) -> Literal["spans", "categories", "label", ""]:
        """In which way it says what is right; empty: in none."""
        if self.spans is not None:
            return "spans"
        if self.categories is not None:
            return "categories"
        return "label" if self.label is not None else ""

    @property
    def attack(self) -> bool:
        """Of a row with a label."""
        return LABELS.get(self.label or "", False)

    @property
    def holding(self) -> frozenset[str]:
        """Categories that hold."""
        named = self.categories or ()
        return frozenset(name for name in named if not isinstance(named, dict) or named[name])


def rows(data: bytes, *, judged: bool = True) -> Iterator[Row]:
    """Rows of a file; blank lines, and a mark that some editors begin a file with, are left out. `judged`: each must
    say what is right. Raises CorpusError."""
    return (row for _, row in numbered(data, judged=judged))


def numbered(data: bytes, *, judged: bool = True) -> Iterator[tuple[int, Row]]:
    """The same with the number of each row's line."""
    decoder = msgspec.json.Decoder(Row)
    for number, line in enumerate(data.removeprefix(BOM).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reason = str(error).partition(" (byte")[0] if isinstance(error, msgspec.DecodeError) else "not UTF-8"
            raise CorpusError(f"line {number}: {reason}; a row is {{text, label | spans | categories}}") from None
        if judged and not row.truth:
            raise CorpusError(f"line {number}: it does not say what is right; add label, spans or categories")
        if judged and row.truth == "label" and row.label not in LABELS:
            raise CorpusError(f"line {number}: this label is not known; allowed are attack and benign")
        size = len(row.text)
        if judged and any(not 0 <= span.start < span.end <= size for span in row.spans or ()):
            raise CorpusError(f"line {number}: a span is not within the text of {size} characters; end is exclusive")
        yield number, row


def strangers(found: Iterable[tuple[int, Row]], known: Collection[str]) -> dict[str, tuple[int, int]]:
    """Types of spans that are none of `known`: the line that each is first on, and how many spans have it."""
    told: dict[str, tuple[int, int]] = {}
    for number, row in found:
        for span in row.spans or ():
            if SAME.get(span.type, span.type) not in known:
                first, count = told.get(span.type, (number, 0))
                told[span.type] = first, count + 1
    return told
