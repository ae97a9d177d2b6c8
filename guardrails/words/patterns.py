"""Users' regular expressions: found by the gate, decided by RE2, in linear time.

For every place where a pattern matches, the match is the one that `re` would find from there (first alternative, greedy
or lazy as written). Of one pattern's matches those that lie inside an earlier one are left out; what overlaps partly
stays.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from guardrails.detector import Expression, Hit, Match, Reach
from guardrails.matching.offsets import to_characters
from guardrails.matching.syntax import SyntaxRefused
from guardrails.matching.widening import opening, widened_tree
from guardrails.words.errors import WordsError
from guardrails.words.language import OPEN_REPEAT, OPEN_TURNS, Read, UserPattern, for_re2, read, unfinished

MOST_PATTERNS = 20_000
MOST_FOLLOWED = 200
"""Up to so many patterns are asked whether the end of a text is the beginning of a match; with more, `settled` keeps
the length of the longest match back."""
SURELY_COMPILES = 900
"""Characters with repeats written out that RE2 never refuses: it allows 1,000 turns, nested ones multiplied."""
_RE2_MEMORY = 8 << 20


class PatternDetector:
    """Finds matches of users' patterns. Safe on streams: `guardrails/detector.py`."""

    def __init__(self, patterns: Sequence[UserPattern], name: str = "patterns") -> None:
        """Raises WordsError: a pattern that is malformed or not allowed, too many of them, google-re2 not installed."""
        self.name = name
        if len(patterns) > MOST_PATTERNS:
            raise WordsError(
                f"{len(patterns):,} patterns are too many, {MOST_PATTERNS:,} are allowed; literal terms in a list"
            )
        self._compiled = [_Compiled(pattern) for pattern in patterns]
        self.expressions: Sequence[Expression] = tuple(each.expression for each in self._compiled)
        self._begun = _together(self._compiled)
        length = max((each.read.longest for each in self._compiled), default=1)
        lead = max((each.read.lead for each in self._compiled), default=0)
        # What lies inside an earlier match is left out, and that may begin `length` before.
        self.reach = Reach(length=length, before=length + lead + 1, after=length + 1)

    @property
    def notes(self) -> list[str]:
        """What a user should know, for `tollway check`."""
        capped = [each.pattern.name for each in self._compiled if each.read.capped]
        return [
            f"pattern {name!r}: a repeat without an end takes at most {OPEN_REPEAT} characters, "
            f"or {OPEN_TURNS} turns of something longer"
            for name in capped
        ]

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        if not hits:
            return []
        ends = to_characters(text, [hit.end for hit in hits])
        places: dict[int, set[int]] = {}
        for hit, end in zip(hits, ends, strict=True):
            places.setdefault(hit.expression, set()).add(end)
        found = [match for index, at in places.items() for match in self._compiled[index].matches(text, sorted(at))]
        found.sort(key=lambda match: (match.start, -match.end, match.rule))
        return found

    def settled(self, text: str) -> int:
        longest = self.reach.length
        floor = max(0, len(text) - longest - 1)
        if self._begun is None:
            return floor if self._compiled else len(text)
        tail = text[max(0, floor - 1) :]
        data = tail.encode("utf-8", "surrogatepass")
        found = self._begun(data)
        if found is None or found.start() == len(data):
            return len(text)
        return max(floor, len(text) - len(tail) + len(data[: found.start()].decode("utf-8", "surrogatepass")))


def _together(compiled: "Sequence[_Compiled]") -> Callable[[bytes], Any] | None:
    """Finds the first place from which something goes to the end of some bytes that more text could change; None: too
    much to ask."""
    if not compiled or len(compiled) > MOST_FOLLOWED:
        return None
    try:
        return _re2(compiled[0].pattern, "|".join(unfinished(each.read.tree) for each in compiled)).search
    except WordsError:
        return None


class _Compiled:
    """One pattern: its expression for the gate, RE2 for matches and for beginnings of them."""

    def __init__(self, pattern: UserPattern) -> None:
        self.pattern = pattern
        self.read: Read = read(pattern)
        self.rule = pattern.rule or f"pattern.{pattern.name}"
        try:
            tree = self.read.tree
            self.expression = opening(tree, pattern.caseless) or widened_tree(tree, ascii_only=True)
        except SyntaxRefused as error:
            raise WordsError(f"pattern {pattern.name!r}: {error}") from None
        # RE2 compiles at the first hit, or now where it could refuse.
        self._compiled = None if self.read.size <= SURELY_COMPILES else self._compile()
        self._masked = "(?P<mask>" in pattern.pattern

    def _compile(self) -> Callable[[bytes, int], Any]:
        return _re2(self.pattern, for_re2(self.read.tree)).search

    def matches(self, text: str, ends: Sequence[int]) -> Iterator[Match]:
        """Matches that begin in the reach of the places where the gate saw something, none inside another."""
        longest = self.read.longest
        covered = 0
        for low, high in _windows(ends, longest):
            begin = max(0, low - 1)
            piece = text[begin : high + longest + 1]
            data = piece.encode("utf-8", "surrogatepass")
            spans = list(self._spans(data, len(text[begin:low].encode("utf-8", "surrogatepass"))))
            offsets = iter(to_characters(piece, [at for span in spans for at in span]))
            for start, end, first, last in zip(offsets, offsets, offsets, offsets, strict=True):
                if begin + start < high and begin + end > covered:
                    covered = begin + end
                    yield Match(
                        self.pattern.type, begin + first, begin + last, self.pattern.score, self.rule, "pattern"
                    )

    def _spans(self, data: bytes, at: int) -> Iterator[tuple[int, int, int, int]]:
        """(start, end, start of what is masked, its end) of the match from every start, in bytes."""
        group = 1 if self._masked else 0  # no other group captures
        search = self._compiled = self._compiled or self._compile()
        found = search(data, at)
        while found is not None:
            start, end = found.span()
            yield start, end, *found.span(group)
            found = search(data, start + 1)


def _windows(ends: Sequence[int], longest: int) -> Iterator[tuple[int, int]]:
    """Ranges of starts [low, high) that the hits at `ends` (sorted) speak of: up to `longest` before each, joined."""
    low, high = max(0, ends[0] - longest), ends[0]
    for end in ends[1:]:
        if end - longest > high:
            yield low, high
            low = end - longest
        high = end
    yield low, high


def _re2(pattern: UserPattern, expression: str) -> Any:
    try:
        library: Any = import_module("re2")
    except ImportError:
        raise WordsError("patterns of your own need the package google-re2, which is not installed") from None
    options = library.Options()
    options.log_errors = False
    options.max_mem = _RE2_MEMORY
    try:
        compiled: Any = library.compile(expression, options)
    except library.error:
        raise WordsError(f"pattern {pattern.name!r} is too large: lower the counts of its repeats") from None
    return compiled
