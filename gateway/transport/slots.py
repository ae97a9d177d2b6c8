"""Who gets which connection of one origin. Synchronous decisions only; the pool acts on them.

A slot is the right to have one connection in use; there are `max_connections`. Strategy:

- Newest idle connection first (LIFO): the hot ones stay hot, and the rest can expire.
- No idle one and a slot free: open a new connection in that slot.
- Neither: wait in line. A slot or connection that comes free goes to the head of the line directly, never past it:
  newcomers join behind whoever waits, so nobody starves.
- A grant is a value: a connection, or None for "open one". Whoever cannot use its grant gives it back (`release`,
  `free`), so an interruption between grant and use loses nothing.
"""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

C = TypeVar("C", bound=Hashable)


class Slots(Generic[C]):
    """The slots, idle connections and waiting line of one origin. C is the connection type (hashable)."""

    def __init__(self, size: int, max_idle: int) -> None:
        self._size = size
        self._max_idle = max_idle
        self._idle: dict[C, None] = {}
        self._line: deque[asyncio.Future[C | None]] = deque()
        self.in_use = 0

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def waiting(self) -> int:
        return sum(not waiter.done() for waiter in self._line)

    @property
    def deserted(self) -> bool:
        """Nothing in use, nothing kept, nobody waiting."""
        return not (self.in_use or self._idle or self._line)

    def take(self) -> C | None:
        """The newest idle connection and a slot for it, or None when there is none (or others wait for it)."""
        if not self._idle or self._line or self.in_use >= self._size:
            return None
        connection = self._idle.popitem()[0]
        self.in_use += 1
        return connection

    def reserve(self) -> bool:
        """A slot to open a new connection in, if one is free and nobody waits for it."""
        if self._line or self.in_use >= self._size:
            return False
        self.in_use += 1
        return True

    def queue(self, waiter: "asyncio.Future[C | None]") -> None:
        """Join the line; the future is given the grant."""
        self._line.append(waiter)

    def leave(self, waiter: "asyncio.Future[C | None]") -> None:
        """Leave the line without a grant."""
        if waiter in self._line:
            self._line.remove(waiter)

    def release(self, connection: C) -> bool:
        """The connection's exchange is over and it can serve another. False: too many are idle, so close it (its
        slot stays taken until `forget`)."""
        if self._line and (waiter := self._next()) is not None:
            waiter.set_result(connection)
            return True
        if len(self._idle) >= self._max_idle:
            return False
        self.in_use -= 1
        self._idle[connection] = None
        return True

    def free(self) -> None:
        """A slot is not used any more: it goes to the head of the line."""
        waiter = self._next()
        if waiter is not None:
            waiter.set_result(None)
        else:
            self.in_use -= 1

    def forget(self, connection: C) -> None:
        """A connection is gone: out of the idle ones, or its slot is free."""
        if connection in self._idle:
            del self._idle[connection]
        else:
            self.free()

    def dismiss(self, error: BaseException) -> None:
        """Send everyone in the line away with `error`."""
        while (waiter := self._next()) is not None:
            waiter.set_exception(error)

    def _next(self) -> "asyncio.Future[C | None] | None":
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():
                return waiter
        return None
