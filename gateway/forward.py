"""The route and forward stages: what a model name means, and the walk over its targets until one serves.

An attempt is over only when the answer may be committed: a whole body (up to a cap), or a stream's first data event.
Until then a time-out, a 429 or a 5xx can still move on to the next target without the client noticing.
"""

import asyncio
import difflib
import math
from collections.abc import Generator
from typing import Protocol

import msgspec

from gateway import errors
from gateway.errors import CircuitOpen, Forbidden, NotFound, Refusal, TransportError, UpstreamBroken, UpstreamTimeout
from gateway.facts import Attempt, Exchange, ModelScope, Operation, Reading
from gateway.limits.turnstile import Place
from gateway.routing.plan import Failed, Try, first_try, moves_on, order, tries
from gateway.routing.retry_after import retry_after
from gateway.routing.switches import Switches
from gateway.routing.table import Provider, Route, RouteTable, Target
from gateway.seams import Clock, Dialect, Headers, Late, StreamReader, UpstreamRequest, UpstreamResponse
from gateway.telemetry.logs import alert
from gateway.transport.head import encode_opening
from gateway.wire.head import Head
from gateway.wire.headers import header
from gateway.wire.sse import SseEvent, SseParser
from gateway.wire.traceparent import TRACEPARENT
from gateway.world import World

BUFFER_CAP = 8 * 1024 * 1024
"""Bytes. A larger answer is passed on while it comes: no fail-over and no cost header for it."""
_NO_HEADERS: Headers = []
LONGEST_HINT = 60
"""Seconds; the largest `retry-after` of a provider at capacity, which is a guess."""
DISCARD_CAP = 256 * 1024
"""Bytes. An error answer larger than this is not kept while another target is tried."""


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
    limits: "ProviderLimits | None" = None
    """What each attempt is asked by; None: no rule looks at the provider."""
    place: Place | None = None
    """The place held at the provider that is at work, if its capacity is limited."""

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


class FirstEventTimeout(TransportError):
    """No data event within `first_event` seconds."""


class EmptyStream(TransportError):
    """The stream ended before its first data event."""


def find_route(routes: RouteTable, allowed: ModelScope, model: str) -> Route:
    """The route of the model asked for, if it is among the allowed ones."""
    route = routes.find(model)
    if route is None:
        raise NotFound(
            f"The model '{model[:200]}' does not exist here.{_nearest(routes, allowed, model)}", param="model"
        )
    if not allowed.allows(model):
        raise Forbidden(f"This key may not use the model '{model[:200]}'.", param="model")
    return route


def _nearest(routes: RouteTable, allowed: ModelScope, model: str) -> str:
    """Names that were probably meant, among those this caller may use."""
    names = [name for name in routes.names() if allowed.allows(name)]
    close = difflib.get_close_matches(model[:200], names, 3, 0.5)
    return f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


async def forward(
    world: World, routes: RouteTable, x: Exchange, out: Outgoing, switches: Switches | None = None
) -> Answer:
    """The answer of the first target that serves. Raises a `Refusal` when none did and none had anything to say; the
    last HTTP answer of a provider, whatever its status, is preferred to that."""
    if switches is None or not switches.routed:
        targets = order(out.route, routes, world.health, world.chance, world.clock.monotonic())
    else:
        targets = _running(world, routes, x, out.route, switches)
    circuits = world.circuits
    if circuits.watching:
        targets = circuits.choose(targets, world.clock.monotonic())
    walk: Generator[Try, Failed] | None = None  # only needed once a try has failed
    step = first_try(out.route, targets)
    spoken: Answer | None = None
    broken: TransportError | None = None
    while True:
        if step.wait:
            await asyncio.sleep(step.wait)
        provider = step.target.provider
        attempt = Attempt(provider=provider.name, model=step.target.model)
        pause: float | None = None
        try:
            if out.limits is not None:
                await out.limits.enter(provider.name)
            if provider.capacity is not None:
                out.place = await enter(world, x, provider)
            ticket = 0
            if circuits.watching:
                must = len(targets) == 1 or (step.last and not x.attempts)
                ticket = circuits.enter(step.target, must, world.clock.monotonic())
            # Not before: who leaves while waiting for a place has cost the provider nothing.
            x.attempts = [*x.attempts, attempt] if x.attempts else [attempt]
            answer = await _attempt(world, x, out, step.target, attempt, ticket)
        except TransportError as error:
            out.failed()
            attempt.error = type(error).__name__
            if isinstance(error, errors.AtCapacity | errors.ProviderLimited):
                x.attempts = [*(x.attempts or ()), attempt]
            broken = broken if broken is not None and isinstance(error, CircuitOpen) else error
        else:
            status = answer.response.status
            if answer.whole:
                out.leave()
            if not moves_on(status) and not (answer.stream is not None and answer.stream.reader.failed):
                if status < 400:
                    world.health.answered(step.target, status, None, world.clock.monotonic())
                if circuits.watching:
                    circuits.answered(step.target, answer.ticket, status, world.clock.monotonic())
                return answer
            pause = _note_refusal(world, answer)
            spoken = answer
        if world.traces is not None and x.attempts and x.attempts[-1] is attempt:
            x.failed_at = [*(x.failed_at or ()), x.forwarded_at]
        if step.last:
            break
        if spoken is not None:
            spoken.response.close()
            out.failed()
        if walk is None:
            walk = tries(out.route, targets)
            next(walk)
        try:
            step = walk.send(Failed(attempt, pause))
        except StopIteration:
            break
    if spoken is not None:
        return _presentable(spoken)
    assert broken is not None
    raise refusal_of(broken, step.target.provider) from broken


