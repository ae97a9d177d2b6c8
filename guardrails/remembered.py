"""Texts in which nothing was found: who sends one again need not have it judged again.

A conversation sends all of itself with every turn, and a system prompt goes with every request. What rules find is a
function of a text, its role and the rules; so where classifiers look, which takes a hundred times as long as to name a
text, a text that was clean is known to be clean. What is kept is a digest under a key that only this process has: no
text, and nothing by which somebody could find out whether a text was seen.
"""

from hashlib import sha256

MOST = 16_384
"""Names kept at the least, and twice as many at the most: 100 bytes each."""
LONGEST = 1 << 18
"""Characters of a text that is named. A longer one would take others' time, and does not come again and again."""


class Remembered:
    """Names of texts; those that did not come for long are forgotten. May be shared by the engines of all teams, and
    used from several threads. `secret`: of this process, so that nobody can make a text with the name of another."""

    __slots__ = ("_keys", "_most", "_new", "_old", "_secret")

    def __init__(self, secret: bytes, most: int = MOST) -> None:
        self._secret = secret.hex()
        self._most = most
        self._keys = 0
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, name: bytes) -> bool:
        if name in self._new:
            return True
        if name in self._old:
            self.add(name)
            return True
        return False

    def key(self) -> str:
        """A key for `name_of` that nobody else has: what is clean for the rules of one is not for those of another."""
        self._keys += 1
        return f"{self._secret} {self._keys} "

    def add(self, name: bytes) -> None:
        if len(self._new) >= self._most:
            self._old, self._new = self._new, set()
        self._new.add(name)


def name_of(key: str, role: str, document: bool, text: str) -> bytes:
    """The name of a text, by whose it is and whether it is read as a JSON document: 32 bytes."""
    return sha256(f"{key}{role} {document}\n{text}".encode("utf-8", "surrogatepass")).digest()
