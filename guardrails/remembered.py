"""Texts in which nothing was found: who sends one again need not have it judged again.

A conversation sends all of itself with every turn, and a system prompt goes with every request. What rules find is a
function of a text, its role and the rules; so where classifiers look, which takes them a hundred times as long as it
takes to name a text, a text that was clean is known to be clean. What is kept is a digest under a key that only this
process has: no text, and nothing by which somebody could find out whether a text was seen.
"""

from hashlib import sha256

MOST = 16_384
"""Names kept at the least, and twice as many at the most: 100 bytes each."""
LONGEST = 1 << 18
"""Characters of a text that is named. A longer one would take others' time, and does not come again and again."""


class Remembered:
    """Names of texts, the longest unused forgotten first. May be shared by the engines of all teams: whose text it is, is
    part of the name. Safe to use from several threads."""

    __slots__ = ("_most", "_new", "_old")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, name: bytes) -> bool:
        if name in self._new:
            return True
        if name in self._old:
            self.add(name)
            return True
        return False

    def __len__(self) -> int:
        return len(self._new | self._old)

    def add(self, name: bytes) -> None:
        new = self._new
        if len(new) >= self._most:
            self._old, self._new = new, set[bytes]()
            new = self._new
        new.add(name)


def name_of(key: str, role: str, document: bool, text: str) -> bytes:
    """The name of a text under a secret key, as the rules of one program see it: 32 bytes."""
    return sha256(f"{key}{role}\n{document}\n{text}".encode("utf-8", "surrogatepass"), usedforsecurity=True).digest()
