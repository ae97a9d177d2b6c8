"""Judge texts for injection, jailbreaks and unsafe content: the model, the heuristics and what was hidden, together.

`InjectionClassifier` and `SafetyClassifier` are `guardrails.detector.Classifier`s.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from math import log2

import msgspec

from guardrails.detector import Match

from .decode import DEPTH, Decoded, backwards, rot13, spans
from .fold import Folded, fold
from .heuristics import INJECTION, JAILBREAK, Heuristics
from .model import Glance, LinearModel, logistic
from .weights import packaged
from .words import LINE, NARROW, WIDE, Window, line_starts, starts_of, straight, tokens

PIECE, COMMON = 32_768, 1_024
"""Characters of a long text that are judged at a time, and how many of them again with the next."""
LEAST = 0.01
"""Probabilities below are not reported."""
MOST_WINDOWS = 16
"""Guilty windows of one text that are reported, likeliest first."""
STRICT_ROLES = frozenset({"tool"})
"""Whose text nobody meant as an order: any request in it is suspicious."""
HIDING = {
    "tags": 0.9,
    "homoglyphs": 0.45,
    "bidi": 0.4,
    "marks": 0.35,
    "invisible": 0.3,
    "styled": 0.3,
    "smallcaps": 0.3,
}
"""How suspicious it is by itself that text was hidden in such a way."""
_HIDDEN = 1.0
"""Added to the log-odds of text that was hidden or encoded."""
_COMMON_CODES = frozenset({"percent", "entities", "escapes", "binary", "decimal"})
"""Ways to encode text that addresses, pages and lessons are full of: no sign of hiding."""
_LINES = re.compile(f"{LINE}+")
_FAR = 256
"""Words from the beginning of a piece from which on its lines are counted rather than read."""
_SAMPLE = 200
"""Words by which it is seen that a text is not in a language."""


def _at_once() -> None:
    """Nobody is let go first."""


class _Window(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a piece of text and its scores before calibration."""

    offset: int
    """Of the piece, in characters."""
    start: int
    """First word in the piece."""
    size: int
    """Words."""
    attack: float
    kind: float
    request: float


class _Reading(msgspec.Struct):
    """What the model says about one text."""

    windows: list[_Window]
    words: set[str]
    pieces: dict[int, list[str]]
    """Words of each piece, by its offset."""
    count: int = 0
    """Windows looked at."""
    read: int = 0
    """Words."""
    unknown: int = 0
    """Those without any reading in the vocabulary."""
    bag: float = 0.0
    """What the set of the words says."""


