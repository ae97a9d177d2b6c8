"""A shape of text that can be named, and where it is found in a text.

It speaks of folded, lower-case text and is tried only when one of its words occurs. Its quantifiers are bounded, so
that the work is linear in the text.
"""

import re
from collections.abc import Iterator, Mapping, Set
from functools import cached_property

import msgspec

from .words import TOKEN

INJECTION, JAILBREAK = "PROMPT_INJECTION", "JAILBREAK"


class Rule(msgspec.Struct, frozen=True, dict=True):
    id: str
    type: str
    score: float
    needs: frozenset[str]
    """Words (or parts of words, with `inside`) of which one must occur."""
    pattern: str
    why: str
    starts: tuple[str, ...] = ()
    """Every match starts with one of these: they are sought first, at the speed of a string search."""
    also: frozenset[str] = frozenset()
    """Words of which one must occur too; empty: none must."""
    roles: frozenset[str] = frozenset()
    """Roles it speaks of; empty: all."""
    inside: bool = False
    parts: bool = False
    """`starts` may be parts of words; else they start with a word of the text."""
    led: str = ""
    """What the text before a match must end with, if anything."""
    ending: int = 0
    """How many of the last characters of a text are read; 0: all of it."""
    assigned: bool = False
    """The groups `a` and `b` must be names that strings are assigned to before the match, which begins there."""

    @cached_property
    def expression(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    @cached_property
    def _lead(self) -> re.Pattern[str]:
        return re.compile(self.led)

    @cached_property
    def _firsts(self) -> tuple[tuple[str, str], ...]:
        """The first word of each start, and the start."""
        return tuple(((TOKEN.findall(start) or [""])[0], start) for start in self.starts)

    def may_match(self, text: str, words: Set[str], places: Mapping[str, list[int]]) -> bool:
        """By its words alone. `places`: see `matches`."""
        if self.also and self.also.isdisjoint(words):
            return False
        if self.inside:
            return any(part[0] in text and places.get(part) != [] and part in text for part in self.needs)
        return not self.needs.isdisjoint(words)

    def matches(self, text: str, words: Set[str], places: dict[str, list[int]]) -> Iterator[tuple[int, int]]:
        """Start and end of each match in a text of these words. `places`: where starts are known to be in it (or
        not to be), for rules that share them; added to."""
        if self.ending:
            yield from self._at_the_end(text.rstrip())
            return
        if not self.starts:
            yield from (match.span() for match in self.expression.finditer(text))
            return
        if self.parts:  # one character is found far sooner than two, and most texts have none of the signs
            starts = [start for start in self.starts if start[0].isalpha() or start[0] in text]
        else:
            starts = [start for first, start in self._firsts if first in words]
        done = 0
        for at in sorted(at for start in starts for at in _places(text, start, places)):
            if at >= done and (match := self.expression.match(text, at)):
                if self.led and not self._lead.search(text[max(0, at - _LEAD) : at]):
                    continue
                begin = _assignments(text, match) if self.assigned else at
                if begin is not None:
                    done = match.end()
                    yield begin, done

    def _at_the_end(self, text: str) -> Iterator[tuple[int, int]]:
        """The last line, or the last sentence, if it is a match."""
        least = max(0, len(text) - self.ending)
        places = {text.rfind(mark, least) for mark in ("\n", ". ", "? ", "! ")} - {-1}
        for at in sorted({place + 1 for place in places} | ({0} if not least else set())):
            if match := self.expression.match(text, at):
                yield match.span()
                return


def _places(text: str, part: str, known: dict[str, list[int]]) -> list[int]:
    if part not in known:
        found = known[part] = []
        at = text.find(part)
        while at >= 0:
            found.append(at)
            at = text.find(part, at + len(part))
    return known[part]


_LEAD = 100
"""Characters before a match in which what leads to it is sought."""
_BEFORE = 400
"""Characters before an order to join pieces in which the pieces are sought."""


def _assignments(text: str, order: re.Match[str]) -> int | None:
    """Where the first of the pieces is that an order names; None if one of them is not there."""
    start = max(0, order.start() - _BEFORE)
    before = text[start : order.start()]
    found = [re.search(rf"\b{order[name]} {{0,2}}= {{0,2}}[\"'][^\"'\n]{{2,80}}[\"']", before) for name in ("a", "b")]
    return start + min(match.start() for match in found if match) if all(found) else None
