"""A response as its reader sees it: head, buffered body, and how it ended.

The connection writes into it while bytes come; the caller reads from it, perhaps long after the connection went on to
serve others.
"""

import asyncio
import math
from collections.abc import Awaitable
from typing import Protocol

from gateway.errors import Disconnected
from gateway.ride import Signal
from gateway.seams import Headers, Late, Relay
from gateway.transport.whole import whole_chunk


class Flow(Protocol):
    """What a response asks of its connection."""

    def wait(self, response: "PooledResponse", before: float) -> Awaitable[bool]:
        """To be awaited for the next body bytes; True when `before` came first."""
        ...

    def drained(self, response: "PooledResponse") -> None:
        """The response's buffer is empty: read on, if reading had been stopped."""
        ...

    def retire(self) -> None:
        """Close the connection at once."""
        ...


class PooledResponse:
    """Implements `gateway.seams.UpstreamResponse`. The connection writes into it; the caller reads from it."""

    # Beginnings stand on the class: one is made for every request, and most of them never change.
    status = 0
    until = math.inf
    """When the present wait (for the head, or for a chunk) is over."""
    waiter: Signal[bool] | None = None
    """Set to True when `until` passed, else to False."""
    head_done = False
    complete = False
    request_done = False
    size = 0
    error: BaseException | None = None
    relay: Relay | None = None
    """Who is offered whole chunks while `chunk` is awaited."""
    unanswered = False
    """It failed without a single response byte, on a connection that had served before."""
    unread = False
    """Proven: the peer never received a byte of the request."""

    def __init__(self, connection: "Flow", bodyless: bool, header_timeout: float, deadline: float) -> None:
        self.headers: Headers = []
        self.connection = connection
        self.bodyless = bodyless
        """The request was HEAD: whatever the head says, no body follows (RFC 9112 section 6.3, rule 1)."""
        self.header_timeout = header_timeout
        self.deadline = deadline
        self.parts: list[bytes] = []

    async def chunk(self, before: float | None = None) -> bytes:
        """See `UpstreamResponse.chunk`. Everything that is buffered comes as one piece."""
        if self.parts:
            return self._take()
        if self.complete:
            return b""
        if self.error is None:
            waiter = self.connection.wait(self, math.inf if before is None else before)
            try:
                if await waiter:
                    raise Late
            except asyncio.CancelledError:
                self.close()
                raise
            finally:
                self.waiter = None
            if self.parts:
                return self._take()
        if self.error is not None:
            raise self.error
        return b""

    def whole(self) -> bytes | None:
        """See `UpstreamResponse.whole`."""
        if not self.complete or not self.parts:
            return None
        return self._take()

    def offer(self, relay: Relay | None) -> None:
        """See `UpstreamResponse.offer`."""
        self.relay = relay

    def relayed(self, data: bytes) -> bool:
        """Whether the relay took what was read, for its reader, who waits for a chunk."""
        relay, waiter = self.relay, self.waiter
        start = whole_chunk(data) if waiter is not None and not self.parts else 0
        if relay is None or waiter is None or not start:
            return False
        until = relay(data, start)
        if until > 0.0:
            self.until = until
        elif until < 0.0:
            waiter.fire(False)
        return until != 0.0

    def close(self) -> None:
        """See `UpstreamResponse.close`. Once the last byte has come, the connection has long been given back."""
        if self.complete or self.error is not None:
            return
        self.parts.clear()
        self.error = Disconnected("the response was closed before its end", sent=True)
        self.connection.retire()

    def _take(self) -> bytes:
        parts = self.parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.size = 0
        self.connection.drained(self)
        return data

    def wake(self, late: bool) -> None:
        """Wake whoever waits for the head or for a chunk."""
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(late)
