"""What is said to Redis; the promises of a store are in tests/conformance/conversations."""

from collections.abc import Sequence
from typing import Any

from gateway.pseudonyms.redis_store import Command, RedisConversations


class Asked:
    def __init__(self, *replies: Any) -> None:
        self.said: list[tuple[str, Sequence[Command]]] = []
        self.replies = replies

    async def __call__(self, group: str, commands: Sequence[Command]) -> Sequence[Any]:
        self.said.append((group, commands))
        return self.replies


async def test_the_key_lives_with_its_group_and_expires() -> None:
    asked = Asked([b"PSNB", b"x"], 1)
    store = RedisConversations(asked, "tw")
    assert await store.load("n", 1.5) == {"PSNB": b"x"}
    await store.keep("n", {"PSNC": b"y"}, 1.5)
    key = "tw:{n}:pseudonyms"
    assert asked.said == [
        ("n", [("HGETALL", key), ("PEXPIRE", key, 1500)]),
        ("n", [("HSET", key, "PSNC", b"y"), ("PEXPIRE", key, 1500)]),
    ]


async def test_nothing_is_asked_for_nothing() -> None:
    asked = Asked()
    await RedisConversations(asked, "tw").keep("n", {}, 1)
    assert asked.said == []
