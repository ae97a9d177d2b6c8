"""The alternative `Transport`, on httpx: for providers behind an egress proxy, or that need HTTP/2.

It stands on `httpx.AsyncHTTPTransport`, the layer below `AsyncClient`: the client would keep cookies, merge default
headers, follow the environment's proxy variables and log every request line, none of which a gateway may do.

Strategy: httpx times each socket operation; the seam times phases. So httpx's own time-outs are off (except for its
pool), one `asyncio.timeout` spans `send`, and httpcore's trace events move its limit from phase to phase.
`chunk(before)` must not lose data, but interrupting an httpx read closes the connection; so the read runs in a task
that outlives a `Late`.

Where httpx behaves differently from the pool, `tests/conformance/transport/` says so, with the reason.
"""

import asyncio
import contextlib
import math
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping

import httpx

from gateway.errors import (
    ConnectFailed,
    ConnectTimeout,
    DeadlineExceeded,
    Disconnected,
    HeaderTimeout,
    PoolTimeout,
    ProtocolBroken,
    TransportError,
)
from gateway.ride import in_task
from gateway.seams import Headers, Late, Origin, Relay, UpstreamRequest
from gateway.tasks import TaskGroup
from gateway.transport import tls
from gateway.transport.head import BodyFraming, Heads, host_of, streamed_framing
from gateway.transport.limits import Limits
from gateway.transport.staleness import may_repeat


