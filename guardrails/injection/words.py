"""Words of a text as the model reads them, by the vocabulary it was trained with.

A word the vocabulary lacks is read as the word it disguises (`1gn0r3`, `iiignore`), else by its first letters.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from math import sqrt
from operator import eq
from typing import NamedTuple

from .fold import beyond_ascii

_LETTERS = r"\u00b5-\u024f\u0370-\u167f\u1681-\u1fff\uac00-\ud7af"
"""Beside those of ASCII, the letters of scripts that put spaces between words."""
_SIGNS = r"\u3040-\u30ff\u3400-\u9fff"
"""Letters of scripts that do not: each is a word."""
TOKEN = re.compile(rf"[a-z0-9@${_LETTERS}]+(?:'[a-z0-9@${_LETTERS}]+)*|[{_SIGNS}]|\n+|[?:]")
"""A word of lower-case text with plain apostrophes. `tokens` says the same words, sooner."""
_MARKED = re.compile(rf"[a-z0-9@${_LETTERS}]+(?:'[a-z0-9@${_LETTERS}]+)*|[{_SIGNS}]|[;?:]")
_LETTER, _SIGN = re.compile(f"[{_LETTERS}]"), re.compile(f"[{_SIGNS}]")
_PLAIN = str.maketrans({char: " " for char in map(chr, range(128)) if not re.match(r"[A-Za-z0-9@$'?:;]", char)})
_BARE = re.compile(r"'(?:'+|(?![^ '])|(?<![^ ']'))")
"""Apostrophes that are not between letters, where nothing but letters, apostrophes and blanks stands together."""
_STAND_INS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Lower-case text has none of these: each stands for one letter beyond ASCII while the text is taken apart."""
PREFIX = 5
"""Letters by which an unknown word is read."""
UNKNOWN = 0
LINE = ";"
"""The word that one or more ends of lines are."""


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


def starts_of(words: int, shape: Window, before: int = 0) -> range:
    """First word of each window of a text: at least one, and the last one reaches the end. `before`: how many words
    that are not the text's own stand before it."""
    return range(before, before + max(1, words - shape.size + shape.stride), shape.stride)


def line_starts(words: Sequence[str]) -> list[int]:
    """Where lines begin: first words of windows that a request is looked for in, beside those of `starts_of`."""
    starts, at = list[int](), -1
    for _ in range(words.count(LINE)):
        at = words.index(LINE, at + 1)
        starts.append(at)
    return starts


def factor_of(words: int, shape: Window) -> float:
    """What the sum over a window of so many words is multiplied by: a short text has few words to say what it is by."""
    return sqrt(shape.size / max(FEWEST, min(words, shape.size)))


FEWEST = 4
"""Words below which a text is not weighed more for being short."""
_LEET = str.maketrans("013457@$", "oieastas")
_LEET_L = str.maketrans("013457@$", "oleastas")


def straight(text: str) -> str:
    """The text with plain apostrophes, character by character."""
    return text if text.isascii() else text.replace("\u2019", "'")


def tokens(text: str) -> list[str]:
    """Words, single letters of Chinese and Japanese, `?`, `:` and `LINE`. Text is lower case. Linear."""
    text = straight(text).replace(";", " ")
    if "\n" in text:
        text = _lined(text)
    letters: list[tuple[str, str]] = []
    if not text.isascii():
        others = beyond_ascii(text)
        if len(others) > len(_STAND_INS):
            return _MARKED.findall(text)
        for char, stand_in in zip(others, _STAND_INS, strict=False):
            if _LETTER.match(char) or _SIGN.match(char):
                letters.append((stand_in, char if _LETTER.match(char) else f" {char} "))
                text = text.replace(char, stand_in if _LETTER.match(char) else f" {stand_in} ")
            else:
                text = text.replace(char, " ")
    text = text.translate(_PLAIN).replace("?", " ? ").replace(":", " : ")
    if "'" in text:
        text = _BARE.sub(" ", text)
    for stand_in, char in letters:
        text = text.replace(stand_in, char)
    return text.split()


def _lined(text: str) -> str:
    """With `LINE`, as a word of its own, for one or more ends of lines."""
    lines = text.split("\n")
    inner = f" {LINE} ".join(filter(None, lines))
    before = "" if lines[0] else f"{LINE} "
    return f"{before}{inner}" if lines[-1] or not inner else f"{before}{inner} {LINE}"


class Vocabulary(dict[str, int]):
    """Numbers of known words; asked for another word, its nearest known reading, else 0. Never grows."""

    def __init__(self, words: Mapping[str, int] | Iterable[tuple[str, int]]) -> None:
        super().__init__(words)

    def __missing__(self, word: str) -> int:
        size = len(word)
        if size < 3 or size > 40:
            return UNKNOWN
        if not word.isalpha() and (disguised := self._undisguised(word)):
            return disguised
        if (size > 3 and word[0] == word[1]) or size > 6:
            # Letters that stand twice are seen far sooner than the word without them is made.
            doubled = sum(map(eq, word, word[1:])) if word.isalpha() else 0
            if doubled > 1 and (known := self.get("".join(letter for letter, _ in groupby(word)))):
                return known
        return self.get(word[:PREFIX] + "*", UNKNOWN) if size > PREFIX else UNKNOWN

    def _undisguised(self, word: str) -> int:
        if word.isdecimal():
            return UNKNOWN
        if "'" in word:
            return self.get(word.partition("'")[0], UNKNOWN)
        return self.get(word.translate(_LEET)) or self.get(word.translate(_LEET_L)) or UNKNOWN
