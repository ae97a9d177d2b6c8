"""What every store of conversations promises (`gateway/pseudonyms/store.py`)."""

import asyncio
import time
import uuid

from gateway.pseudonyms.store import ConversationStore
from tests.gateway.limits.helpers import until

TTL = 600.0
VALUES = {"PSNBBBB": b"\x00\xffone", "PSNCCCC": b"", "PSNDDDD": bytes(range(256)) * 8}


def name() -> str:
    return uuid.uuid4().hex * 2


async def test_what_is_kept_is_loaded(store: ConversationStore) -> None:
    mine = name()
    assert dict(await store.load(mine, TTL)) == {}
    await store.keep(mine, VALUES, TTL)
    assert dict(await store.load(mine, TTL)) == VALUES


async def test_nothing_kept_is_nothing(store: ConversationStore) -> None:
    mine = name()
    await store.keep(mine, {}, TTL)
    assert dict(await store.load(mine, TTL)) == {}


async def test_keeping_adds(store: ConversationStore) -> None:
    """ "Add to a conversation … Others may add at the same time.\""""
    mine = name()
    await asyncio.gather(*(store.keep(mine, {f"PSN{n}": b"%d" % n}, TTL) for n in range(40)))
    assert dict(await store.load(mine, TTL)) == {f"PSN{n}": b"%d" % n for n in range(40)}


async def test_of_two_values_of_one_placeholder_either_stays(store: ConversationStore) -> None:
    mine = name()
    await store.keep(mine, {"PSNB": b"one"}, TTL)
    await store.keep(mine, {"PSNB": b"two"}, TTL)
    assert dict(await store.load(mine, TTL))["PSNB"] in (b"one", b"two")


async def test_conversations_are_apart(store: ConversationStore) -> None:
    mine, theirs = name(), name()
    await store.keep(mine, {"PSNB": b"mine"}, TTL)
    await store.keep(theirs, {"PSNC": b"theirs"}, TTL)
    assert dict(await store.load(mine, TTL)) == {"PSNB": b"mine"}
    assert dict(await store.load(theirs, TTL)) == {"PSNC": b"theirs"}


async def test_a_conversation_is_over_when_its_time_is(store: ConversationStore) -> None:
    """ "Keeps each conversation until it was not asked for or added to for `ttl` seconds.\""""
    mine = name()
    await store.keep(mine, VALUES, 0.05)
    since = time.monotonic()
    await until(lambda: time.monotonic() - since > 0.2, "the time to live to be over")
    assert dict(await store.load(mine, TTL)) == {}


async def test_asking_for_it_keeps_it_alive(store: ConversationStore) -> None:
    for first in (0.5, 1.0, 2.0, 4.0, 8.0):
        mine = name()
        await store.keep(mine, VALUES, first)
        if await store.load(mine, TTL):
            break  # else the machine was so busy that it was over before it was asked for
    since = time.monotonic()
    await until(lambda: time.monotonic() - since > first * 1.2, "the first time to live to be over")
    assert dict(await store.load(mine, TTL)) == VALUES