def at_work(attempt: Attempt) -> bool:
    """Whether the provider of an exchange's last attempt is still at work on it. It is not when the attempt has failed,
    and the exchange waits for a place at the next provider, or for another round."""
    return not attempt.error and not moves_on(attempt.status)


def _running(world: World, routes: RouteTable, x: Exchange, route: Route, switches: Switches) -> list[Target]:
    """The targets to try, without what an operator has stopped. Raises `Stopped`."""
    without = switches.stopped_models([*routes.exact, *route.fallbacks], x.received_ns)
    found = order(route, routes, world.health, world.chance, world.clock.monotonic(), without)
    return switches.running(found, x.received_ns)


async def enter(world: World, x: Exchange, provider: Provider) -> Place:
    """A place at a provider of limited capacity, perhaps after a wait. Raises `AtCapacity`."""
    caller = x.caller
    assert caller is not None
    turnstile = world.turnstiles.at(provider.name)
    place = turnstile.enter_now(caller.team, caller.weight, caller.priority)
    if place is None:
        place = await turnstile.enter(caller.team, caller.weight, caller.priority)
    return place


async def _attempt(world: World, x: Exchange, out: Outgoing, target: Target, attempt: Attempt, ticket: int) -> Answer:
    """One target asked once, up to the point where its answer may be committed."""
    provider = target.provider
    started = x.forwarded_at = world.clock.monotonic()
    body = out.body
    if out.reading.model != target.model or out.reading.stream:
        body = out.dialect.rewrite(out.reading, body, target.model, provider.asks_usage)
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
            if header(response.headers, b"content-encoding") not in (None, b"identity"):
                raise errors.ProtocolBroken("a compressed event stream, though identity was asked for", sent=True)
            stream = await _open_stream(out, response, started + provider.timeouts.first_event)
            return Answer(target, response, stream=stream, ticket=ticket)
        arrived = response.whole()
        if arrived is not None:
            return Answer(target, response, arrived, True, ticket=ticket)
        body, whole = await _read_whole(response, world.clock, provider.timeouts.idle)
        return Answer(target, response, body, whole, ticket=ticket)
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


async def _piece(response: UpstreamResponse, clock: Clock, idle: float) -> bytes:
    try:
        return await response.chunk(clock.monotonic() + idle)
    except Late:
        raise errors.DeadlineExceeded("the body stopped coming", sent=True) from None


def _note_refusal(world: World, answer: Answer) -> float | None:
    """Tell health and the circuit breaker what a provider refused with, or that its stream began with an error; returns
    its `retry-after`, seconds."""
    target, response, now = answer.target, answer.response, world.clock.monotonic()
    pause = retry_after(response.headers, world.clock.now_ns())
    if world.health.answered(target, response.status, pause, now):
        alert("provider_credential_refused", provider=target.provider.name, status=response.status)
    if answer.stream is not None:
        world.circuits.failed(target, answer.ticket, now)
    else:
        world.circuits.answered(target, answer.ticket, response.status, now)
    return pause


def _presentable(answer: Answer) -> Answer:
    """What may be shown of the last refusal. A provider's 401 speaks of the gateway's key, which is not the client's
    business, and may quote a part of it."""
    if answer.response.status == 401:
        answer.response.close()
        raise credential_refused(answer.target.provider)
    return answer


def credential_refused(provider: Provider) -> UpstreamBroken:
    """What the client is told of a 401."""
    return UpstreamBroken(
        f"The provider '{provider.name}' refused this gateway's credential.", code="provider_credential_refused"
    )


def refusal_of(error: TransportError, provider: Provider) -> Refusal:
    """The one place where a transport failure becomes an answer to the client."""
    name = provider.name
    limits = provider.timeouts
    match error:
        case errors.PoolTimeout():
            return errors.Overloaded(
                f"Every connection to the provider '{name}' is busy; none came free within {limits.queue:g} s.",
                headers=((b"retry-after", b"1"),),
            )
        case errors.ProviderLimited():
            return error.refusal
        case errors.AtCapacity():
            return errors.Overloaded(
                f"The provider '{name}' is at work on as many requests as it may be sent at one time: {error}.",
                code="provider_capacity",
                headers=((b"retry-after", b"%d" % min(max(math.ceil(error.retry_after), 1), LONGEST_HINT)),),
            )
        case errors.ConnectTimeout():
            return UpstreamTimeout(f"The provider '{name}' took no connection within {limits.connect:g} s.")
        case errors.HeaderTimeout():
            return UpstreamTimeout(f"The provider '{name}' did not begin to answer within {limits.header:g} s.")
        case FirstEventTimeout():
            return UpstreamTimeout(f"The provider '{name}' sent no event within {limits.first_event:g} s.")
        case errors.DeadlineExceeded():
            return UpstreamTimeout(f"The provider '{name}' did not finish its answer in time.")
        case errors.ConnectFailed():
            return UpstreamBroken(f"The provider '{name}' cannot be reached.")
        case EmptyStream():
            return UpstreamBroken(f"The provider '{name}' ended the stream before its first event.")
        case errors.ProtocolBroken():
            return UpstreamBroken(f"The provider '{name}' sent an answer that is not valid HTTP.")
        case _:
            return UpstreamBroken(f"The provider '{name}' closed the connection before its answer was complete.")


def target_of(provider: Provider, path: bytes, query: bytes) -> bytes:
    """Path and query at the provider, for a path below /v1."""
    return provider.base_path + path + b"?" + query if query else provider.base_path + path


def is_event_stream(headers: Headers) -> bool:
    """Whether an answer is a stream of server-sent events."""
    for name, value in headers:
        if name == b"content-type":
            return value[:17].lower() == b"text/event-stream"
    return False
