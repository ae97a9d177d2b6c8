"""Remembers verdicts under a keyed hash of what they are about: no text is kept, nor a hash one could guess it by."""

import hashlib
from typing import Generic, TypeVar

T = TypeVar("T")


class VerdictCache(Generic[T]):
    """At most `entries` values, each for `seconds`; the one unused for longest goes first. Not for several threads.

    `now` is monotonic time in seconds. With `entries` or `seconds` 0 nothing is remembered.
    """

    def __init__(self, key: bytes, *, entries: int, seconds: float) -> None:
        """`key`: secret of this process or deployment, 16 to 64 bytes."""
        if not 16 <= len(key) <= 64:
            raise ValueError("a cache key has 16 to 64 bytes")
        self._key = key
        self._entries = entries if seconds > 0 else 0
        self._seconds = seconds
        self._known: dict[bytes, tuple[float, T]] = {}
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._known)

    def digest(self, *parts: str) -> bytes:
        """16 bytes that name these parts in this order; BLAKE2b, keyed, each part with its length before it."""
        made = hashlib.blake2b(key=self._key, digest_size=16)
        for part in parts:
            octets = part.encode("utf-8", "surrogatepass")
            made.update(len(octets).to_bytes(8, "big"))
            made.update(octets)
        return made.digest()

    def get(self, digest: bytes, now: float) -> T | None:
        entry = self._known.pop(digest, None)
        if entry is None or now >= entry[0]:
            self.misses += 1
            return None
        self._known[digest] = entry
        self.hits += 1
        return entry[1]

    def put(self, digest: bytes, value: T, now: float) -> None:
        if self._entries <= 0:
            return
        self._known.pop(digest, None)
        while len(self._known) >= self._entries:
            del self._known[next(iter(self._known))]
        self._known[digest] = (now + self._seconds, value)
