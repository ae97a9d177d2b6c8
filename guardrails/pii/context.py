"""Words before a match that make it more likely. Only backward, so that a stream need not wait for what follows."""

import re
from collections.abc import Iterable, Sequence

REACH = 48
"""Characters before a match in which its context is read."""
WORDS = 5
"""Words before a match that count, as in Presidio."""
GAIN = 0.35
LEAST = 0.4
"""What a context word adds to a score, and what it lifts it to at least: Presidio's defaults."""
WORD = re.compile(r"[^\W_]+")
SPACED = bytes(code if chr(code).isalnum() else 32 for code in range(128)) + bytes(128)
"""What `WORD` takes of ASCII stays, the rest is blank: splitting costs a third of finding."""


class Context:
    """The context words of one entity. A word stands for its plural, and a phrase for its words in a row."""

    def __init__(self, words: Iterable[str]) -> None:
        split = [tuple(WORD.findall(word.lower())) for word in words]
        single = {parts[0] for parts in split if len(parts) == 1}
        self.words = single | {f"{word}s" for word in single}
        self.phrases = [parts for parts in split if len(parts) > 1]
        self.leading = {phrase[0] for phrase in self.phrases}

    def among(self, near: Sequence[str]) -> bool:
        """Whether one of them is among these words."""
        if not self.words.isdisjoint(near):
            return True
        if self.leading.isdisjoint(near):
            return False
        for phrase in self.phrases:
            size = len(phrase)
            if phrase[0] in near and any(tuple(near[at : at + size]) == phrase for at in range(len(near) - size + 1)):
                return True
        return False


def words_before(text: str, start: int) -> list[str]:
    """The last words before `start`, in small letters; of words longer than can be seen, what can be seen."""
    seen = text[max(start - REACH, 0) : start].lower()
    if seen.isascii():
        return _spaced(seen).rsplit(None, WORDS)[-WORDS:]
    return WORD.findall(seen)[-WORDS:]


class Near:
    """The words before many places of one text: each place is read once, and of a text of which most will be read, all
    of it at once."""

    __slots__ = ("_known", "_plain", "_text")

    def __init__(self, text: str, places: int) -> None:
        """`places`: about how many will be asked for."""
        self._text = text
        self._plain = _spaced(text.lower()) if len(text) < places * REACH and text.isascii() else ""
        self._known: dict[int, list[str]] = {}

    def before(self, start: int) -> list[str]:
        """As `words_before`."""
        words = self._known.get(start)
        if words is None:
            if self._plain:
                low = start - REACH
                words = self._plain[low if low > 0 else 0 : start].rsplit(None, WORDS)[-WORDS:]
            else:
                words = words_before(self._text, start)
            self._known[start] = words
        return words


def _spaced(text: str) -> str:
    return text.encode().translate(SPACED).decode()


def raised(score: float) -> float:
    """The score of a match that has context."""
    more = score + GAIN
    return LEAST if more < LEAST else min(more, 1.0)
