"""Score windows of words with every head at once: one look-up and one addition a feature.

The weights of all heads are fields of one integer, so that adding two such integers adds every head, and a running sum
over a text gives the sum over any window as a difference. No multiplication, no floating point, no state.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice, repeat
from math import exp
from operator import add, lshift, sub

import msgspec

from .weights import Weights, numbers
from .words import Vocabulary, Window, starts_of

FIELD = 32
"""Bits of one head in a packed sum: a thousand million words of the greatest weight fit."""
_HALF, _FULL = 1 << (FIELD - 1), 1 << FIELD
GAP = 7
"""Words between two classes that end a sequence of classes."""
BITS = 17
"""Bits of a word's number in the key of a pair or triple."""


class Sums(msgspec.Struct, frozen=True):
    """Packed running sums over the words of a text; `totals[i]` is that of the first i words."""

    totals: list[int]

    @property
    def words(self) -> int:
        return len(self.totals) - 1


class LinearModel:
    """Immutable once made; safe to share between threads."""

    def __init__(self, weights: Weights) -> None:
        self.heads = tuple(weights.heads)
        self.calibration = weights.calibration
        self._scales, self._bias = weights.scales, weights.bias
        self.vocabulary = Vocabulary((word, number) for number, word in enumerate(weights.words, 1))
        self._class = [0, *weights.classes]
        tables = {kind: _table(weights, kind) for kind in "wbstc"}
        self._word = [tables["w"].get(number, 0) for number in range(len(weights.words) + 1)]
        self._pair, self._skip, self._triple, self._sequence = (tables[kind].get for kind in "bstc")
        self._high = [number << BITS for number in range(len(weights.words) + 1)]

    def sums(self, words: Sequence[str]) -> Sums:
        """Linear in the number of words."""
        numbers = list(map(self.vocabulary.__getitem__, words))
        high = list(map(self._high.__getitem__, numbers))
        pairs = list(map(add, high, islice(numbers, 1, None)))
        skips = map(add, high, islice(numbers, 2, None))
        triples = map(add, map(lshift, pairs, repeat(BITS)), islice(numbers, 2, None))
        none = repeat(0)
        gains = list(map(self._word.__getitem__, numbers))
        gains[1:] = map(add, gains[1:], map(self._pair, pairs, none))
        gains[2:] = map(add, map(add, gains[2:], map(self._skip, skips, none)), map(self._triple, triples, none))
        for position, gain in self._sequences(numbers):
            gains[position] += gain
        return Sums(list(accumulate(gains, initial=0)))

    def _sequences(self, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Position and gain of each sequence of up to three classes; one that repeats at once counts once."""
        classes = list(map(self._class.__getitem__, numbers))
        weight = self._sequence
        before = earlier = 0
        last = -GAP - 2
        for position, name in enumerate(classes):
            if not name:
                continue
            if position - last > GAP:
                before = earlier = 0
            last = position
            if name == before:
                continue
            gain = weight(name, 0)
            if before:
                pair = (before << 8) + name
                gain += weight(pair, 0)
                if earlier:
                    gain += weight((earlier << 16) + pair, 0)
            earlier, before = before, name
            if gain:
                yield position, gain

    def windows(self, sums: Sums, shape: Window) -> list[tuple[int, list[float]]]:
        """First word and score of every head, of each window."""
        totals, last = sums.totals, sums.words
        starts = starts_of(last, shape)
        ends = (min(start + shape.size, last) for start in starts)
        differences = map(sub, map(totals.__getitem__, ends), map(totals.__getitem__, starts))
        return [(start, self._scores(total)) for start, total in zip(starts, differences, strict=True)]

    def _scores(self, total: int) -> list[float]:
        found: list[float] = []
        for scale, bias in zip(self._scales, self._bias, strict=True):
            part = (total + _HALF) % _FULL - _HALF
            total = (total - part) >> FIELD
            found.append(part * scale + bias)
        return found

    def known(self, words: Sequence[str]) -> float:
        """Share of the words that the vocabulary knows, disguised ones not counted."""
        known = sum(map(self.vocabulary.__contains__, words))
        return known / len(words) if words else 1.0


def _table(weights: Weights, kind: str) -> dict[int, int]:
    grams = weights.grams.get(kind)
    if grams is None:
        return {}
    columns = [memoryview(column).cast("b") for column in grams.weights]
    return dict(zip(numbers(grams.keys), map(_packed, zip(*columns, strict=True)), strict=True))


def _packed(fields: Iterable[int]) -> int:
    return sum(value << (FIELD * place) for place, value in enumerate(fields))


def logistic(score: float) -> float:
    return 1 / (1 + exp(-max(-30.0, min(30.0, score))))
