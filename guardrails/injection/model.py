"""Score windows of words: a glance at every window by its words alone, every feature of those that are worth it.

The glance adds up one number a word, and takes the sum over any window as a difference of a running sum; where a text
is ordinary in every window, that and one full look are all the work. The weights of all heads are fields of one
integer, so that adding two such integers adds every head. No multiplication, no floating point, no state.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import accumulate, chain, compress, islice, repeat
from math import exp, sqrt
from operator import add, mul, sub

import msgspec

from .weights import Bag, Weights, numbers
from .words import UNKNOWN, Vocabulary, Window, factor_of

FIELD = 18
"""Bits of one head in a packed sum. A window of 64 words has at most seven features a word, each of at most 127."""
_HALF, _FULL = 1 << (FIELD - 1), 1 << FIELD
GAP = 7
"""Words between two classes that end a sequence of classes."""
LOOKS = 8
"""Windows of a text, for each hint, that are looked at with every feature."""
BAG_FIELD = 32
"""Bits of the first of the two sums over a text's set of words."""
BAG_LEAST, BAG_MOST = -1.0, 3.0
"""What the set of a text's words may say at the least and at the most: much harmless text around an order does not
outweigh it."""
_NUMBERS = 2_100
"""Numbers up to the years of our time are usual, have no reading, and need not be looked at each time."""
BITS = 17
"""Bits of a word's number in the key of a pair or triple."""


class Glance(msgspec.Struct, frozen=True, gc=False):
    """Packed running sums over the words of a text; `totals[i]` is that of the first i words."""

    totals: list[int]
    unknown: int
    """Words without any reading."""

    @property
    def words(self) -> int:
        return len(self.totals) - 1


class _Hints(dict[str, int]):
    """Packed hints of words; asked for a word it lacks, those of its nearest reading. Never grows."""

    def __init__(self, vocabulary: Vocabulary, packed: Sequence[int]) -> None:
        super().__init__(dict.fromkeys(map(str, range(_NUMBERS)), packed[UNKNOWN]))
        self.update(zip(vocabulary, packed[1:], strict=True))
        self._vocabulary, self._packed = vocabulary, packed

    def __missing__(self, word: str) -> int:
        return self._packed[self._vocabulary[word]]


