"""Lists of literal terms: customer names, code names, banned topics; hundreds of thousands of them.

All lists are one Aho-Corasick automaton (two if some lists mind case): 300,000 terms take 43 MB and 7 µs for 2 KB of
text. Hyperscan would scan in 1 µs, but compiles for 27 s and takes 540 MB.

Case is ignored character by character with each character's own simple lower-case form, so that an offset stays one:
`Ä` is `ä`, but `ß` is not `ss`. A blank of a term is up to `MOST_BLANKS` of any kind in the text. A whole word is a
term beside which no letter, digit or underscore of any script stands. Matches of one list: of those that begin at one
place the longest stays, and none that lies inside another.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import msgspec

from guardrails.detector import Expression, Hit, Match, Reach
from guardrails.words.errors import WordsError

MOST_TERMS = 1_000_000
LONGEST_TERM = 256
"""Characters."""
MOST_BLANKS = 8
"""Characters in the place of one blank: a line's end with what the next line is indented by. Without a bound nothing
of a stream that ends in a blank could be let go."""
_BLANKS = "\t\n\v\f\r"
_WIDE_BLANKS = "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_RUN = re.compile("  +")
_TOO_MANY = " " * (MOST_BLANKS + 1)
_GAP = "\n"
"""In the place of `_TOO_MANY`, more blanks than one stands for: no term has it."""
_OPENING = 4
"""Characters by which a place is told, quickly, where no term can begin."""


class TermList(msgspec.Struct, frozen=True):
    """Terms that are reported alike."""

    name: str
    type: str
    """The entity or category of its matches, such as CUSTOMER."""
    terms: Sequence[str]
    caseless: bool = True
    whole_words: bool = True
    score: float = 1.0
    rule: str = ""
    """Id of its matches; `terms.NAME` if empty."""


def topics(banned: Mapping[str, Sequence[str]]) -> list[TermList]:
    """Banned topics: topic → terms that speak of it. Matches are of type BANNED_TOPIC, by rule `topic.NAME`."""
    return [TermList(name, "BANNED_TOPIC", terms, rule=f"topic.{name}") for name, terms in banned.items()]


class TermDetector:
    """Finds terms of lists. Safe on streams: `guardrails/detector.py`."""

    expressions: Sequence[Expression] = ()

    def __init__(self, lists: Sequence[TermList], name: str = "terms") -> None:
        """Raises WordsError: a list without terms, a term that is empty or too long, too many of them."""
        self.name = name
        _check(lists)
        self._lists = tuple(lists)
        self._automata = [
            _Automaton(lists, caseless)
            for caseless in (True, False)
            if any(each.caseless is caseless for each in lists)
        ]
        longest = max((automaton.widest for automaton in self._automata), default=1)
        # A shorter term inside a longer one that began earlier is left out: that is decided up to `longest` before it.
        self.reach = Reach(length=longest, before=longest + 1, after=longest + 1)

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        found: dict[tuple[int, int], int] = {}
        for automaton in self._automata:
            for number, start, end in automaton.occurrences(text):
                found[number, start] = max(end, found.get((number, start), 0))
        return _outermost(
            [
                Match(each.type, start, end, each.score, each.rule or f"terms.{each.name}", "list")
                for (number, start), end in found.items()
                for each in (self._lists[number],)
            ]
        )

    def settled(self, text: str) -> int:
        return min((automaton.settled(text) for automaton in self._automata), default=len(text))


def _outermost(matches: list[Match]) -> list[Match]:
    """Sorted by start, without those that lie inside an earlier one of the same rule."""
    matches.sort(key=lambda match: (match.start, -match.end, match.rule))
    ends: dict[str, int] = {}
    kept: list[Match] = []
    for match in matches:
        if match.end > ends.get(match.rule, -1):
            ends[match.rule] = match.end
            kept.append(match)
    return kept


def _check(lists: Sequence[TermList]) -> None:
    total = sum(len(each.terms) for each in lists)
    if total > MOST_TERMS:
        raise WordsError(f"{total:,} terms are too many: all lists together may have {MOST_TERMS:,}")
    for each in lists:
        if not each.terms:
            raise WordsError(f"list {each.name!r} has no terms")
        for place, term in enumerate(each.terms, 1):
            if not term.strip() or term != term.strip():
                raise WordsError(f"list {each.name!r}: term {place} is empty, or begins or ends with a blank")
            if len(term) > LONGEST_TERM:
                raise WordsError(f"list {each.name!r}: term {place} is longer than {LONGEST_TERM} characters")
            if any("\ud800" <= char <= "\udfff" for char in term):
                raise WordsError(f"list {each.name!r}: term {place} holds half a surrogate pair, which is no character")


def lowered(text: str) -> str:
    """Each character's simple lower case; as long as `text`. What depends on neighbours (the final sigma) does not."""
    if text.isascii():
        return text.lower()
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(small if len(small := char.lower()) == 1 else char for char in text)
    return lower.replace("ς", "σ")


