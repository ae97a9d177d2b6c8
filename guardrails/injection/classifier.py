"""Judge texts for injection, jailbreaks and unsafe content: the model, the heuristics and what was hidden, together.

`InjectionClassifier` and `SafetyClassifier` are `guardrails.detector.Classifier`s.
"""

import re
from collections.abc import Collection, Iterator
from itertools import islice
from math import log2

import msgspec

from guardrails.detector import Match

from .decode import DEPTH, Decoded, backwards, rot13, spans
from .fold import Folded, fold
from .heuristics import INJECTION, JAILBREAK, Heuristics
from .model import LinearModel, logistic
from .weights import packaged
from .words import NARROW, TOKEN, WIDE, tokens

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
_SAMPLE = 200
"""Words by which it is seen that a text is not in a language."""


class _Window(msgspec.Struct, frozen=True):
    """A stretch of folded text and its scores before calibration."""

    start: int
    end: int
    attack: float
    kind: float
    request: float


class _Reading(msgspec.Struct):
    """What the model says about one text."""

    windows: list[_Window]
    count: int = 0


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
        folded = fold(text)
        lower = folded.text.lower()
        matches = [*self._by_model(lower, role, folded), *self._by_rule(lower, role)]
        if "injection.encoded" not in self._disabled:
            matches += self._encoded(folded.text, lower, role, DEPTH)
        matches = _at_source(matches, folded)
        if "injection.obfuscation" not in self._disabled and folded.signals:
            score = max(HIDING[signal] for signal in folded.signals)
            matches.append(Match(INJECTION, 0, len(text), score, "injection.obfuscation", "heuristic"))
        return sorted((match for match in matches if match.rule not in self._disabled), key=lambda match: match.start)

    def _by_model(self, lower: str, role: str, folded: Folded) -> list[Match]:
        reading = self._read(lower, role in STRICT_ROLES)
        hidden = _HIDDEN if folded.signals else 0.0
        scored = sorted(
            ((self._odds(w, reading.count, role) + hidden, w) for w in reading.windows), key=lambda s: -s[0]
        )
        matches: list[Match] = []
        for place, (odds, window) in enumerate(scored[:MOST_WINDOWS]):
            probability = logistic(odds)
            if probability < (LEAST if place == 0 else 0.5):
                break
            matches += _verdicts(window, probability, role in STRICT_ROLES)
        return matches

    def _read(self, lower: str, strict: bool) -> _Reading:
        reading = _Reading([])
        for offset in range(0, max(1, len(lower) - COMMON), PIECE - COMMON):
            piece = lower[offset : offset + PIECE]
            words = tokens(piece)
            sums = self._model.sums(words)
            wide = self._model.windows(sums, WIDE)
            reading.count += len(wide)
            asked = [(start, scores[2]) for start, scores in self._model.windows(sums, NARROW)] if strict else []
            best = max(wide, key=lambda window: window[1][0])[1][0]
            chosen = [(start, scores) for start, scores in wide if scores[0] >= min(best, 1.0)]
            reading.windows += _placed(piece, offset, chosen, asked)
        return reading

    def _odds(self, window: _Window, count: int, role: str) -> float:
        attack, request, windows, constant = self._model.calibration["tool" if role in STRICT_ROLES else "user"]
        return attack * window.attack + request * window.request + windows * log2(max(1, count)) + constant

    def _by_rule(self, lower: str, role: str) -> Iterator[Match]:
        words = set(tokens(lower))
        for rule, start, end in self._heuristics.find(lower, words, role):
            yield Match(rule.type, start, end, rule.score, rule.id, "heuristic")

    def _encoded(self, text: str, lower: str, role: str, depth: int) -> Iterator[Match]:
        found = spans(text)
        words = [word for word in islice(TOKEN.findall(lower[:PIECE]), _SAMPLE) if word.isascii() and word.isalpha()]
        if len(words) >= 5 and (known := self._model.known(words)) < 0.5:
            for kind, undo in (("rot13", rot13), ("backwards", backwards)):
                plain = undo(lower)
                if self._model.known(list(islice(filter(str.isalpha, tokens(plain[:PIECE])), _SAMPLE))) > max(
                    0.6, known + 0.3
                ):
                    found.append(Decoded(0, len(text), plain, kind))
        for span in found:
            score = self._inner(span.text, role, depth)
            if score >= LEAST:
                yield Match(INJECTION, span.start, span.end, score, "injection.encoded", "model")

    def _inner(self, text: str, role: str, depth: int) -> float:
        """The highest score of decoded text."""
        folded = fold(text)
        lower = folded.text.lower()
        reading = self._read(lower, role in STRICT_ROLES)
        odds = max(self._odds(window, reading.count, role) for window in reading.windows)
        scores = [logistic(odds + _HIDDEN), *(match.score for match in self._by_rule(lower, role))]
        if depth > 1:
            scores += [match.score for match in self._encoded(folded.text, lower, role, depth - 1)]
        return max(scores)


