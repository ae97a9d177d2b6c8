"""One target asked once, up to the point where its answer may be committed: a whole body (up to a cap), or a stream's
first data event. What every attempt sends (`Outgoing`) and what it brings (`Answer`).
"""

from typing import Protocol

import msgspec

from gateway import errors
from gateway.dialects.outline import Outline
from gateway.dialects.unserved import is_error, unserved
from gateway.errors import TransportError
from gateway.facts import Attempt, Exchange, Operation, Reading
from gateway.limits.turnstile import Place
from gateway.routing.table import Provider, Route, Target
from gateway.seams import Clock, Dialect, Headers, Late, StreamReader, UpstreamRequest, UpstreamResponse
from gateway.transport.head import encode_opening
from gateway.wire.head import Head
from gateway.wire.headers import header
from gateway.wire.sse import BOM, SseEvent, SseParser
from gateway.wire.traceparent import TRACEPARENT
from gateway.world import World

BUFFER_CAP = 8 * 1024 * 1024
"""Bytes. A larger answer is passed on while it comes: no fail-over and no cost header for it."""
_NO_HEADERS: Headers = []


class Outgoing(msgspec.Struct):
    """What every attempt sends, but for what each target changes of it."""

    operation: Operation
    route: Route
    head: Head
    request_id: bytes
    path: bytes
    """Below the provider's base URL."""
    query: bytes
    body: bytes
    reading: Reading
    dialect: Dialect
    max_event: int
    outline: Outline | None = None
    """Of a huge body: what its long strings are left out of."""
    limits: "ProviderLimits | None" = None
    """What each attempt is asked by; None: no rule looks at the provider."""
    place: Place | None = None
    """The place held at the provider that is at work, if its capacity is limited."""

    @property
    def skeleton(self) -> bytes:
        """The body, of a huge one without the insides of its long strings: for who wants something else of it."""
        return self.body if self.outline is None else self.outline.skeleton

    def written(self, model: str, asks_usage: bool) -> bytes:
        """The body for one target."""
        if self.outline is None:
            return self.dialect.rewrite(self.reading, self.body, model, asks_usage)
        return self.outline.filled(self.dialect.rewrite(self.reading, self.outline.skeleton, model, asks_usage))

    def failed(self) -> None:
        """It served nothing; another is asked."""
        self.leave()
        if self.limits is not None:
            self.limits.leave()

    def leave(self) -> None:
        """That provider has done its work."""
        if self.place is not None:
            self.place.leave()
            self.place = None


class ProviderLimits(Protocol):
    """Limits that can only be counted once the provider is known. `gateway.admission.Admission` is one."""

    async def enter(self, provider: str) -> None:
        """Take an attempt's turn. Raises `ProviderLimited`."""
        ...

    def leave(self) -> None:
        """The attempt that was let in has failed: it used nothing."""
        ...


class OpenStream(msgspec.Struct):
    """A stream whose first data event has come."""

    parser: SseParser
    reader: StreamReader
    first: list[SseEvent]
    """Events read so far, the first data event among them."""


class Answer(msgspec.Struct):
    """What a provider answered, ready to be committed."""

    target: Target
    response: UpstreamResponse
    body: bytes = b""
    """What was read of a unary body; all of it if `whole`."""
    whole: bool = False
    stream: OpenStream | None = None
    plain: bytes | None = None
    """A whole body without its content-encoding, once its usage was read from it."""
    ticket: int = 0
    """The attempt's, of its target's circuit breaker."""
    failed: bool = False
    """Its status is one of success, and its body an error of the provider's."""


class FirstEventTimeout(TransportError):
    """No data event within `first_event` seconds."""


class EmptyStream(TransportError):
    """The stream ended before its first data event."""


class ErrorEvent(TransportError):
    """The provider itself ended a stream with an error event, after it had begun."""


class ErrorAnswer(TransportError):
    """The provider answered with an error under a status of success."""


class CompressedAnswer(TransportError):
    """The provider compressed its answer though it was asked not to, in a way that is not read here: it was passed on,
    and what it used is not known."""

    def __init__(self) -> None:
        super().__init__("it compressed its answer though identity was asked for; it was passed on unpriced", sent=True)


class UnservedAnswer(TransportError):
    """Whoever answered, with a status of success, did not serve: what came is no answer to any operation."""


