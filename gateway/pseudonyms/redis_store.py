"""Conversations in the Redis of the limits, for all workers that share it: a hash for each, which expires."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from gateway.pseudonyms.store import Sealed

Command = Sequence[bytes | str | int]
Ask = Callable[[str, Sequence[Command]], Awaitable[Sequence[Any]]]
"""Has commands carried out by the server of a group of keys (all that have `{group}` in their name), in order. Raises
`StoreAway` when it cannot, or one of them fails."""


class RedisConversations:
    """`prefix`: what all keys begin with."""

    def __init__(self, ask: Ask, prefix: str) -> None:
        self._ask = ask
        self._prefix = prefix

    async def load(self, name: str, ttl: float) -> Sealed:
        """See `ConversationStore`."""
        key = self._key(name)
        flat, _ = await self._ask(name, [("HGETALL", key), ("PEXPIRE", key, _millis(ttl))])
        pairs = cast("list[bytes]", flat)
        return {pairs[at].decode("ascii", "replace"): pairs[at + 1] for at in range(0, len(pairs), 2)}

    async def keep(self, name: str, sealed: Sealed, ttl: float) -> None:
        """See `ConversationStore`."""
        if not sealed:
            return
        key = self._key(name)
        flat = [part for pair in sealed.items() for part in pair]
        await self._ask(name, [("HSET", key, *flat), ("PEXPIRE", key, _millis(ttl))])

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{{{name}}}:pseudonyms"


def _millis(seconds: float) -> int:
    return max(1, round(seconds * 1000))
