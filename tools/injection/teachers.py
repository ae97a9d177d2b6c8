"""What others' linear models think of a word, as directions beside those of its meaning.

Two packages carry models fitted to far more comments than we may have: alt-profanity-check (MIT; tweets of Davidson's
set, MIT, and comments of Wikipedia, CC0) and hatesonar (MIT; those tweets). Both add up weights of words, so what they
know is a number for each word; a head learns how far to believe it. At training only: folded into the words' weights,
as their vectors are.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import joblib
import numpy as np

from .gathered import folder
from .learn import Floats
from .meaning import Vectors

BELIEVED = 2.0
"""Length of each direction at the word it says most of, against the one of a word's vector."""
HATE, OFFENCE, NEITHER = range(3)
"""Classes of hatesonar, in the order of its weights."""


def opinions(words: Sequence[str]) -> Vectors:
    """A row for each word: profane or not, hate against neither, offence against neither, hate against offence."""
    columns = np.zeros((len(words), 4))
    profane, (known, sonar) = _profanity(), _sonar()
    for row, word in enumerate(words):
        columns[row, 0] = profane.get(word, 0.0)
        if word in known:
            said = sonar[:, known[word]]
            columns[row, 1:] = said[HATE] - said[NEITHER], said[OFFENCE] - said[NEITHER], said[HATE] - said[OFFENCE]
    return (BELIEVED * columns / np.maximum(np.abs(columns).max(axis=0), 1e-9)).astype(np.float32)


@cache
def _profanity() -> dict[str, float]:
    data = folder("profanity_check") / "data"
    vectorizer: Any = joblib.load(data / "vectorizer.joblib")
    model: Any = joblib.load(data / "model.joblib")
    gains = np.mean([fitted.estimator.coef_[0] for fitted in model.calibrated_classifiers_], axis=0)
    return {word: float(gains[place] * vectorizer.idf_[place]) for word, place in vectorizer.vocabulary_.items()}


@cache
def _sonar() -> tuple[dict[str, int], Floats]:
    """Places of words, and the weight of each class there. The model is an ONNX file: of its nodes those that hold the
    words, their rarity and the weights are read, and nothing is run."""
    data = (folder("hatesonar") / "model" / "model.onnx").read_bytes()
    (graph,) = _parts(data, 7)
    found: dict[str, tuple[Floats, list[int], list[bytes]]] = {}
    for node in _parts(graph, 1):
        for attribute in _parts(node, 5):
            (name,) = _parts(attribute, 1)
            floats = np.frombuffer(b"".join(_parts(attribute, 7)), "<f4").astype(np.float64)
            found[str(name, "ascii")] = floats, _numbers(attribute, 8), _parts(attribute, 9)
    rarity = next(tensor for tensor in _parts(graph, 5) if _parts(tensor, 8) == [b"idfcst"])
    scale = np.frombuffer(b"".join(_parts(rarity, 9) or _parts(rarity, 4)), "<f4")
    gains = found["coefficients"][0].reshape(3, -1) * scale
    places = found["ngram_indexes"][1]
    return {str(word, "utf-8"): place for word, place in zip(found["pool_strings"][2], places, strict=True)}, gains


def _parts(message: bytes, number: int) -> list[bytes]:
    return [value for field, value in fields(message) if field == number and isinstance(value, bytes)]


def _numbers(message: bytes, number: int) -> list[int]:
    return [value for field, value in fields(message) if field == number and isinstance(value, int)]


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a message in protocol buffers' encoding, numbered: integers, and anything else as its bytes."""
    at = 0

    def integer() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                return value

    while at < len(message):
        number, kind = divmod(integer(), 8)
        if kind == 0:
            yield number, integer()
        else:
            size = {1: 8, 5: 4}.get(kind) or integer()
            yield number, message[at : at + size]
            at += size


def beside(vectors: Vectors, words: Iterable[str]) -> Vectors:
    """The vectors of words with what the teachers say of them."""
    return np.hstack([vectors, opinions(list(words))])
