"""Words of a text as the model reads them, by the vocabulary it was trained with.

A word the vocabulary lacks is read as the word it disguises (`1gn0r3`, `iiignore`), else by its first letters.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

TOKEN = re.compile(
    r"[a-z0-9@$\u00b5-\u024f\u0370-\u1fff\uac00-\ud7af]+(?:'[a-z]+)?"  # words of scripts that put spaces between them
    r"|[\u3040-\u30ff\u3400-\u9fff]"  # of those that do not: each letter
    r"|\n+|[?:]"
)
_PLAIN = re.compile(r"[a-z0-9@$]+(?:'[a-z]+)?|\n+|[?:]")
"""The same for ASCII."""
PREFIX = 5
"""Letters by which an unknown word is read."""
UNKNOWN = 0
LINE = "\n"


class Window(NamedTuple):
    """A stretch of a text that is judged on its own."""

    size: int
    """Words in it."""
    stride: int
    """Words from the start of one to the start of the next."""


WIDE = Window(64, 32)
"""What an attack is looked for in."""
NARROW = Window(8, 4)
"""What a request hidden in a document is looked for in."""


def starts_of(words: int, shape: Window) -> range:
    """First word of each window of a text: at least one, and the last one reaches the end."""
    return range(0, max(1, words - shape.size + shape.stride), shape.stride)


_LEET = str.maketrans("013457@$", "oieastas")
_LEET_L = str.maketrans("013457@$", "oleastas")


def tokens(text: str) -> list[str]:
    """Words, single letters of Chinese and Japanese, `?`, `:` and ends of lines. Text is lower case."""
    return (_PLAIN if text.isascii() else TOKEN).findall(text)


class Vocabulary(dict[str, int]):
    """Numbers of known words; asked for another word, its nearest known reading, else 0. Never grows."""

    def __init__(self, words: Mapping[str, int] | Iterable[tuple[str, int]]) -> None:
        super().__init__(words)

    def __missing__(self, word: str) -> int:
        if word[0] == "\n":
            return self.get(LINE, UNKNOWN)
        size = len(word)
        if size < 3 or size > 40:
            return UNKNOWN
        if not word.isalpha() and (disguised := self._undisguised(word)):
            return disguised
        if (size > 3 and word[0] == word[1]) or size > 6:
            single = "".join(letter for letter, _ in groupby(word)) if word.isalpha() else word
            if len(single) < size - 1 and (known := self.get(single)):
                return known
        return self.get(word[:PREFIX] + "*", UNKNOWN) if size > PREFIX else UNKNOWN

    def _undisguised(self, word: str) -> int:
        if word.isdecimal():
            return UNKNOWN
        if "'" in word:
            return self.get(word.partition("'")[0], UNKNOWN)
        return self.get(word.translate(_LEET)) or self.get(word.translate(_LEET_L)) or UNKNOWN