class LinearModel:
    """Immutable once made; safe to share between threads."""

    def __init__(self, weights: Weights) -> None:
        self.heads = tuple(weights.heads)
        self.calibration = weights.calibration
        self._scales, self._bias = weights.scales, weights.bias
        self.vocabulary = Vocabulary((word, number) for number, word in enumerate(weights.words, 1))
        self._class = bytes(1) + weights.classes
        tables = {kind: _table(weights, kind) for kind in "wbstc"}
        self._word = [tables["w"].get(number, 0) for number in range(len(weights.words) + 1)]
        self._pair, self._skip, self._triple, self._sequence = (tables[kind] for kind in "bstc")
        self._fields = {name: place for place, name in enumerate(weights.hints, 1)}
        self._edges = {name: hint.edge for name, hint in weights.hints.items()}
        self._head, self._bag = weights.bag, _rare(weights.bag, weights.words)
        columns = [memoryview(hint.words).cast("b") for hint in weights.hints.values()]
        # The lowest field counts the words that have no reading.
        packed = [1, *(_packed((0, *fields)) for fields in zip(*columns, strict=True))]
        self._hints = _Hints(self.vocabulary, _once(packed))

    def glance(self, words: Sequence[str]) -> Glance:
        """Linear in the number of words."""
        totals = list(accumulate(map(self._hints.__getitem__, words), initial=0))
        return Glance(totals, _lowest(totals[-1]))

    def worth(self, glance: Glance, shape: Window, hint: str, starts: range, more: Sequence[int] = ()) -> list[int]:
        """First words of the windows that are worth every feature by a hint: those from its edge on, and the best; of
        more than `LOOKS` those that are not worse than the last of the best. They begin at `starts`, one at least, and
        at `more`."""
        totals = glance.totals
        ends = totals[shape.size :] + totals[-1:] * shape.size
        row = slice(starts.start, starts.stop, starts.step)
        sums = [
            *map(sub, ends[row], totals[row]),
            *map(sub, map(ends.__getitem__, more), map(totals.__getitem__, more)),
        ]
        place = self._fields[hint]
        shift, low = FIELD * place, _packed((_HALF,) * (place + 1))
        # Fields are read as they lie, each moved up by half its range, and nothing is above the last one.
        last = place == len(self._fields)
        found = sums if last else [(total + low) % (_FULL << shift) - low for total in sums]
        edge = min((max(found) + low) >> shift, self._edges[hint] + _HALF)
        suspicious = [value for value in found if value >= (edge << shift) - low]
        if len(suspicious) > LOOKS:
            edge = (sorted(suspicious)[-LOOKS] + low) >> shift
        least = (edge << shift) - low
        return [start for start, value in zip(chain(starts, more), found, strict=True) if value >= least]

    def score(self, words: Sequence[str], shape: Window) -> list[float]:
        """Of every head, of one window: a function of its words alone."""
        numbers = list(map(self.vocabulary.__getitem__, words))
        high = list(map(mul, numbers, repeat(1 << BITS)))
        pairs = list(map(add, high, islice(numbers, 1, None)))
        total = sum(map(self._word.__getitem__, numbers))
        total += _found(self._pair, pairs)
        total += _found(self._skip, map(add, high, islice(numbers, 2, None)))
        total += _found(self._triple, map(add, map(mul, pairs, repeat(1 << BITS)), islice(numbers, 2, None)))
        return self._scores(total + sum(self._sequences(numbers)), factor_of(len(words), shape))

    def _sequences(self, numbers: Iterable[int]) -> Iterator[int]:
        """Gain of each sequence of up to three classes; one that repeats at once counts once."""
        weight = self._sequence.get
        before = earlier = 0
        last = -GAP - 2
        for position, name in enumerate(map(self._class.__getitem__, numbers)):
            if not name:
                continue
            if position - last > GAP:
                before = earlier = 0
            last = position
            if name == before:
                continue
            yield weight(name, 0)
            if before:
                pair = (before << 8) + name
                yield weight(pair, 0)
                if earlier:
                    yield weight((earlier << 16) + pair, 0)
            earlier, before = before, name

    def _scores(self, total: int, factor: float) -> list[float]:
        found: list[float] = []
        for scale, bias in zip(self._scales, self._bias, strict=True):
            part = _lowest(total)
            total = (total - part) >> FIELD
            found.append(part * scale * factor + bias)
        return found

    def bag(self, words: Set[str]) -> float:
        """What the set of a text's words says, of whatever length the text is; 0 without such a head. Linear."""
        if self._head is None:
            return 0.0
        table = self._bag
        total = sum(map(table.get, words, repeat(0)))
        half = 1 << (BAG_FIELD - 1)
        said = (total + half) % (half << 1) - half
        length = sqrt(max(1, (total - said) >> BAG_FIELD))
        return max(BAG_LEAST, min(BAG_MOST, said * self._head.scale / length + self._head.bias))

    def known(self, words: Sequence[str]) -> float:
        """Share of the words that the vocabulary knows, disguised ones not counted."""
        known = sum(map(self.vocabulary.__contains__, words))
        return known / len(words) if words else 1.0


def _found(table: dict[int, int], keys: Iterable[int]) -> int:
    if not table:
        return 0
    listed = list(keys)
    return sum(map(table.__getitem__, compress(listed, map(table.__contains__, listed))))


def _rare(head: Bag | None, words: Sequence[str]) -> dict[str, int]:
    """For each word that counts, its gain and above it its rarity."""
    if head is None:
        return {}
    pairs = zip(words, memoryview(head.words).cast("b"), memoryview(head.rarity).cast("b"), strict=True)
    found = {word: gain + (rarity << BAG_FIELD) for word, gain, rarity in pairs if rarity}
    return dict(zip(found, _once(found.values()), strict=True))


def _table(weights: Weights, kind: str) -> dict[int, int]:
    grams = weights.grams.get(kind)
    if grams is None:
        return {}
    columns = [memoryview(column).cast("b") for column in grams.weights]
    return dict(zip(numbers(grams.keys), _once(map(_packed, zip(*columns, strict=True))), strict=True))


def _once(sums: Iterable[int]) -> list[int]:
    """The same numbers, equal ones being one object: a tenth of the memory, which stays in the processor's cache."""
    known: dict[int, int] = {}
    return [known.setdefault(total, total) for total in sums]


def _packed(fields: Iterable[int]) -> int:
    return sum(value << (FIELD * place) for place, value in enumerate(fields))


def _lowest(total: int) -> int:
    """The first head of a packed sum."""
    return (total + _HALF) % _FULL - _HALF


def logistic(score: float) -> float:
    return 1 / (1 + exp(-max(-30.0, min(30.0, score))))