class InjectionClassifier:
    """Prompt injection and jailbreaks. Types PROMPT_INJECTION and JAILBREAK.

    Rules: `injection.model`, `jailbreak.model`, `injection.indirect` (a request inside a document), `injection.encoded`
    (an attack in base64, rot13 and the like), `injection.obfuscation`, and those of `heuristics.RULES`. `disabled`: ids
    of rules that are off. Reads the weights file. Raises WeightsError if it is damaged.
    """

    def __init__(self, name: str = "prompt_injection", disabled: Collection[str] = ()) -> None:
        self.name = name
        self._disabled = frozenset(disabled)
        self._model = LinearModel(packaged("injection"))
        self._heuristics = Heuristics(disabled)

    def judge(self, text: str, role: str) -> list[Match]:
        """See `guardrails.detector.Classifier`. Linear in the text; sorted by start."""
        return self.judge_paused(text, role, _at_once)

    def judge_paused(self, text: str, role: str, breathe: Callable[[], None]) -> list[Match]:
        """See `guardrails.detector.Judging`."""
        folded = fold(text)
        breathe()
        lower = folded.text.lower()
        reading = self._read(lower, role, breathe)
        matches = [*self._by_model(lower, role, reading, _HIDDEN if folded.signals else 0.0)]
        breathe()
        matches += self._by_rule(lower, role, reading)
        breathe()
        if "injection.encoded" not in self._disabled:
            matches += self._encoded(folded.text, lower, role, reading, DEPTH)
        matches = _at_source(matches, folded)
        if folded.signals:
            score = max(HIDING[signal] for signal in folded.signals)
            matches.append(Match(INJECTION, 0, len(text), score, "injection.obfuscation", "heuristic"))
        return sorted((match for match in matches if match.rule not in self._disabled), key=lambda match: match.start)

    def _read(self, lower: str, role: str, breathe: Callable[[], None] = _at_once) -> _Reading:
        reading = _Reading([], set(), {})
        for offset in range(0, max(1, len(lower) - COMMON), PIECE - COMMON):
            words = tokens(lower[offset : offset + PIECE])
            lined = [LINE, *words]
            breathe()
            glance = self._model.glance(lined)
            wide = self._scored(lined, glance, WIDE, "attack", starts_of(len(words), WIDE, 1), breathe)
            request = 0.0
            if role in STRICT_ROLES:
                best = max(scores[0] for _, scores in wide)
                starts = starts_of(len(lined), NARROW)
                narrow = self._scored(lined, glance, NARROW, "request", starts, breathe, line_starts(lined))
                start, (_, kind, request) = max(narrow, key=lambda window: window[1][2])
                reading.windows.append(_Window(offset, max(0, start - 1), NARROW.size, best, kind, request))
            for start, (attack, kind, _) in wide:
                reading.windows.append(_Window(offset, start - 1, WIDE.size, attack, kind, request))
            reading.words.update(words)
            reading.pieces[offset] = words
            reading.count += len(starts_of(len(words), WIDE))
            reading.read += len(words)
            reading.unknown += glance.unknown
            breathe()
        if role not in STRICT_ROLES:  # what an order hides in is about something else
            reading.bag = self._model.bag(reading.words)
        return reading

    def _scored(
        self,
        words: list[str],
        glance: Glance,
        shape: Window,
        hint: str,
        starts: range,
        breathe: Callable[[], None],
        more: Sequence[int] = (),
    ) -> list[tuple[int, list[float]]]:
        """First word and score of every head, of the windows that are worth it."""
        score = self._model.score
        breathe()
        scored: list[tuple[int, list[float]]] = []
        for start in self._model.worth(glance, shape, hint, starts, more):
            breathe()
            scored.append((start, score(words[start : start + shape.size], shape)))
        return scored

    def _by_model(self, lower: str, role: str, reading: _Reading, more: float) -> Iterator[Match]:
        scored = [(self._odds(window, reading, role) + more, window) for window in reading.windows]
        scored.sort(key=lambda pair: pair[0], reverse=True)
        places = _Places(lower, reading.pieces)
        for place, (odds, window) in enumerate(scored[:MOST_WINDOWS]):
            probability = logistic(odds)
            if probability < (LEAST if place == 0 else 0.5):
                break
            yield from _verdicts(window, probability, role in STRICT_ROLES, places)

    def _odds(self, window: _Window, reading: _Reading, role: str) -> float:
        calibration = self._model.calibration["tool" if role in STRICT_ROLES else "user"]
        attack, request, windows, constant, bag = calibration
        odds = attack * window.attack + request * window.request + windows * log2(max(1, reading.count)) + constant
        return odds + bag * reading.bag

    def _by_rule(self, lower: str, role: str, reading: _Reading) -> Iterator[Match]:
        for rule, start, end in self._heuristics.find(lower, reading.words, role):
            yield Match(rule.type, start, end, rule.score, rule.id, "heuristic")

    def _encoded(self, text: str, lower: str, role: str, reading: _Reading, depth: int) -> Iterator[Match]:
        found = spans(text)
        if reading.read >= 5 and reading.unknown > 0.4 * reading.read:
            found += self._undone(lower)
        for span in found:
            score = self._inner(span.text, role, depth, 0.0 if span.kind in _COMMON_CODES else _HIDDEN)
            if score >= LEAST:
                yield Match(INJECTION, span.start, span.end, score, "injection.encoded", "model")

    def _undone(self, lower: str) -> Iterator[Decoded]:
        """The whole text read in rot13 and backwards, where that makes words of it."""
        before = self._words_known(lower)
        for kind, undo in (("rot13", rot13), ("backwards", backwards)):
            plain = undo(lower[:PIECE])
            if self._words_known(plain) > max(0.6, before + 0.3):
                yield Decoded(0, min(len(lower), PIECE), plain, kind)

    def _words_known(self, lower: str) -> float:
        return self._model.known(list(islice(filter(str.isalpha, tokens(lower[:PIECE])), _SAMPLE)))

    def _inner(self, text: str, role: str, depth: int, more: float) -> float:
        """The highest score of decoded text; `more` is added to the log-odds of the model."""
        folded = fold(text)
        lower = folded.text.lower()
        reading = self._read(lower, role)
        odds = max(self._odds(window, reading, role) for window in reading.windows)
        scores = [logistic(odds + more), *(match.score for match in self._by_rule(lower, role, reading))]
        if depth > 1:
            scores += [match.score for match in self._encoded(folded.text, lower, role, reading, depth - 1)]
        return max(scores)


class _Places:
    """Where the words of pieces begin and end in a text; a piece is looked through only as far as it is asked for."""

    def __init__(self, lower: str, pieces: Mapping[int, list[str]]) -> None:
        self._lower, self._pieces = lower, pieces
        self._texts: dict[int, str] = {}
        self._starts: dict[int, list[int]] = {}

    def bounds(self, offset: int, start: int, size: int) -> tuple[int, int]:
        """Of some words of a piece; a piece without words is all of it."""
        words = self._pieces[offset]
        if offset not in self._texts:
            self._texts[offset] = straight(self._lower[offset : offset + PIECE]).replace(";", " ").replace("\n", ";")
        text, last = self._texts[offset], min(start + size, len(words)) - 1
        if last < start:
            return offset, offset + len(text)
        if offset in self._starts or start < _FAR:
            starts = self._starts.setdefault(offset, [])
            at = _behind(text, words[len(starts) - 1], starts[-1]) if starts else 0
            starts += _found(text, words[len(starts) : last + 1], at)
            return offset + starts[start], offset + starts[last] + len(words[last])
        # Most texts are asked once: what stands before the line of a word far inside need not be looked through.
        self._starts[offset] = []
        first, at = _line(text, words, start)
        starts = _found(text, words[first : last + 1], at)
        return offset + starts[start - first], offset + starts[-1] + len(words[last])


