"""What every recognizer is to the detector, and the recognizer that is one regex of the table."""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from guardrails.detector import Expression
from guardrails.matching.syntax import Edge, beginnings, parse
from guardrails.matching.syntax import Sequence as Parts
from guardrails.pii.context import raised
from guardrails.pii.rules import Row
from guardrails.pii.windows import merged, regions

FLAGS = re.IGNORECASE | re.DOTALL | re.MULTILINE
BEHIND = 64
"""Characters before a match in which its `behind` must be found."""
FEW = 4
"""Starts that are all tried; of more, those with a character that a match can begin with."""
STAND_INS = re.compile("[\u0130\u0131\u017f\u212a]")
"""Characters that IGNORECASE takes for i, s and k. The gate sees bytes and would miss them: a match that holds one
is none."""

Check = Callable[[str], bool | None]
"""What a checksum says of a matched text: right, wrong, or nothing."""


class Candidate(NamedTuple):
    """A match before its context was read."""

    start: int
    end: int
    score: float
    rule: str
    evidence: str


new: Callable[[type[Candidate], tuple[int, int, float, str, str]], Candidate]
new = tuple.__new__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
"""Makes a named tuple in half the time its own name takes."""


class Recognizer(Protocol):
    """Finds the candidates of one entity that start in a given region. What it finds at one start depends on the text
    around that start alone, so that `scan` of a region is the concatenation of `scan` of its parts."""

    entity: str
    expressions: tuple[Expression, ...]
    back: int
    shortest: int
    """A match starts at most `back` and at least `shortest` characters before the end of the hit that announces it."""
    apart: int
    """Stretches that are no further apart are looked at in one go: what lies between costs less than beginning anew."""
    length: int
    """Characters of the longest match."""
    after: int
    """Characters behind the longest match that are looked at."""
    foreign: bool
    """Its digits may be any of Unicode's, of which its expressions know ASCII's alone."""

    def scan(self, text: str, low: int, high: int) -> Sequence[Candidate]:
        """Candidates that start in `text[low:high]`."""
        ...


class Pattern:
    """One regex, with its checksum."""

    apart = 0

    def __init__(self, row: Row, check: Check | None, refusing: bool = False) -> None:
        """`refusing`: the check never says that a match is right."""
        self.entity = row.entity
        self.expressions = (Expression(pattern=row.gate, caseless=True),)
        self.length = row.length
        self.back = row.length + 1
        self.shortest = row.shortest
        self.after = max(row.after, 2)
        self.foreign = r"\d" in row.regex
        self.rule = row.id
        self.score = row.score
        self.check = check
        self.match = re.compile(row.regex, FLAGS).match
        self.starts = re.compile(beginning(row.regex)).finditer
        gate = parse(row.gate, FLAGS)
        self.exact = isinstance(gate, Parts) and gate.parts[-1:] == (Edge("boundary"),)
        """Every match has a hit that ends where it ends."""
        self.most = raised(row.score) if check is None or refusing else 1.0
        """The best score of a match, with its context."""
        self.behind = re.compile(rf"(?:{row.behind})\Z", FLAGS) if row.behind else None

    def scan(self, text: str, low: int, high: int) -> list[Candidate]:
        found: list[Candidate] = []
        if high > len(text):
            high = len(text)
        match = self.match
        few = high - low <= FEW
        starts = range(low, high) if few else [begun.start() for begun in self.starts(text, low, high)]
        for start in starts:
            matched = match(text, start)
            if matched is not None and (candidate := self.judged(text, start, matched)):
                found.append(candidate)
        return found

    def spared(self, ends: Sequence[int], found: Sequence[Candidate], near: int) -> list[tuple[int, int]]:
        """The stretches for these hits, without starts of matches that are within one of these candidates, which begins
        at most `near` characters before them, and no better: whatever they are, they would be dropped."""
        better: list[Candidate] = []
        if self.exact:
            most, rule = self.most, self.rule
            better = [one for one in found if most < one.score or (most == one.score and one.rule < rule)]
        if not better:
            return regions(ends, self.back, self.shortest)
        better.sort()
        starts = [one.start for one in better]
        kept: list[int] = []
        parts: list[tuple[int, int]] = []
        for end in ends:
            last = end - self.shortest
            at = bisect_right(starts, last) - 1
            if at < 0 or better[at].end < end or last - starts[at] > near:
                kept.append(end)
            elif (low := max(end - self.length, 0)) < starts[at]:
                parts.append((low, starts[at]))
        stretches = regions(kept, self.back, self.shortest)
        return merged(stretches, parts) if parts else stretches

    def judged(self, text: str, start: int, found: re.Match[str]) -> Candidate | None:
        """What a match of the regex is after all that the regex cannot say."""
        matched: str = found[0]
        score, evidence = self.score, "pattern"
        if self.check is not None and (right := self.check(matched)) is not None:
            if not right:
                return None
            score, evidence = 1.0, "checksum"
        if not matched.isascii() and STAND_INS.search(matched):
            return None
        if self.behind is not None and not self.behind.search(text[max(start - BEHIND, 0) : start]):
            return None
        return new(Candidate, (start, found.end(), score, self.rule, evidence))


def beginning(regex: str) -> str:
    """A regex of one character for every place at which a match of `regex` can start."""
    tree = parse(regex, FLAGS)
    bounded = isinstance(tree, Parts) and tree.parts[:1] == (Edge("boundary"),)
    ranges = "".join([f"\\U{low:08x}-\\U{high:08x}" for low, high in beginnings(tree)])
    return (r"\b" if bounded else "") + f"[{ranges}]"
