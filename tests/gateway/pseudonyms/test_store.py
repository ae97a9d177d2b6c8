"""The store in memory, beyond what every store promises: it is bounded."""

import tracemalloc

from gateway.clock import ManualClock
from gateway.pseudonyms.store import MemoryConversations


async def test_beyond_the_bound_the_longest_unused_go() -> None:
    """ "Beyond `most_bytes` those go that were not used for the longest.\""""
    store = MemoryConversations(ManualClock(), most_bytes=10_000)
    for number in range(40):
        await store.keep(f"c{number}", {"PSNB": bytes(700)}, 60)
        await store.load("c0", 60)
    assert store.bytes <= 10_000
    assert len(store) < 12
    assert await store.load("c0", 60)
    assert await store.load("c39", 60)
    assert not await store.load("c5", 60)


async def test_what_is_over_is_forgotten_and_its_bytes_with_it() -> None:
    clock = ManualClock()
    store = MemoryConversations(clock)
    for number in range(20):
        await store.keep(f"c{number}", {"PSNB": bytes(100)}, 10)
    clock.advance(11)
    await store.keep("new", {"PSNB": b"x"}, 10)
    assert len(store) == 1
    await store.load("new", 10)
    clock.advance(11)
    assert not await store.load("new", 10)
    assert (len(store), store.bytes) == (0, 0)


async def test_the_bound_is_one_of_memory_for_small_conversations_too() -> None:
    """A conversation costs more than its one placeholder."""
    store = MemoryConversations(ManualClock(), most_bytes=2_000_000)
    tracemalloc.start()
    try:
        for number in range(8_000):
            await store.keep(f"{number:097x}", {f"PSN{number:013d}": bytes(60)}, 60)
        assert tracemalloc.get_traced_memory()[0] < 2_500_000
    finally:
        tracemalloc.stop()
