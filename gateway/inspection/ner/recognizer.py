"""Names and places in texts: the model's entities, the word lists and the rules, put together. Runs in a worker."""

import re
from collections.abc import Callable, Sequence

from gateway.inspection.ner.casing import natural
from gateway.inspection.ner.features import Entity, features
from gateway.inspection.ner.tagger import Weights, spans
from gateway.inspection.ner.words import WordLists, words
from guardrails.detector import Match

Model = Callable[[Sequence[str]], list[list[Entity]]]
"""Entities of each text, characters of it."""

_OF_THE_MODEL = frozenset({"NRP", "DATE_TIME"})
"""Entities that no rule improves on."""
_MODEL_SCORE = 0.85
"""Presidio's, for what spaCy finds."""
_NUMBER = re.compile(r"\d{1,3}|\d{5,}")
"""Ages, quantities, postcodes: dates to the model, but not to a reader."""


class Recognizer:
    """Texts in, matches of each out, sorted by start."""

    def __init__(self, model: Model, lists: WordLists | None = None, weights: Weights | None = None) -> None:
        self._model = model
        self._lists = lists or WordLists.load()
        self._weights = weights or Weights.load()

    def __call__(self, texts: Sequence[str]) -> list[list[Match]]:
        split = [list(words(text)) for text in texts]
        copies = [natural(text, found, self._lists) for text, found in zip(texts, split, strict=True)]
        out: list[list[Match]] = []
        for text, found, entities in zip(texts, split, self._model(copies), strict=True):
            named = spans(text, found, features(text, found, entities, self._lists), self._weights)
            kept = [
                Match(e.label, e.start, e.end, _MODEL_SCORE, f"ner/{e.label.lower()}", "model")
                for e in entities
                if e.label in _OF_THE_MODEL
                and not _NUMBER.fullmatch(text, e.start, e.end)
                and not any(m.start < e.end and e.start < m.end for m in named)
            ]
            out.append(sorted([*named, *kept], key=lambda match: (match.start, match.end)))
        return out
