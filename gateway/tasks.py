"""Background tasks that have an owner: the only place that calls `asyncio.create_task`.

A bare task can be collected while it runs, and its exception is seen by nobody.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
WANT = 0.25
"""Seconds until a look is tried again that the system had no memory or no thread for."""


async def in_thread(look: Callable[[], T]) -> T:
    """`look()` in a thread, as soon as the system gives memory and a thread for it: what looks for as long as the
    process lives must not end with a moment's want. It may be called more than once."""
    while True:
        try:
            return await asyncio.to_thread(look)
        except MemoryError:
            pass
        except RuntimeError as error:
            if "new thread" not in str(error):
                raise
        await asyncio.sleep(WANT)


class TaskGroup:
    """Holds tasks until they end, reports the ones that fail, and ends them together."""

    def __init__(self, on_error: Callable[[str, BaseException], None]) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_error = on_error

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run `work` in the background; `on_error(name, exception)` is called if it fails."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(task.get_name(), error)

    async def close(self) -> None:
        """Cancel what still runs and wait for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