async def ask(world: World, x: Exchange, out: Outgoing, target: Target, attempt: Attempt, ticket: int) -> Answer:
    """One target asked once, up to the point where its answer may be committed."""
    provider = target.provider
    started = x.forwarded_at = world.clock.monotonic()
    body = out.body
    if out.reading.model != target.model or out.reading.stream:
        body = out.written(target.model, provider.asks_usage)
    target_path = target_of(provider, out.path, out.query)
    traceparent = None if world.traces is None else world.traces.traceparent(x)
    headers, opening = _headers(out, provider, target_path, traceparent)
    request = UpstreamRequest(
        provider.origin,
        "POST",
        target_path,
        headers,
        body,
        None,
        provider.stream_timeouts if out.reading.stream else provider.timeouts,
        started + provider.timeouts.total,
        opening,
    )
    response: UpstreamResponse | None = None
    try:
        asked = world.pool.ask(request) if provider.transport == "pool" else None
        if asked is None:
            response = await world.transport(provider).send(request)
        else:
            pooled, head_came = asked
            response = pooled
            await head_came
            if not pooled.head_done:
                response = await world.pool.failed(request, pooled)
        x.headers_at = world.clock.monotonic()
        attempt.status = response.status
        if out.reading.stream and response.status < 300 and is_event_stream(response.headers):
            encoding = header(response.headers, b"content-encoding")
            if encoding is not None and encoding.lower() != b"identity":
                raise errors.UnreadableStream("it is compressed though identity was asked for", sent=True)
            stream = await _open_stream(out, response, started + provider.timeouts.first_event)
            return Answer(target, response, stream=stream, ticket=ticket)
        arrived, whole = response.whole(), True
        if arrived is None:
            arrived, whole = await _read_whole(response, world.clock, provider.timeouts.idle)
        return Answer(target, response, arrived, whole, ticket=ticket, failed=_judged(response, arrived, whole))
    except BaseException as error:
        if response is not None:
            response.close()
        world.circuits.broke(target, ticket, error, world.clock.monotonic())
        raise
    finally:
        attempt.seconds = world.clock.monotonic() - started


def _headers(
    out: Outgoing, provider: Provider, target: bytes, traceparent: bytes | None
) -> tuple[Headers, bytes | None]:
    """The request's headers: for our own pool encoded with all that stands before them, made once per head and
    provider. `traceparent`: of this attempt, in place of the client's."""
    auth = provider.auth[out.operation.wire]
    if provider.transport != "pool":
        own = [(b"x-request-id", out.request_id)]
        if traceparent is None:
            return [*out.head.forward, *own, *auth], None
        return [*out.head.forward_traced, *own, (TRACEPARENT, traceparent), *auth], None
    known = out.head.openings.get(provider.name)
    if known is None or known[0] is not auth or known[1] != target:
        fields = out.head.forward if traceparent is None else out.head.forward_traced
        known = auth, target, encode_opening(provider.origin, "POST", target, [*fields, *auth])
        out.head.openings[provider.name] = known
    if traceparent is None:
        return _NO_HEADERS, b"%bx-request-id: %b\r\n" % (known[2], out.request_id)
    return _NO_HEADERS, b"%bx-request-id: %b\r\ntraceparent: %b\r\n" % (known[2], out.request_id, traceparent)


async def _open_stream(out: Outgoing, response: UpstreamResponse, deadline: float) -> OpenStream:
    """Read up to the first data event. Comments before it are kept, but do not count."""
    stream = OpenStream(SseParser(out.max_event), out.dialect.stream(out.reading), [])
    while True:
        try:
            chunk = await response.chunk(deadline)
        except Late:
            raise FirstEventTimeout("no data event came in time", sent=True) from None
        found = False
        for event in stream.parser.feed(chunk) if chunk else stream.parser.close():
            if event.data is None:
                stream.first.append(event)
            elif stream.reader.event(event.name, event.data):
                stream.first.append(event)
                found = True
        if found:
            head = stream.first[0]
            if head.raw.startswith(BOM):
                # Readers skip it by the specification, and the official SDKs lose the first event to it.
                stream.first[0] = msgspec.structs.replace(head, raw=head.raw[len(BOM) :])
            return stream
        if not chunk:
            raise EmptyStream("the stream ended before its first event", sent=True)


async def _read_whole(response: UpstreamResponse, clock: Clock, idle: float) -> tuple[bytes, bool]:
    """The body, and whether that is all of it (it is not when it passes `BUFFER_CAP`)."""
    body = await _piece(response, clock, idle)
    if not body:
        return b"", True
    following = await _piece(response, clock, idle)
    if not following:
        return body, True
    pieces = [body, following]
    size = len(body) + len(following)
    while size <= BUFFER_CAP:
        following = await _piece(response, clock, idle)
        if not following:
            return b"".join(pieces), True
        pieces.append(following)
        size += len(following)
    return b"".join(pieces), False


def _judged(response: UpstreamResponse, body: bytes, whole: bool) -> bool:
    """Whether a body is an error under a status of success. Raises `UnservedAnswer` when nobody served."""
    if response.status >= 300:
        return False
    if body[:1] != b"{":
        kind = header(response.headers, b"content-type") or b""
        coding = header(response.headers, b"content-encoding") or b""
        if what := unserved(body, kind, coding.lower()):
            raise UnservedAnswer(f"it answered {response.status} with {what}", sent=True)
    return whole and is_error(body)


async def _piece(response: UpstreamResponse, clock: Clock, idle: float) -> bytes:
    try:
        return await response.chunk(clock.monotonic() + idle)
    except Late:
        raise errors.DeadlineExceeded("the body stopped coming", sent=True) from None


def target_of(provider: Provider, path: bytes, query: bytes) -> bytes:
    """Path and query at the provider, for a path below /v1."""
    return provider.base_path + path + b"?" + query if query else provider.base_path + path


def is_event_stream(headers: Headers) -> bool:
    """Whether an answer is a stream of server-sent events."""
    for name, value in headers:
        if name == b"content-type":
            return value[:17].lower() == b"text/event-stream"
    return False
