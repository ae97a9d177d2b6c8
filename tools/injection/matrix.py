"""Windows of words as rows of a sparse matrix: the vectorised twin of `guardrails/injection/model.py`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from guardrails.injection.fold import fold
from guardrails.injection.model import BITS, GAP
from guardrails.injection.words import LINE, NARROW, PREFIX, WIDE, Vocabulary, Window, factor_of, starts_of, tokens

from .lexicon import lexicon
from .meaning import Meaning, Vectors

Ints = NDArray[np.int64]

KINDS = "wbstc"


class Texts:
    """Many texts as arrays of numbers of their distinct words."""

    def __init__(self, texts: Iterable[str]) -> None:
        numbers: dict[str, int] = {}
        self.words: list[Ints] = []
        for text in texts:
            found = tokens(fold(text).text.lower())
            self.words.append(np.array([numbers.setdefault(word, len(numbers)) for word in found], dtype=np.int64))
        self.names = list(numbers)


def choose_vocabulary(
    texts: Texts, rows: Sequence[int], least: int = 3, size: int = 40_000, meaning: Meaning | None = None
) -> Vocabulary:
    """Words of at least `least` texts, rarer ones that have a meaning, beginnings of the others, and the lexicon."""
    counts = np.zeros(len(texts.names), dtype=np.int64)
    for row in rows:
        counts[np.unique(texts.words[row])] += 1
    common: Counter[str] = Counter()
    beginnings: Counter[str] = Counter()
    for name, count in zip(texts.names, counts, strict=True):
        if name.isdecimal() or name == LINE:
            continue
        if count >= least or (count and meaning and meaning.knows(name)):
            common[name] = count
        elif count and len(name) > PREFIX:
            beginnings[name[:PREFIX] + "*"] += count
    words = [
        *lexicon(),
        LINE,
        *(w for w, _ in common.most_common(size)),
        *(w for w, c in beginnings.most_common(size // 2) if c >= 4),
        *(meaning.common if meaning else ()),
    ]
    return Vocabulary((word, number) for number, word in enumerate(dict.fromkeys(words), 1))


def bags(texts: Texts, rows: Sequence[int] | Ints, vocabulary: Vocabulary) -> sparse.csr_matrix:
    """A row for each text: 1 for each number of the vocabulary whose very word it has."""
    number = np.array([vocabulary.get(name, 0) for name in texts.names], dtype=np.int64)
    found = [np.unique(number[texts.words[row]]) for row in rows]
    columns = [words[words > 0] for words in found]
    starts = np.r_[0, np.cumsum([len(words) for words in columns])]
    values = np.ones(starts[-1], dtype=np.float64)
    return sparse.csr_matrix((values, np.concatenate(columns), starts), shape=(len(columns), len(vocabulary) + 1))


@dataclass
class Windows:
    """All windows of some texts, one after another."""

    ids: Ints
    """Vocabulary numbers, windows concatenated."""
    window: Ints
    """Window of each position."""
    row: Ints
    """Text of each window, an index into the rows asked for."""
    start: Ints
    """First word of each window in its text."""
    factor: NDArray[np.float32]
    """What the sum over each window is multiplied by."""


def cut(texts: Texts, rows: Sequence[int], vocabulary: Vocabulary, shape: Window = WIDE) -> Windows:
    read = np.array([vocabulary[name] for name in texts.names], dtype=np.int64)
    ids, sizes, owner, starts = [], [], [], []
    for index, row in enumerate(rows):
        words = read[texts.words[row]]
        places: Sequence[int] | Ints = starts_of(len(words), shape)
        if shape == NARROW:  # each begins with the end of a line, as in `InjectionClassifier`
            words = np.r_[vocabulary[LINE], words]
            places = np.union1d(starts_of(len(words), shape), np.flatnonzero(words == vocabulary[LINE]))
        for start in places:
            ids.append(words[start : start + shape.size])
            sizes.append(len(ids[-1]))
            owner.append(index)
            starts.append(start)
    window = np.repeat(np.arange(len(sizes)), sizes)
    factor = np.array([factor_of(size, shape) for size in sizes], dtype=np.float32)
    return Windows(np.concatenate(ids), window, np.array(owner), np.array(starts), factor)


def keys(windows: Windows, classes: Ints) -> list[tuple[Ints, Ints]]:
    """For each kind of feature its keys and their windows."""
    ids, window = windows.ids, windows.window
    found = [(ids[ids > 0], window[ids > 0])]
    for apart in ((1,), (2,), (1, 2)):
        far = apart[-1]
        key, whole = ids[:-far], (ids[:-far] > 0) & (window[:-far] == window[far:])
        for step in apart:
            other = ids[step : len(ids) - far + step]
            key, whole = (key << BITS) + other, whole & (other > 0)
        found.append((key[whole], window[far:][whole]))
    found.append(_class_keys(ids, window, classes))
    return found


def _class_keys(ids: Ints, window: Ints, classes: Ints) -> tuple[Ints, Ints]:
    at = np.flatnonzero(classes[ids])
    if not len(at):
        return at, at
    name, owner = classes[ids[at]], window[at]
    linked = np.r_[False, (np.diff(at) <= GAP) & (np.diff(owner) == 0)]
    sequence = np.cumsum(~linked)
    kept = ~(linked & np.r_[False, name[1:] == name[:-1]])
    name, owner, sequence = name[kept], owner[kept], sequence[kept]
    two, three = np.zeros(len(name), bool), np.zeros(len(name), bool)
    before, earlier = np.zeros_like(name), np.zeros_like(name)
    two[1:], before[1:] = sequence[1:] == sequence[:-1], name[:-1]
    three[2:], earlier[2:] = sequence[2:] == sequence[:-2], name[:-2]
    pairs = (before << 8) + name
    triples = (earlier << 16) + pairs
    return np.r_[name, pairs[two], triples[three]], np.r_[owner, owner[two], owner[three]]


def _once(key: Ints, owner: Ints) -> Ints:
    """Each key once for each owner that has it."""
    order = np.lexsort((owner, key))
    key, owner = key[order], owner[order]
    return key[np.r_[True, (key[1:] != key[:-1]) | (owner[1:] != owner[:-1])]] if len(key) else key


@dataclass
class Features:
    """Chosen keys of each kind, sorted, in the order of the matrix' columns."""

    chosen: list[Ints]
    scale: NDArray[np.float32] | None = None
    """For each column what its counts are multiplied by while fitting; None: by one."""

    def damp(self, found: list[tuple[Ints, Ints]], windows: Windows, usual: float, power: float) -> None:
        """Scale down what more than a share `usual` of the windows has, so that a head must pay for leaning on it:
        how often a text says `and` tells who wrote it, not what it wants."""
        counts = self.matrix(found, windows)
        share = np.diff(counts.tocsc().indptr) / counts.shape[0]
        self.scale = np.minimum(1.0, (usual / np.maximum(share, 1e-9)) ** power).astype(np.float32)

    @staticmethod
    def choose(found: list[tuple[Ints, Ints]], owner: Ints, least: Sequence[int] = (1, 4, 6, 6, 3)) -> "Features":
        chosen = []
        for (key, window), enough in zip(found, least, strict=True):
            distinct = _once(key, owner[window]) if enough > 1 else key
            values, counts = np.unique(distinct, return_counts=True)
            chosen.append(values[counts >= enough])
        return Features(chosen)

    @property
    def width(self) -> int:
        return sum(map(len, self.chosen))

    def design(self, found: list[tuple[Ints, Ints]], windows: Windows, vectors: Vectors | None) -> sparse.csr_matrix:
        """`matrix`, and beside it the sum of the vectors of each window's words."""
        counts = self.matrix(found, windows)
        if vectors is None:
            return counts if self.scale is None else counts.multiply(self.scale).tocsr()
        meant = counts[:, : len(self.chosen[0])] @ vectors
        if self.scale is not None:
            counts = counts @ sparse.diags(self.scale)
        return sparse.hstack([counts, sparse.csr_matrix(meant)], format="csr")

    def folded(self, weights: NDArray[np.float64], vectors: Vectors | None) -> NDArray[np.float64]:
        """Weights of `design` as weights of `matrix`: those of a vector's directions go to its words."""
        own, meant = weights[: self.width].copy(), weights[self.width :]
        if self.scale is not None:
            own *= self.scale
        if vectors is None:
            return own
        own[: len(vectors)] += vectors @ meant
        return own

    def matrix(self, found: list[tuple[Ints, Ints]], windows: Windows) -> sparse.csr_matrix:
        """A row for each window: how often it has each feature, times its factor."""
        columns, rows, offset = [], [], 0
        for (key, window), chosen in zip(found, self.chosen, strict=True):
            place = np.searchsorted(chosen, key)
            place[place == len(chosen)] = 0
            hit = chosen[place] == key if len(chosen) else np.zeros(len(key), bool)
            columns.append(place[hit] + offset)
            rows.append(window[hit])
            offset += len(chosen)
        column, row = np.concatenate(columns), np.concatenate(rows)
        values = windows.factor[row]
        return sparse.csr_matrix((values, (row, column)), shape=(len(windows.row), self.width))
