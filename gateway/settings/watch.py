"""Reloads when a file of the configuration changes. Runs as an owned task of the World.

Directories are watched rather than files: editors write a new file and rename it, Kubernetes swaps a symbolic link.
An event only means "look"; what counts is whether a file is another one than was read (`Sources.changed`). Where the
system sends no events (network file systems), or had none to send yet, a look every `POLL_MS` finds the change too.
"""

import asyncio
from collections.abc import Awaitable, Callable

from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]

from gateway.settings.reload import Configuration

STEP_MS = 50
"""Quiet time after an event before looking: an editor is done by then."""
DEBOUNCE_MS = 400
"""The longest that ever new events in a directory put off a look."""
POLL_MS = 500


async def watch_files(configuration: Configuration, reload: Callable[[str], Awaitable[object]]) -> None:
    """Await `reload("file change")` whenever the files have changed. Runs until cancelled."""
    while True:
        directories = await asyncio.to_thread(configuration.sources.directories)
        if not directories:  # all of it was taken away; wait until it is back
            await asyncio.sleep(POLL_MS / 1000)
            await _look(configuration, reload)
            continue
        async for _ in awatch(
            *directories,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            rust_timeout=POLL_MS,
            yield_on_timeout=True,
            recursive=False,
        ):
            await _look(configuration, reload)
            if await asyncio.to_thread(configuration.sources.directories) != directories:
                break


async def _look(configuration: Configuration, reload: Callable[[str], Awaitable[object]]) -> None:
    if await asyncio.to_thread(configuration.sources.changed):
        await reload("file change")
