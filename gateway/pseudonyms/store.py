"""The seam of what keeps conversations, and the store in a worker's own memory.

A store sees names, placeholders and sealed values; it can read none of the values. Both stores keep the promises that
`tests/conformance/conversations` checks.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

from gateway.seams import Clock

Sealed = Mapping[str, bytes]
"""Values by placeholder."""


class StoreAway(Exception):
    """The store cannot be asked now. Its text names no conversation."""


class ConversationStore(Protocol):
    """Keeps each conversation until it was not asked for or added to for `ttl` seconds."""

    async def load(self, name: str, ttl: float) -> Sealed:
        """What is kept of a conversation, empty if nothing; it lives `ttl` seconds from now. Raises `StoreAway`."""
        ...

    async def keep(self, name: str, sealed: Sealed, ttl: float) -> None:
        """Add to a conversation; it lives `ttl` seconds from now. Others may add at the same time; of a placeholder
        that is there already either value stays. Raises `StoreAway`, after which it may have been kept."""
        ...


MOST_BYTES = 64 * 1024 * 1024
_OVERHEAD = 200
"""Bytes an entry costs beside its contents,"""
_CONVERSATION = 600
"""and a conversation beside its entries."""


class _Kept:
    __slots__ = ("bytes", "until", "values")

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.until = 0.0
        self.bytes = 0


class MemoryConversations:
    """For one worker. Beyond `most_bytes` those go that were not used for the longest."""

    def __init__(self, clock: Clock, most_bytes: int = MOST_BYTES) -> None:
        self._clock = clock
        self._most = most_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self.bytes = 0
        """Taken now, about."""

    def __len__(self) -> int:
        return len(self._kept)

    async def load(self, name: str, ttl: float) -> Sealed:
        """See `ConversationStore`."""
        found = self._alive(name)
        if found is None:
            return {}
        found.until = self._clock.monotonic() + ttl
        self._kept.move_to_end(name)
        return dict(found.values)

    async def keep(self, name: str, sealed: Sealed, ttl: float) -> None:
        """See `ConversationStore`."""
        found = self._alive(name)
        if found is None:
            found = self._kept[name] = _Kept()
            found.bytes = len(name) + _CONVERSATION
            self.bytes += found.bytes
        found.until = self._clock.monotonic() + ttl
        self._kept.move_to_end(name)
        for token, value in sealed.items():
            if token not in found.values:
                found.values[token] = value
                grown = len(token) + len(value) + _OVERHEAD
                found.bytes += grown
                self.bytes += grown
        self._bound()

    def _alive(self, name: str) -> _Kept | None:
        found = self._kept.get(name)
        if found is not None and found.until <= self._clock.monotonic():
            self._forget(name)
            return None
        return found

    def _forget(self, name: str) -> None:
        self.bytes -= self._kept.pop(name).bytes

    def _bound(self) -> None:
        """Forget what is over, as far as that is cheap to see, and what is too much."""
        now = self._clock.monotonic()
        while self._kept:
            oldest = next(iter(self._kept))
            if self._kept[oldest].until > now and self.bytes <= self._most:
                break
            self._forget(oldest)
