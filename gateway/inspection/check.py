"""One inspection under way: what both ways of waiting for it (`before`, `alongside`) hold."""

import asyncio
from collections.abc import Callable

from gateway.inspection.report import Report


class Check:
    """Awaited at once, or when the answer is there."""

    def __init__(self, task: "asyncio.Task[Report]", cut: Callable[[], None] | None = None) -> None:
        """`cut`: books what is under way, when it is cancelled: at once, so that the request's own books have it."""
        self._task = task
        self._cut = cut

    def done(self) -> bool:
        """Whether `report` would come at once."""
        return self._task.done()

    async def report(self) -> Report:
        """The verdict, at the latest when the deadline is over. Cancelling the waiter cancels the inspection."""
        return await self._task

    def cancel(self) -> None:
        """Nobody will ask: end it, connection and all. Idempotent."""
        if self._cut is not None and not self._task.done():
            self._cut()
        self._task.cancel()