def _placed(
    piece: str, offset: int, chosen: list[tuple[int, list[float]]], asked: list[tuple[int, float]]
) -> list[_Window]:
    """The chosen windows in characters; the likeliest request is a window of its own, with the attack score there."""
    places = [(start, WIDE.size, scores[0], scores[1], 0.0) for start, scores in chosen]
    if asked:
        start, request = max(asked, key=lambda window: window[1])
        attack, kind = chosen[0][1][0], chosen[0][1][1]
        if chosen:
            attack, kind = max((scores[0], scores[1]) for _, scores in chosen)
        places = [(at, size, score, sort, request) for at, size, score, sort, _ in places]
        places.append((start, NARROW.size, attack, kind, request))
    bounds = _bounds(piece, {at for start, size, *_ in places for at in (start, start + size - 1)})
    last = max(bounds.values(), default=(0, 0))
    found: list[_Window] = []
    for start, size, attack, kind, request in places:
        first = bounds.get(start, (0, 0))
        end = bounds.get(start + size - 1, last)
        found.append(_Window(offset + first[0], offset + max(end[1], first[1]), attack, kind, request))
    return found


def _bounds(piece: str, wanted: set[int]) -> dict[int, tuple[int, int]]:
    """Where the words with the wanted numbers are; of one past the last word, where the last is."""
    found: dict[int, tuple[int, int]] = {}
    match: re.Match[str] | None = None
    furthest, number = max(wanted, default=0), -1
    for number, match in enumerate(islice(TOKEN.finditer(piece), furthest + 1)):
        if number in wanted:
            found[number] = match.span()
    if match is not None and number < furthest:
        found[furthest] = match.span()
    return found


def _verdicts(window: _Window, probability: float, strict: bool) -> Iterator[Match]:
    """One match for the likelier kind, another for the less likely one with its share."""
    jailbreak = logistic(window.kind)
    kinds = [(INJECTION, 1 - jailbreak, "injection.model"), (JAILBREAK, jailbreak, "jailbreak.model")]
    for kind, share, rule in kinds:
        score = probability * min(1.0, 2 * share)
        if score >= LEAST:
            indirect = strict and kind == INJECTION and window.request > window.attack
            yield Match(kind, window.start, window.end, score, "injection.indirect" if indirect else rule, "model")


def _at_source(matches: list[Match], folded: Folded) -> list[Match]:
    """The same with offsets into the text before folding."""
    if not folded.lengths:
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
        folded = fold(text)
        lower = folded.text.lower()
        best: dict[str, tuple[float, int, int]] = {}
        count = 0
        for offset in range(0, max(1, len(lower) - COMMON), PIECE - COMMON):
            piece = lower[offset : offset + PIECE]
            windows = self._model.windows(self._model.sums(tokens(piece)), WIDE)
            count += len(windows)
            for place, category in enumerate(self._model.heads):
                start, scores = max(windows, key=lambda window, place=place: window[1][place])
                if category not in best or scores[place] > best[category][0]:
                    best[category] = (scores[place], offset, start)
        matches: list[Match] = []
        for category, (score, offset, start) in best.items():
            slope, windows_weight, constant = self._model.calibration[category]
            probability = logistic(slope * score + windows_weight * log2(max(1, count)) + constant)
            if probability >= LEAST and f"safety.{category}" not in self._disabled:
                bounds = _bounds(lower[offset : offset + PIECE], {start, start + WIDE.size - 1})
                first, last = bounds.get(start, (0, 0)), max(bounds.values(), default=(0, len(lower)))
                matches.append(
                    Match(category, offset + first[0], offset + last[1], probability, f"safety.{category}", "model")
                )
        return sorted(_at_source(matches, folded), key=lambda match: match.start)