def _found(text: str, words: Sequence[str], at: int) -> list[int]:
    """Where words stand that follow one another from a place of a text on: nothing between two starts as one does."""
    found: list[int] = []
    find = text.find
    for word in words:
        at = find(word, at)
        found.append(at)
        at = _behind(text, word, at)
    return found


def _behind(text: str, word: str, at: int) -> int:
    """Where a word that stands at a place is over: ends of lines in a row are one."""
    ends = _LINES.match(text, at) if word == LINE else None
    return at + len(word) if ends is None else ends.end()


def _line(text: str, words: Sequence[str], start: int) -> tuple[int, int]:
    """A first word of a line, at or before a word, and from where on it is found. One end of a line or more in the text
    is one word."""
    while start and words[start] == LINE:
        start -= 1
    before = words[:start] if LINE in text else ()
    lines = before.count(LINE)
    if not lines:
        return 0, 0
    last = next(islice(_LINES.finditer(text), lines - 1, None))
    return start - before[::-1].index(LINE), last.end()


def _verdicts(window: _Window, probability: float, strict: bool, places: _Places) -> Iterator[Match]:
    """One match for the likelier kind, another for the less likely one with its share."""
    jailbreak = logistic(window.kind)
    start, end = places.bounds(window.offset, window.start, window.size)
    kinds = [(INJECTION, 1 - jailbreak, "injection.model"), (JAILBREAK, jailbreak, "jailbreak.model")]
    for kind, share, rule in kinds:
        score = probability * min(1.0, 2 * share)
        if score >= LEAST:
            indirect = strict and kind == INJECTION and window.request > window.attack
            yield Match(kind, start, end, score, "injection.indirect" if indirect else rule, "model")


def _at_source(matches: list[Match], folded: Folded) -> list[Match]:
    """The same with offsets into the text before folding."""
    if not folded.sizes:
        return matches
    places = folded.sources(*(at for match in matches for at in (match.start, match.end)))
    pairs = zip(places[::2], places[1::2], strict=True)
    return [
        msgspec.structs.replace(match, start=start, end=end) for match, (start, end) in zip(matches, pairs, strict=True)
    ]


class SafetyClassifier:
    """Unsafe content. Types are the categories of the OpenAI moderation data set, such as `hate` and `self-harm`.

    Rules: `safety.` and the category. Reads the weights file. Raises WeightsError if it is damaged.
    """

    def __init__(self, name: str = "moderation", disabled: Collection[str] = ()) -> None:
        self.name = name
        self._disabled = frozenset(disabled)
        self._model = LinearModel(packaged("moderation"))

    def judge(self, text: str, role: str) -> list[Match]:
        """See `guardrails.detector.Classifier`: at most one match for each category, its likeliest window."""
        return self.judge_paused(text, role, _at_once)

    def judge_paused(self, text: str, role: str, breathe: Callable[[], None]) -> list[Match]:
        """See `guardrails.detector.Judging`."""
        folded = fold(text)
        lower = folded.text.lower()
        best: dict[str, tuple[float, int, int]] = {}
        pieces: dict[int, list[str]] = {}
        count = 0
        for offset in range(0, max(1, len(lower) - COMMON), PIECE - COMMON):
            words = pieces[offset] = tokens(lower[offset : offset + PIECE])
            breathe()
            glance = self._model.glance(words)
            count += len(starts_of(len(words), WIDE))
            breathe()
            for start in self._model.worth(glance, WIDE, "unsafe", starts_of(len(words), WIDE)):
                breathe()
                scores = self._model.score(words[start : start + WIDE.size], WIDE)
                for category, score in zip(self._model.heads, scores, strict=True):
                    if category not in best or score > best[category][0]:
                        best[category] = (score, offset, start)
            breathe()
        matches: list[Match] = []
        places = _Places(lower, pieces)
        for category, (score, offset, start) in best.items():
            slope, windows_weight, constant = self._model.calibration[category]
            probability = logistic(slope * score + windows_weight * log2(max(1, count)) + constant)
            if probability >= LEAST and f"safety.{category}" not in self._disabled:
                first, last = places.bounds(offset, start, WIDE.size)
                matches.append(Match(category, first, last, probability, f"safety.{category}", "model"))
        return sorted(_at_source(matches, folded), key=lambda match: match.start)