class HttpxTransport:
    """Implements `gateway.seams.Transport`. HTTP/1.1 or HTTP/2 (`Origin.http2`), directly or by `Origin.proxy`."""

    def __init__(
        self, limits: Limits | None = None, on_error: Callable[[str, BaseException], None] | None = None
    ) -> None:
        """`on_error(name, exception)` hears of defects in background work."""
        self._limits = limits or Limits()
        self._transports: dict[Origin, httpx.AsyncHTTPTransport] = {}
        self._heads = Heads()
        self._tasks = TaskGroup(on_error or _ignore)
        self._attempts: set[_Attempt] = set()
        self._responses: set[HttpxResponse] = set()
        self._closed = False

    async def send(self, request: UpstreamRequest) -> "HttpxResponse":
        """See `Transport.send`. A streamed request body is sent to its end before the response is read."""
        if self._closed:
            raise ConnectFailed("the transport is closed")
        await in_task()
        deadline = math.inf if request.deadline is None else request.deadline
        if deadline <= asyncio.get_running_loop().time():
            raise DeadlineExceeded("the exchange's time was over before the request was sent")
        self._heads.check(request)
        transport = await self._transport(request.origin)
        attempt = _Attempt(request, deadline)
        try:
            response = await self._try(attempt, transport)
        except Disconnected:
            unanswered = attempt.kept and attempt.unanswered
            bytes_body = isinstance(request.body, bytes)
            if not may_repeat(request.method, bytes_body=bytes_body, unanswered=unanswered, unread=False):
                raise
            response = await self._try(_Attempt(request, deadline), transport)
        answer = HttpxResponse(response, self._tasks, self._responses, deadline)
        if (fault := _fault(answer, self._limits)) is not None:
            answer.close()
            raise ProtocolBroken(fault, sent=True)
        return answer

    async def aclose(self) -> None:
        """See `Transport.aclose`. Requests under way end in `Disconnected`."""
        self._closed = True
        # httpcore would leave requests that wait for a socket waiting, and serve those in line over new connections.
        ending = Disconnected("the transport was closed", sent=True)
        for attempt in self._attempts:
            attempt.end(ending)
        while self._attempts:
            await next(iter(self._attempts)).over.wait()
        shutting = [response.give_up(ending) for response in list(self._responses)]
        if shutting:
            await asyncio.wait(shutting)
        await self._tasks.close()
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()

    async def _try(self, attempt: "_Attempt", transport: httpx.AsyncHTTPTransport) -> httpx.Response:
        self._attempts.add(attempt)
        try:
            return await attempt.run(transport)
        finally:
            self._attempts.discard(attempt)
            attempt.over.set()

    async def _transport(self, origin: Origin) -> httpx.AsyncHTTPTransport:
        if (transport := self._transports.get(origin)) is not None:
            return transport
        if origin.proxy is not None and origin.tls is not None and origin.tls.server_name is not None:
            raise ConnectFailed(f"{origin.host}: tls.server_name cannot be used together with a proxy")
        if origin.scheme == "http":
            # httpx insists on a context; this one is never used, and would trust nobody.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        else:
            context = await asyncio.get_running_loop().run_in_executor(None, tls.build, origin.tls or tls.SYSTEM)
        try:
            transport = httpx.AsyncHTTPTransport(
                verify=context,
                trust_env=False,
                http2=origin.http2,
                limits=httpx.Limits(
                    max_connections=origin.max_connections,
                    max_keepalive_connections=origin.max_idle,
                    keepalive_expiry=origin.idle_seconds,
                ),
                proxy=origin.proxy,
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            # The message would repeat the URL, and with it the proxy's password.
            raise ConnectFailed(f"{origin.host}: the proxy URL cannot be used") from None
        return self._transports.setdefault(origin, transport)


class HttpxResponse:
    """Implements `gateway.seams.UpstreamResponse`."""

    def __init__(
        self, response: httpx.Response, tasks: TaskGroup, opened: "set[HttpxResponse]", deadline: float
    ) -> None:
        self.status = response.status_code
        self.headers: Headers = [(name.lower(), value) for name, value in response.headers.raw]
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._parts = response.stream.__aiter__()
        self._tasks = tasks
        self._deadline = deadline
        self._read: asyncio.Task[bytes | TransportError] | None = None
        """The read under way; it outlives a `Late`."""
        self.complete = False
        self._error: TransportError | None = None
        self._opened = opened
        opened.add(self)

    async def chunk(self, before: float | None = None) -> bytes:
        """See `UpstreamResponse.chunk`."""
        if self._error is not None:
            raise self._error
        if self.complete:
            return b""
        read = self._read
        if read is None:
            read = self._read = self._tasks.start(self._next(), "upstream response body")
        await self._wait(read, math.inf if before is None else before)
        self._read = None
        if read.cancelled():
            raise self._error or Disconnected("the response was closed", sent=True)
        data = read.result()
        if isinstance(data, TransportError):
            self._error = self._error or data
            self._opened.discard(self)
            raise self._error
        if not data:
            self.complete = True
            self._opened.discard(self)
        return data

    def whole(self) -> bytes | None:
        """See `UpstreamResponse.whole`: httpx does not tell, so the body is read piece by piece."""
        return None

    def offer(self, relay: Relay | None) -> None:
        """See `UpstreamResponse.offer`: httpx hands over what it has read, not what has just come."""

    def close(self) -> None:
        """See `UpstreamResponse.close`. The socket is closed a turn of the event loop later."""
        if not self.complete and self._error is None:
            self.give_up(Disconnected("the response was closed before its end", sent=True))

    async def _wait(self, read: "asyncio.Task[bytes | TransportError]", before: float) -> None:
        loop = asyncio.get_running_loop()
        limit = min(before, self._deadline)
        try:
            await asyncio.wait((read,), timeout=max(0.0, limit - loop.time()) if limit < math.inf else None)
        except asyncio.CancelledError:
            self.close()
            raise
        if read.done():
            return
        if self._deadline <= before:
            error = DeadlineExceeded("the exchange's time was over", sent=True)
            self.give_up(error)
            raise error
        raise Late

    async def _next(self) -> bytes | TransportError:
        """Errors are values here: they are the reader's, not a defect of background work."""
        try:
            async for data in self._parts:
                if data:
                    return data
        except (httpx.HTTPError, ssl.SSLError) as error:
            return _translated(error, sent=True)
        await self._stream.aclose()
        return b""

    def give_up(self, error: TransportError) -> "asyncio.Task[None]":
        """End an incomplete response with `error`; the task returned closes its connection."""
        self._error = error
        self._opened.discard(self)
        return self._tasks.start(self._shut(self._read), "closing an upstream response")

    async def _shut(self, read: "asyncio.Task[bytes | TransportError] | None") -> None:
        if read is not None:
            read.cancel()
            await asyncio.wait((read,))
        with contextlib.suppress(httpx.HTTPError, ssl.SSLError):
            await self._stream.aclose()


class _Attempt:
    """One way through httpcore, followed by its trace events."""

    def __init__(self, request: UpstreamRequest, deadline: float) -> None:
        self._request = request
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._scope = asyncio.timeout_at(_or_none(deadline))
        self._late: TransportError = DeadlineExceeded("the exchange's time was over")
        self._sent = False
        self.kept = True
        """The connection had served before: nothing was opened."""
        self.unanswered = False
        self.over = asyncio.Event()
        self._ending: TransportError | None = None

    def end(self, error: TransportError) -> None:
        """Interrupt `run` with `error`."""
        self._ending = error
        if not self._scope.expired():
            self._scope.reschedule(self._loop.time())

    async def run(self, transport: httpx.AsyncHTTPTransport) -> httpx.Response:
        try:
            async with self._scope:
                return await transport.handle_async_request(self._message())
        except TimeoutError:
            if not self._scope.expired():
                raise  # the request body's own
            if self._ending is not None:
                raise self._ending from None
            # Not the clock: a loop's timer may fire a little early.
            if (when := self._scope.when()) is not None and when >= self._deadline:
                raise DeadlineExceeded("the exchange's time was over", sent=self._sent) from None
            raise self._late from None
        except (httpx.HTTPError, ssl.SSLError) as error:
            self.unanswered = str(error).startswith("Server disconnected without")
            raise _translated(error, self._sent) from None

    def _message(self) -> httpx.Request:
        request = self._request
        origin = request.origin
        headers: Headers = [(b"host", host_of(origin)), *request.headers]
        body = request.body
        if not isinstance(body, bytes):
            headers.append(streamed_framing(request))
            stream: httpx.AsyncByteStream = _Stream(body, request.content_length)
        else:
            if body or request.method in ("POST", "PUT", "PATCH"):
                headers.append((b"content-length", b"%d" % len(body)))
            stream = httpx.ByteStream(body)
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        url = httpx.URL(f"{origin.scheme}://{host}:{origin.port}")
        # `raw_path` is taken as it is: httpx would normalise a path that came by its constructor.
        url = url.copy_with(raw_path=request.target)
        extensions: dict[str, object] = {"timeout": {"pool": request.timeouts.queue}, "trace": self._trace}
        if origin.tls is not None and origin.tls.server_name is not None:
            extensions["sni_hostname"] = origin.tls.server_name
        return httpx.Request(request.method, url, headers=headers, stream=stream, extensions=extensions)

    async def _trace(self, event: str, info: Mapping[str, object]) -> None:
        if self._ending is not None:
            return
        timeouts = self._request.timeouts
        phase = event.partition(".")[2]
        if phase == "connect_tcp.started":
            self.kept = False
            self._limit(timeouts.connect, ConnectTimeout(f"no connection within {timeouts.connect:g} s"))
        elif phase == "send_request_headers.started":
            self._sent = True
            self._scope.reschedule(_or_none(self._deadline))
        elif phase == "send_request_body.complete":
            self._limit(timeouts.header, HeaderTimeout(f"no response head within {timeouts.header:g} s", sent=True))

    def _limit(self, seconds: float, late: TransportError) -> None:
        self._late = late
        self._scope.reschedule(_or_none(min(self._loop.time() + seconds, self._deadline)))


class _Stream(httpx.AsyncByteStream):
    """A streamed request body, held to its declared length."""

    def __init__(self, body: AsyncIterator[bytes], content_length: int | None) -> None:
        self._body = body
        self._framing = BodyFraming(content_length)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._body:
            self._framing.chunk(data)
            if data:
                yield data
        self._framing.end()


def _fault(response: HttpxResponse, limits: Limits) -> str | None:
    """What h11 lets pass and the pool does not (RFC 9112 section 6.3)."""
    names = [name for name, _ in response.headers]
    if response.status == 101:
        return "peer switched protocols unasked (101)"
    if b"content-length" in names and b"transfer-encoding" in names:
        return "response has both content-length and transfer-encoding"
    if len(names) > limits.max_headers:
        return "response has too many header fields"
    if sum(len(name) + len(value) + 4 for name, value in response.headers) > limits.max_head:
        return "response head is larger than allowed"
    return None


def _or_none(at: float) -> float | None:
    return at if at < math.inf else None


def _translated(error: httpx.HTTPError | ssl.SSLError, sent: bool) -> TransportError:
    """httpx's errors as ours. The text of connection errors is made here: httpx's may hold a proxy URL. What TLS says
    after the handshake (an alert, a bad record) httpx lets through as it is."""
    if isinstance(error, httpx.PoolTimeout):
        return PoolTimeout("all connections to the provider are in use")
    if isinstance(error, httpx.ProxyError):
        return ConnectFailed(f"the proxy refused: {error}")
    if isinstance(error, httpx.ConnectError):
        return ConnectFailed(f"cannot connect: {_cause(error)}")
    if isinstance(error, httpx.RemoteProtocolError):
        text = str(error)
        if "disconnected" in text or "closed connection" in text:
            return Disconnected("the connection was closed before the response was complete", sent=True)
        return ProtocolBroken("peer broke HTTP", sent=True)
    if isinstance(error, (httpx.NetworkError, httpx.TimeoutException, ssl.SSLError)):
        words = _told(error)
        return Disconnected(f"the connection was broken ({words})" if words else "the connection was broken", sent=True)
    return ProtocolBroken(f"the request or its answer is not valid HTTP: {type(error).__name__}", sent=sent)


def _cause(error: BaseException) -> str:
    return _told(error) or "the connection was refused or closed"


def _told(error: BaseException) -> str | None:
    """What TLS or the system says among what led to `error`."""
    at: BaseException | None = error
    while at is not None:
        if (words := tls.failure(at)) is not None:
            return words
        if isinstance(at, OSError) and at.errno is not None and not isinstance(at, ssl.SSLError):
            return os.strerror(at.errno).lower()
        at = at.__cause__ or at.__context__
    return None


def _ignore(name: str, error: BaseException) -> None: ...
