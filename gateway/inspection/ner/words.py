"""Words with their offsets, folded for look-up, and the word lists they are looked up in."""

import lzma
import re
import unicodedata
from collections.abc import Iterator
from importlib.resources import files
from typing import NamedTuple

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W\d_]+)*")
_PLAIN = str.maketrans({"ø": "o", "æ": "ae", "ł": "l", "ð": "d", "þ": "th", "ß": "ss", "đ": "d", "œ": "oe", "ı": "i",
                        "’": "'"})  # fmt: skip
LISTS = ("given", "surnames", "places", "common")


class Word(NamedTuple):
    """One word of a text."""

    start: int
    end: int
    text: str
    folded: str


def fold(word: str) -> str:
    """Lower case without accents: `Muñoz-Łoś` → `munoz-los`."""
    lowered = word.lower()
    if lowered.isascii():
        return lowered
    decomposed = unicodedata.normalize("NFKD", lowered.translate(_PLAIN))
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def words(text: str) -> Iterator[Word]:
    """Runs of letters and digits, with apostrophes and hyphens inside; a possessive `'s` is left out."""
    for found in _WORD.finditer(text):
        word, end = found.group(), found.end()
        if word[-2:] in ("'s", "’s", "'S", "’S") and len(word) > 3:
            word, end = word[:-2], end - 2
        yield Word(found.start(), end, word, fold(word))


class WordLists:
    """Given names, surnames, places and common English words, folded. Some 200,000 strings: made once a process."""

    def __init__(
        self, given: frozenset[str], surnames: frozenset[str], places: frozenset[str], common: frozenset[str]
    ) -> None:
        self.given = given
        self.surnames = surnames
        self.places = places
        self.common = common
        self.place_words = max((place.count(" ") + 1 for place in places), default=1)
        """Words of the longest place's name."""

    @classmethod
    def load(cls) -> "WordLists":
        """Those of this package; `tools/build_names.py` says where they are from."""
        return cls(*(_read(name) for name in LISTS))


def _read(name: str) -> frozenset[str]:
    packed = (files("gateway.inspection.ner") / "data" / f"{name}.xz").read_bytes()
    return frozenset(lzma.decompress(packed).decode().split("\n"))
