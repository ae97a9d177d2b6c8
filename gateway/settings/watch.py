"""Reloads when a file of the configuration changes. Runs as an owned task of the World.

It looks for itself, at what was read (`Sources.changed`): a look costs microseconds, finds every way in which a file
becomes another one, on network file systems too, and needs nothing from the system that could be refused. A library
that is told by the system needs a thread of its own, and ends the process where there is none for it.
"""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.settings.reload import Configuration
from gateway.tasks import in_thread

INTERVAL = 0.25
"""Seconds between two looks."""
QUIET = 0.05
"""Seconds between seeing a change and reading it: an editor is done by then."""


async def watch_files(configuration: Configuration, reload: Callable[[str], Awaitable[object]]) -> None:
    """Await `reload("file change")` whenever the files have changed. Runs until cancelled."""
    while True:
        await asyncio.sleep(INTERVAL)
        if await in_thread(lambda: configuration.sources.changed()):
            await asyncio.sleep(QUIET)
            await reload("file change")
