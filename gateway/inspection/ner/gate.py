"""Which texts are worth a model's time: a glance at casing, cue words and word lists, some microseconds a text."""

import re

from gateway.inspection.ner.words import WordLists, fold

_WORD = re.compile(r"[^\W\d_]{2,}")
_CUE = re.compile(r"\b(?:my name|name is|call me|calls me|i am|i'm|named|mrs?|ms|dr)\b", re.IGNORECASE)
_SHORTEST = 4
"""Letters of a listed word in lower case that is worth a look; shorter ones are mostly something else."""


def worth(text: str, lists: WordLists) -> bool:
    """Whether `text` may hold a name or a place: a capitalised word that is no common one, a listed one in any casing,
    or a phrase that introduces somebody. Linear, and over at the first such word."""
    common = lists.common
    for found in _WORD.finditer(text):
        word = found.group()
        folded = fold(word)
        if folded in common:
            continue
        if word[0].isupper() or not word.isascii():
            return True
        if len(word) >= _SHORTEST and (folded in lists.given or folded in lists.surnames or folded in lists.places):
            return True
    return _CUE.search(text) is not None
