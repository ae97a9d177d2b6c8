"""Decides of each word whether it is part of a name, a place, an organization or an address, and joins them to spans.

A linear model over the features of `features.py`: the weights are a table one can read, fitted by `tools/fit_ner.py`.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

import msgspec

from gateway.inspection.ner.words import Word
from guardrails.detector import Match

CLASSES = ("", "PERSON", "LOCATION", "ORGANIZATION", "ADDRESS")
_RULES = {name: f"ner/{name.lower()}" for name in CLASSES[1:]}
_DIVIDES = re.compile(r"[,;:!?\n\"()<>{}\[\]|/@=&]|\.\s|'s|’s|—|–| - ")


class Weights(msgspec.Struct, frozen=True):
    """Weight of every feature for each of `CLASSES`."""

    bias: tuple[float, ...]
    table: Mapping[str, tuple[float, ...]]

    @classmethod
    def load(cls) -> "Weights":
        """Those of this package."""
        read = json.loads((files("gateway.inspection.ner") / "data" / "weights.json").read_text())
        return cls(tuple(read["bias"]), {name: tuple(row) for name, row in read["table"].items()})


def probabilities(names: Sequence[str], weights: Weights) -> list[float]:
    """Of each of `CLASSES` for a word with these features."""
    sums = list(weights.bias)
    for name in dict.fromkeys(names):
        row = weights.table.get(name)
        if row is not None:
            for at, value in enumerate(row):
                sums[at] += value
    most = max(sums)
    parts = [math.exp(value - most) for value in sums]
    total = sum(parts)
    return [part / total for part in parts]


def spans(text: str, found: Sequence[Word], features: Sequence[Sequence[str]], weights: Weights) -> list[Match]:
    """Neighbours of one class, with nothing dividing between them, as one match; its score is their mean."""
    rated = [probabilities(names, weights) for names in features]
    best = [max(range(len(CLASSES)), key=row.__getitem__) for row in rated]
    out: list[Match] = []
    at = 0
    while at < len(found):
        kind, end = best[at], at + 1
        while kind and end < len(found) and best[end] == kind and _joined(text, found[end - 1], found[end], kind):
            end += 1
        if kind:
            score = sum(row[kind] for row in rated[at:end]) / (end - at)
            name = CLASSES[kind]
            out.append(Match(name, found[at].start, found[end - 1].end, round(score, 3), _RULES[name], "model"))
        at = end
    return out


def _joined(text: str, left: Word, right: Word, kind: int) -> bool:
    between = text[left.end : right.start]
    if CLASSES[kind] == "ADDRESS":
        return len(between) <= 4
    if between.startswith(".") and len(left.text) <= 2:
        between = between[1:]
    return len(between) <= 3 and not _DIVIDES.search(between + "\0")
