"""The HTTP/1.1 connection pool: our own `Transport`.

Strategy: forwarding is what this project exists for, and the client is most of what it costs, so the way of a small
request is short: encode the head, pop the newest idle connection, one write, one future, done. Everything else
(opening, waiting in line, streaming a body, repeating) leaves that way early and may cost what it costs.

Who gets which connection is decided synchronously in `slots.py`; this module acts on the decision: opens, waits, gives
back. What happens on a connection is in `connection.py`; when a request may be repeated is argued in `staleness.py`.

Invariant: every slot taken is given back by exactly one of `Site.released`, `Site.retired` or a failed `Site._open`,
all of them synchronous, so an interruption at any await leaks nothing.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable

import msgspec

from gateway.errors import ConnectFailed, DeadlineExceeded, Disconnected, PoolTimeout, TransportError
from gateway.outbox import Outbox
from gateway.ride import Signal
from gateway.seams import Origin, UpstreamRequest
from gateway.tasks import TaskGroup
from gateway.transport.connect import connect
from gateway.transport.connection import Connection
from gateway.transport.head import BodyFraming, Heads, host_of
from gateway.transport.limits import Limits
from gateway.transport.names import Names
from gateway.transport.response import PooledResponse
from gateway.transport.slots import Slots
from gateway.transport.staleness import may_repeat
from gateway.transport.tls import Contexts
from gateway.transport.whole import WholeReader


class OriginStats(msgspec.Struct, frozen=True):
    """Connections of one origin, now. `in_use` counts those being opened too."""

    origin: Origin
    open: int
    idle: int
    in_use: int
    waiting: int


class Pool:
    """Implements `gateway.seams.Transport` for one event loop. HTTP/1.1 only, no proxy: an origin that asks for
    either is refused."""

    def __init__(
        self, limits: Limits | None = None, on_error: Callable[[str, BaseException], None] | None = None
    ) -> None:
        """`on_error(name, exception)` hears of defects in background work."""
        self._limits = limits or Limits()
        self._sites: dict[Origin, Site] = {}
        self._heads = Heads()
        self._contexts = Contexts()
        self._tasks = TaskGroup(on_error or _ignore)
        self._names = Names(self._tasks)
        self.outbox: Outbox | None = None
        """Where whole requests are written to, if they are to leave together; else at once."""
        self._closed = False

    async def send(self, request: UpstreamRequest) -> PooledResponse:
        """See `Transport.send`.

        The response is returned as soon as its head is there, even if a streamed request body is still being sent;
        then no more of the body is sent, and the connection is closed after the response.
        """
        deadline = math.inf if request.deadline is None else request.deadline
        site = self._sites.get(request.origin) or self._settle(request.origin)
        try:
            writes = self._heads.encode(request, site.host)
            now = site.loop.time()
            if deadline <= now:
                raise DeadlineExceeded("the exchange's time was over before the request was sent")
        except TransportError:
            site.leave_if_deserted()
            raise
        connection = site.take(now) or await site.acquire(request, deadline)
        body = request.body
        if isinstance(body, bytes):
            response = await self._exchange(connection, request, writes, deadline)
            if not response.head_done:
                return await self.failed(request, response)
        else:
            response = await self._stream(connection, request, body, writes[0], deadline)
        if response.head_done:
            return response
        raise response.error or Disconnected("the connection was closed", sent=True)

    def ask(self, request: UpstreamRequest) -> "tuple[PooledResponse, Signal[bool]] | None":
        """Send a request that is bytes at once, on a connection that is idle; None: there is none, `send` it.

        Await the signal, and close the response if that is interrupted. Then the response's head is there, or it
        `failed`. It is `send` without a coroutine, for the usual case. Raises as `send` does.
        """
        site = self._sites.get(request.origin)
        if site is None:
            return None
        writes = self._heads.encode(request, site.host)
        now = site.loop.time()
        deadline = math.inf if request.deadline is None else request.deadline
        connection = site.take(now) if deadline > now else None
        if connection is None:
            return None
        response = connection.begin(request.method == "HEAD", request.timeouts.header, deadline)
        return response, connection.hand_over(response, writes, self.outbox)

    async def failed(self, request: UpstreamRequest, response: PooledResponse) -> PooledResponse:
        """What becomes of a request whose connection ended before the head of its response: repeated once, on another
        connection, if that is safe; else its error is raised."""
        if not may_repeat(request.method, bytes_body=True, unanswered=response.unanswered, unread=response.unread):
            raise response.error or Disconnected("the connection was closed", sent=True)
        site = self._sites.get(request.origin) or self._settle(request.origin)
        writes = self._heads.encode(request, site.host)
        deadline = math.inf if request.deadline is None else request.deadline
        again = await self._again(site, request, writes, deadline, proven=response.unread)
        if again.head_done:
            return again
        raise again.error or Disconnected("the connection was closed", sent=True)

    async def aclose(self) -> None:
        """Close every connection and wait until their sockets are closed. Requests under way end in `Disconnected`."""
        self._closed = True
        for site in list(self._sites.values()):
            site.close()
        await self._tasks.close()
        for site in list(self._sites.values()):
            await site.closed()

    def stats(self) -> list[OriginStats]:
        """One line per origin that has connections or waiters."""
        return [site.stats() for site in self._sites.values()]

    # --- the ways of a request ----------------------------------------------------------------------------------

    async def _exchange(
        self, connection: Connection, request: UpstreamRequest, writes: list[bytes], deadline: float
    ) -> PooledResponse:
        """A request that is bytes: hand it over and wait for the head."""
        response = connection.begin(request.method == "HEAD", request.timeouts.header, deadline)
        try:
            await connection.hand_over(response, writes)
        except BaseException:
            response.close()
            raise
        response.waiter = None
        return response

    async def _stream(
        self,
        connection: Connection,
        request: UpstreamRequest,
        body: AsyncIterator[bytes],
        head: bytes,
        deadline: float,
    ) -> PooledResponse:
        """A request with a streamed body: a task pumps it while this one waits for the head."""
        response = connection.begin(request.method == "HEAD", request.timeouts.header, deadline)
        waiter: Signal[bool] = Signal()
        response.waiter = waiter
        connection.write(head)
        pump = self._tasks.start(
            _pump(connection, response, body, BodyFraming(request.content_length)), "upstream request body"
        )
        try:
            await waiter
        except BaseException:
            response.close()
            raise
        finally:
            response.waiter = None
            if not pump.done():
                pump.cancel()
        return response

    async def _again(
        self, site: "Site", request: UpstreamRequest, writes: list[bytes], deadline: float, proven: bool
    ) -> PooledResponse:
        """The one retry, on a connection that has never been used. `proven`: the first try reached nobody."""
        try:
            connection = await site.acquire(request, deadline, fresh=True)
        except TransportError as error:
            error.sent = not proven
            raise
        return await self._exchange(connection, request, writes, deadline)

    # --- sites --------------------------------------------------------------------------------------------------

    def _settle(self, origin: Origin) -> "Site":
        if self._closed:
            raise ConnectFailed("the transport is closed")
        if origin.proxy is not None or origin.http2:
            raise ConnectFailed(f"{origin.host}: a proxy or HTTP/2 needs the httpx transport")
        if origin.scheme not in ("http", "https"):
            raise ConnectFailed(f"{origin.host}: the scheme is neither http nor https")
        site = Site(asyncio.get_running_loop(), origin, self._limits, self._contexts, self._names, self._leave)
        self._sites[origin] = site
        return site

    def _leave(self, site: "Site") -> None:
        """Forget an origin that has no connections: a reload may have replaced it for good."""
        if self._sites.get(site.origin) is site:
            del self._sites[site.origin]


class Site:
    """One origin: its slots, its open connections, and how to get one. Implements `connection.Keeper`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        origin: Origin,
        limits: Limits,
        contexts: Contexts,
        names: Names,
        leave: Callable[["Site"], None],
    ) -> None:
        self.loop = loop
        self.origin = origin
        self.host = host_of(origin)
        self._limits = limits
        self._contexts = contexts
        self._names = names
        self._leave = leave
        self._slots: Slots[Connection] = Slots(origin.max_connections, origin.max_idle)
        self._connections: set[Connection] = set()
        self._whole = WholeReader(limits.max_head, limits.max_headers)
        self._shut = False
        self._empty: asyncio.Future[None] | None = None

    def take(self, now: float) -> Connection | None:
        """The newest idle connection that is still good."""
        while (connection := self._slots.take()) is not None:
            if connection.usable(now):
                return connection
            connection.retire()
        return None

    async def acquire(self, request: UpstreamRequest, deadline: float, fresh: bool = False) -> Connection:
        """Open a connection, or wait in line for one; `fresh`: never one that was used before. Raises `PoolTimeout`
        and what `connect` raises."""
        if self._slots.reserve():
            return await self._open(request, deadline)
        connection = await self._wait_in_line(request, deadline)
        if connection is None:
            return await self._open(request, deadline)
        if connection.retired or fresh or not connection.usable(self.loop.time()):
            connection.retire()
            return await self.acquire(request, deadline, fresh)
        return connection

    async def _wait_in_line(self, request: UpstreamRequest, deadline: float) -> Connection | None:
        waiter: asyncio.Future[Connection | None] = self.loop.create_future()
        limit = self.loop.time() + request.timeouts.queue
        timer = self.loop.call_at(
            min(limit, deadline), _give_up, waiter, deadline <= limit, self.origin.max_connections
        )
        self._slots.queue(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._give_back(waiter.result())
            raise
        finally:
            timer.cancel()
            self._slots.leave(waiter)
            self.leave_if_deserted()

    def _give_back(self, grant: Connection | None) -> None:
        if grant is None:
            self._slots.free()
        elif not grant.retired:
            self.released(grant)

    async def _open(self, request: UpstreamRequest, deadline: float) -> Connection:
        """Open a connection in the slot already taken."""
        try:
            connection = await connect(
                self.origin,
                self._make,
                self._contexts,
                self._names,
                timeout=request.timeouts.connect,
                deadline=deadline,
            )
            if self._shut or connection.retired:
                connection.retire()
                raise ConnectFailed("the transport is closed" if self._shut else "the peer closed the new connection")
        except BaseException:
            self._slots.free()
            self.leave_if_deserted()
            raise
        self._connections.add(connection)
        return connection

    def _make(self) -> Connection:
        return Connection(self.loop, self, self._limits, self.origin.idle_seconds, self._whole)

    def stats(self) -> OriginStats:
        slots = self._slots
        return OriginStats(self.origin, len(self._connections), slots.idle, slots.in_use, slots.waiting)

    def close(self) -> None:
        """Close everything at once."""
        self._shut = True
        self._slots.dismiss(ConnectFailed("the transport is closed"))
        for connection in list(self._connections):
            connection.abandon(Disconnected("the transport was closed", sent=True))

    async def closed(self) -> None:
        """Wait until every socket is closed."""
        while self._connections:
            self._empty = self.loop.create_future()
            await self._empty

    def leave_if_deserted(self) -> None:
        """Be forgotten by the pool when nothing is open, opening or waited for."""
        if self._connections or not self._slots.deserted:
            return
        self._leave(self)
        if self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    # --- connection.Keeper --------------------------------------------------------------------------------------

    def released(self, connection: Connection) -> None:
        if not self._slots.release(connection):
            connection.retire()

    def retired(self, connection: Connection) -> None:
        # A connection that never got as far as `_open`'s end has no slot of its own: `_open` gives it back.
        if connection in self._connections:
            self._slots.forget(connection)

    def vanished(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self.leave_if_deserted()


def _give_up(waiter: "asyncio.Future[Connection | None]", deadline_first: bool, size: int) -> None:
    if waiter.done():
        return
    if deadline_first:
        waiter.set_exception(DeadlineExceeded("the exchange's time was over while waiting for a connection"))
    else:
        waiter.set_exception(PoolTimeout(f"all {size} connections to the provider are in use"))


async def _pump(
    connection: Connection, response: PooledResponse, body: AsyncIterator[bytes], framing: BodyFraming
) -> None:
    """Write a streamed request body as fast as the peer takes it. Its failure is the exchange's failure."""
    try:
        async for data in body:
            if framed := framing.chunk(data):
                if not connection.write(framed):
                    await connection.writable()
                if connection.retired:
                    return
        if end := framing.end():
            connection.write(end)
        connection.request_done(response)
    except asyncio.CancelledError:
        # After an early response we are cancelled on purpose, and the response must still be read.
        if not response.head_done:
            connection.fail(response, Disconnected("the request body was cancelled", sent=True))
        raise
    except Exception as error:
        # The body comes from our caller, so its own errors go back to the caller as they are.
        connection.fail(response, error)


def _ignore(name: str, error: BaseException) -> None: ...
