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
SPACED = "".join(character if character.isalnum() else " " for character in map(chr, range(128)))
"""What `WORD` takes of ASCII stays, the rest is blank: splitting costs a third of finding."""


class Context:
    """The context words of one entity. A word stands for its plural, and a phrase for its words in a row."""

    def __init__(self, words: Iterable[str]) -> None:
        split = [tuple(WORD.findall(word.lower())) for word in words]
        single = {parts[0] for parts in split if len(parts) == 1}
        self.words = single | {f"{word}s" for word in single}
        self.phrases = [parts for parts in split if len(parts) > 1]

    def among(self, near: Sequence[str]) -> bool:
        """Whether one of them is among these words."""
        if not self.words.isdisjoint(near):
            return True
        for phrase in self.phrases:
            size = len(phrase)
            if phrase[0] in near and any(tuple(near[at : at + size]) == phrase for at in range(len(near) - size + 1)):
                return True
        return False


def words_before(text: str, start: int) -> list[str]:
    """The last words before `start`, in small letters; of words longer than can be seen, what can be seen."""
    seen = text[max(start - REACH, 0) : start].lower()
    if seen.isascii():
        return seen.translate(SPACED).rsplit(None, WORDS)[-WORDS:]
    return WORD.findall(seen)[-WORDS:]


def raised(score: float) -> float:
    """The score of a match that has context."""
    more = score + GAIN
    return LEAST if more < LEAST else min(more, 1.0)