def spaced(text: str) -> str:
    """With each blank as an ordinary one; as long as `text`."""
    for blank in _BLANKS if text.isascii() else _BLANKS + _WIDE_BLANKS:
        if blank in text:
            text = text.replace(blank, " ")
    return text


class _Closed:
    """A text with one blank for each run of them, or with gaps in it, and where its characters stand in the source."""

    __slots__ = ("_behind", "_more", "_source", "text")

    def __init__(self, text: str, close: bool) -> None:
        """`text`: `spaced`. `close`: False leaves it as it is."""
        self._source = text
        self._behind: list[int] | None = None
        self._more: list[int] = []
        if close and "  " in text:
            text = text.replace(_TOO_MANY, _GAP)
            while "  " in text:
                text = text.replace("  ", " ")
        self.text = text

    def source(self, at: int) -> int:
        """Where a character that is no blank stands."""
        behind = self._behind
        if behind is None:
            behind = self._behind = self._counted()
        passed = bisect_right(behind, at)
        return at + self._more[passed - 1] if passed else at

    def _counted(self) -> list[int]:
        """Where runs are over; most texts have no term, and need not know."""
        behind: list[int] = []
        more = 0
        for run in _RUN.finditer(self._source) if self.text is not self._source else ():
            gaps, rest = divmod(run.end() - run.start(), MOST_BLANKS + 1)
            more += run.end() - run.start() - gaps - (rest > 0)
            behind.append(run.end() - more)
            self._more.append(more)
        return behind


def _word(char: str) -> bool:
    return char.isalnum() or char == "_"


class _Automaton:
    """The lists that mind case, or those that do not."""

    def __init__(self, lists: Sequence[TermList], caseless: bool) -> None:
        self._caseless = caseless
        owners: dict[str, list[int]] = {}
        for number, each in enumerate(lists):
            if each.caseless is caseless:
                for term in each.terms:
                    plain = _RUN.sub(" ", spaced(term))
                    owners.setdefault(lowered(plain) if caseless else plain, []).append(number)
        self._terms = sorted(owners)
        self._owners = [tuple(dict.fromkeys(owners[term])) for term in self._terms]
        self._whole = [each.whole_words for each in lists]
        self._all_whole = all(each.whole_words for each in lists if each.caseless is caseless)
        self._openings = frozenset(term[:_OPENING] for term in self._terms)
        self._longest = max(map(len, self._terms))
        self._blanks = any(" " in term for term in self._terms)
        self.widest = max(len(term) + (MOST_BLANKS - 1) * term.count(" ") for term in self._terms)
        """Characters of a text that a term may take."""
        library: Any = import_module("ahocorasick_rs")
        automaton: Any = library.AhoCorasick(
            self._terms,
            implementation=library.Implementation.ContiguousNFA,
            matchkind=library.MatchKind.Standard,
            store_patterns=False,
        )
        self._find = automaton.find_matches_as_indexes

    def occurrences(self, text: str) -> list[tuple[int, int, int]]:
        """(number of list, start, end) of every occurrence."""
        closed = self._closed(text)
        folded = closed.text
        try:
            found: list[tuple[int, int, int]] = self._find(folded, overlapping=True)
        except UnicodeEncodeError:
            folded = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in folded)
            found = self._find(folded, overlapping=True)
        if not found:
            return []
        places: list[tuple[int, int, int]] = []
        for term, first, last in found:
            start, end = closed.source(first), closed.source(last - 1) + 1
            whole = not (
                (start and _word(text[start - 1]) and _word(text[start]))
                or (end < len(text) and _word(text[end]) and _word(text[end - 1]))
            )
            places += [(number, start, end) for number in self._owners[term] if whole or not self._whole[number]]
        return places

    def settled(self, text: str) -> int:
        """The first place in the last characters where a term has begun that more text could complete, or where one
        ends at the very end and what follows could glue it to a word."""
        offset = max(len(text) - self.widest - 1, 0)
        closed = self._closed(text[offset:])
        folded = closed.text
        first = max(1 if offset else 0, len(folded) - self._longest)
        for start in range(first, len(folded)):
            if self._all_whole and start and _word(folded[start - 1]) and _word(folded[start]):
                continue
            if self._begins(folded[start:]):
                return offset + closed.source(start)
        return len(text)

    def _closed(self, text: str) -> _Closed:
        plain = lowered(text) if self._caseless else text
        return _Closed(spaced(plain) if self._blanks else plain, self._blanks)

    def _begins(self, piece: str) -> bool:
        """Whether a term begins with `piece`."""
        if len(piece) >= _OPENING and piece[:_OPENING] not in self._openings:
            return False
        at = bisect_left(self._terms, piece)
        return at < len(self._terms) and self._terms[at].startswith(piece)
