"""What every recognizer is to the detector, and the recognizer that is one regex of the table."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from guardrails.detector import Expression
from guardrails.pii.rules import Row

FLAGS = re.IGNORECASE | re.DOTALL | re.MULTILINE
BEHIND = 64
"""Characters before a match in which its `behind` must be found."""
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


class Recognizer(Protocol):
    """Finds the candidates of one entity that start in a given region. What it finds at one start depends on the text
    around that start alone, so that `scan` of a region is the concatenation of `scan` of its parts."""

    entity: str
    expressions: tuple[Expression, ...]
    back: int
    shortest: int
    """A match starts at most `back` and at least `shortest` characters before the end of the hit that announces it."""
    length: int
    """Characters of the longest match."""
    after: int
    """Characters behind the longest match that are looked at."""

    def scan(self, text: str, low: int, high: int) -> Iterator[Candidate]:
        """Candidates that start in `text[low:high]`, by start."""
        ...


class Pattern:
    """One regex, with its checksum."""

    def __init__(self, row: Row, check: Check | None) -> None:
        self.entity = row.entity
        self.expressions = (Expression(pattern=row.gate, caseless=True),)
        self.length = row.length
        self.back = row.length + 1
        self.shortest = row.shortest
        self.after = max(row.after, 2)
        self.rule = row.id
        self.score = row.score
        self.check = check
        self.match = re.compile(row.regex, FLAGS).match
        self.behind = re.compile(rf"(?:{row.behind})\Z", FLAGS) if row.behind else None

    def scan(self, text: str, low: int, high: int) -> Iterator[Candidate]:
        # At each start by itself: finditer would resume behind its last match, and so depend on where it began.
        for start in range(low, min(high, len(text))):
            found = self.match(text, start)
            if found is None:
                continue
            score, evidence = self.score, "pattern"
            matched: str = found[0]
            if self.check is not None and (right := self.check(matched)) is not None:
                if not right:
                    continue
                score, evidence = 1.0, "checksum"
            if not matched.isascii() and STAND_INS.search(matched):
                continue
            if self.behind is not None and not self.behind.search(text[max(start - BEHIND, 0) : start]):
                continue
            yield Candidate(start, found.end(), score, self.rule, evidence)
