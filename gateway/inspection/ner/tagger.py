"""Decides of each word whether it is part of a name, a place, an organization or an address, and joins them to spans.

A linear model over the features of `features.py`: the weights are a table one can read, fitted by `tools/fit_ner.py`.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files

import msgspec

from gateway.inspection.ner.casing import writes_capitals
from gateway.inspection.ner.words import Word
from guardrails.detector import Match

CLASSES = ("", "PERSON", "LOCATION", "ORGANIZATION", "ADDRESS")
LEAST = {"": 0.0, "PERSON": 0.72, "LOCATION": 0.65, "ORGANIZATION": 0.5, "ADDRESS": 0.5}
"""Score below which a span is not reported: chosen on templates that were kept out of the fit."""
_PERSON, _ADDRESS = CLASSES.index("PERSON"), CLASSES.index("ADDRESS")
_SURE, _LIKELY, _POSSIBLE = 0.8, 0.75, 0.2
_LISTED = frozenset(("list:g", "list:s", "list:gs"))
"""Names that are no common words."""
_RULES = {name: f"ner/{name.lower()}" for name in CLASSES[1:]}
_DIVIDES = re.compile(r"[,;:!?\n\"()<>{}\[\]|/@=&]|\.\s|'s|’s|—|–| - ")


_SHORTENED = re.compile(r"'(?:m|s|d|t|re|ve|ll)\Z")
"""Ends of `I'm`, `don't` and the like, which are nobody's name wherever they stand."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Scripts that set no blanks between words (Thai, Lao, Khmer, Kana, Han): what is a word here is a clause there."""
_LONGEST_UNSPACED = 4


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
    """Neighbours of one class, with nothing dividing between them, as one match; its score is that of its surest
    word. Below `LEAST` there is none."""
    rated = [probabilities(names, weights) for names in features]
    _spread(text, found, features, rated)
    capitals = writes_capitals(found)
    best = [max(range(len(CLASSES)), key=row.__getitem__) for row in rated]
    out: list[Match] = []
    at = 0
    while at < len(found):
        kind, end = best[at], at + 1
        while kind and end < len(found) and best[end] == kind and _joined(text, found[end - 1], found[end], kind):
            end += 1
        name = CLASSES[kind]
        score = max(row[kind] for row in rated[at:end])
        if kind and score >= LEAST[name] and _plausible(found[at:end], features[at:end], capitals):
            out.append(Match(name, found[at].start, found[end - 1].end, round(score, 3), _RULES[name], "model"))
        at = end
    return out


def _plausible(said: Sequence[Word], features: Sequence[Sequence[str]], capitals: bool) -> bool:
    """Whether words can be a name at all: more than a letter, no `I'm`, no clause of a script without blanks; and in a
    text that writes names with capitals (`capitals`), written so, or at least listed."""
    if len(said) == 1 and (len(said[0].text) == 1 or _SHORTENED.search(said[0].folded)):
        return False
    if any(len(word.text) > _LONGEST_UNSPACED and _UNSPACED.search(word.text) for word in said):
        return False
    if not capitals or any(not word.text.islower() for word in said):
        return True
    return any(len(names) > 1 and names[1] in _LISTED for names in features)


def _spread(text: str, found: Sequence[Word], features: Sequence[Sequence[str]], rated: list[list[float]]) -> None:
    """Who was named once is named again: a word that is surely part of a name makes its other occurrences in the text
    likely ones; of names in a list each makes the next likely; and so does a title before one."""
    sure = {word.folded for word, row in zip(found, rated, strict=True) if row[_PERSON] >= _SURE and len(word.text) > 2}
    for at, (word, row) in enumerate(zip(found, rated, strict=True)):
        if not _POSSIBLE <= row[_PERSON] < _LIKELY or row[_ADDRESS] > row[_PERSON] or _SHORTENED.search(word.folded):
            continue
        titled = "<honorific/title" in features[at]
        if (
            titled
            or word.folded in sure
            or any(rated[other][_PERSON] >= _SURE for other in _listed_with(text, found, at))
        ):
            rest = 1.0 - row[_PERSON]
            row[:] = [value * (1.0 - _LIKELY) / rest for value in row]
            row[_PERSON] = _LIKELY


def _listed_with(text: str, found: Sequence[Word], at: int) -> Iterator[int]:
    """Words that stand before or after this one with a comma or an `and` between."""
    for step in (-1, 1):
        near, far = at + step, at + 2 * step
        if 0 <= far < len(found) and found[near].folded in ("and", "or", "&"):
            yield far
        elif 0 <= near < len(found):
            between = text[min(found[at].end, found[near].end) : max(found[at].start, found[near].start)]
            if between.strip() == ",":
                yield near


def _joined(text: str, left: Word, right: Word, kind: int) -> bool:
    between = text[left.end : right.start]
    if CLASSES[kind] == "ADDRESS":
        return len(between) <= 4
    if between.startswith(".") and len(left.text) <= 2:
        between = between[1:]
    return len(between) <= 3 and not _DIVIDES.search(between + "\0")
