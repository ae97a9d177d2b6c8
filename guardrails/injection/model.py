"""Score windows of words with every head at once: one look-up and one addition a feature.

The weights of all heads are fields of one integer, so that adding two such integers adds every head, and a running sum
over a text gives the sum over any window as a difference. No multiplication, no floating point, no state.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, compress, count, islice, repeat
from math import exp
from operator import add, mul, sub

import msgspec

from .weights import Weights, numbers
from .words import UNKNOWN, Vocabulary, Window, starts_of

FIELD = 18
"""Bits of one head in a packed sum. A window of 64 words has at most seven features a word, each of at most 127."""
_HALF, _FULL = 1 << (FIELD - 1), 1 << FIELD
GAP = 7
"""Words between two classes that end a sequence of classes."""
BITS = 17
"""Bits of a word's number in the key of a pair or triple."""


class Sums(msgspec.Struct, frozen=True):
    """Packed running sums over the words of a text; `totals[i]` is that of the first i words."""

    totals: list[int]
    unknown: int
    """Words without any reading."""

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
        self._pair, self._skip, self._triple, self._sequence = (tables[kind] for kind in "bstc")
        self._high = [number << BITS for number in range(len(weights.words) + 1)]

    def sums(self, words: Sequence[str]) -> Sums:
        """Linear in the number of words."""
        numbers = list(map(self.vocabulary.__getitem__, words))
        high = list(map(self._high.__getitem__, numbers))
        pairs = list(map(add, high, islice(numbers, 1, None)))
        skips = list(map(add, high, islice(numbers, 2, None)))
        triples = list(map(add, map(mul, pairs, repeat(1 << BITS)), islice(numbers, 2, None)))
        gains = list(map(self._word.__getitem__, numbers))
        for keys, table, words_before in ((pairs, self._pair, 1), (skips, self._skip, 2), (triples, self._triple, 2)):
            for place in compress(count(), map(table.__contains__, keys)):
                gains[place + words_before] += table[keys[place]]
        for position, gain in self._sequences(numbers):
            gains[position] += gain
        return Sums(list(accumulate(gains, initial=0)), numbers.count(UNKNOWN))

    def _sequences(self, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Position and gain of each sequence of up to three classes; one that repeats at once counts once."""
        classes = list(map(self._class.__getitem__, numbers))
        weight = self._sequence.get
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
        return [(start, self._scores(total)) for start, total in zip(*self._differences(sums, shape), strict=True)]

    def best_by_last(self, sums: Sums, shape: Window) -> tuple[int, list[float]]:
        """The window whose score is highest with the last head: as `windows`, for one, at the price of none."""
        starts, differences = self._differences(sums, shape)
        highest = max(differences)  # the last head is the most significant field
        return starts[differences.index(highest)], self._scores(highest)

    def _differences(self, sums: Sums, shape: Window) -> tuple[range, list[int]]:
        totals, last = sums.totals, sums.words
        starts = starts_of(last, shape)
        ends = chain(range(shape.size, last, shape.stride), repeat(last))
        return starts, list(map(sub, map(totals.__getitem__, ends), map(totals.__getitem__, starts)))

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
