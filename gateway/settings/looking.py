"""Keeps looking at what the ledger database says of keys, limits and switches: on one thread, twice in a second."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from gateway.tasks import in_thread

INTERVAL = 0.4
"""Seconds between two rounds; each watch reads one row, unless something changed."""


class Watch(Protocol):
    """Looks at one kind of thing, and puts in force what changed."""

    def look(self) -> object:
        """Blocks. Never raises for a database that is away."""
        ...


async def keep_looking(watches: Sequence[Watch], interval: float = INTERVAL) -> None:
    """Let every watch look, one after the other, and again `interval` seconds later, until cancelled. While the
    database is away a round takes as long as each of them waits for it."""
    while True:
        await in_thread(lambda: _look(watches))
        await asyncio.sleep(interval)


def _look(watches: Sequence[Watch]) -> None:
    for watch in watches:
        watch.look()
