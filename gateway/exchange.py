"""The way of one request, top to bottom.

    accept → authenticate → read → admit → inspect request → route → forward → inspect response → settle → record

`drive` is the frame every request passes, whatever becomes of it: it opens the notebook, walks the road, turns
refusals and interruptions into answers, and closes the books. `Trip.road` is the walk itself. The books never await:
once an exchange has begun, exactly one settlement and one record follow, in `drive`'s `finally`.
"""

import asyncio
import contextlib

from gateway.auth.keys import authenticate
from gateway.client import Client, ClientLeft
from gateway.dialects import for_operation
from gateway.errors import (
    Blocked,
    BodyTimeout,
    DeadlineExceeded,
    Disconnected,
    Overloaded,
    Refusal,
    TransportError,
    UpstreamBroken,
    UpstreamTimeout,
)
from gateway.facts import Exchange
from gateway.forward import Answer, Outgoing, find_route, forward
from gateway.listing import answer_models
from gateway.operations import accept, wire_of
from gateway.passthrough import pass_through
from gateway.ride import Live
from gateway.seams import Late, UpstreamResponse
from gateway.settings.snapshot import Snapshot
from gateway.settle import NO_COST, complete, estimate_unanswered, merged_tags, reserve, settle_answer, settle_stream
from gateway.wire.envelopes import error_body, error_event
from gateway.wire.head import Head
from gateway.wire.headers import response_headers, split_fields
from gateway.world import World

LAST_EVENTS = frozenset((b"message_stop", b"response.completed", b"response.incomplete", b"response.failed"))
"""After one of these, or `[DONE]`, a stream has nothing more to say."""
LINGER = 0.25
"""Seconds such a stream's connection gets to end, so that it can be used again."""
PING = b": ping\n\n"
SSE_BLOCK = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
SSE_OWN = frozenset((b"content-type", b"cache-control", b"x-accel-buffering"))


async def drive(world: World, client: Client, head: Head, live: Live) -> None:
    """Serve one request below /v1. Never raises: every end has an answer, a settlement and a record."""
    snapshot = world.snapshot
    clock = world.clock
    head.bind(snapshot)
    now_ns = clock.now_ns()
    id_ = world.ids.uuid7(now_ns)
    x = Exchange(id_, head.request_id or id_, now_ns, clock.monotonic())
    x.cost = NO_COST
    trip = Trip(world, snapshot, x, client, head)
    world.live.add(live)
    try:
        try:
            await trip.road()
        except Refusal as refusal:
            await _refuse(x, client, refusal)
        except ClientLeft:
            x.outcome, x.status = "client_left", 499
        except Exception as error:
            world.defect(x, error)
            await _refuse(x, client, Refusal("The gateway failed to handle this request.", code="internal_error"))
            x.outcome = "error"
    except asyncio.CancelledError:
        await live.recovered()
        await _interrupted(trip, live)
    finally:
        world.live.discard(live)
        x.finished_at = clock.monotonic()
        trip.close()


class Trip:
    """One walk down the road. Holds what must be closed or settled whatever happens; decisions stay in functions."""

    __slots__ = ("answer", "answered", "client", "head", "out", "settled", "snapshot", "world", "x")

    def __init__(self, world: World, snapshot: Snapshot, x: Exchange, client: Client, head: Head) -> None:
        self.world = world
        self.snapshot = snapshot
        self.x = x
        self.client = client
        self.head = head
        self.out: Outgoing | None = None
        self.answer: Answer | None = None
        self.settled = False
        self.answered = False
        """The client has all of its answer: what happens to it now does not matter to this exchange."""

    async def road(self) -> None:
        world, snapshot, x, client, head = self.world, self.snapshot, self.x, self.client, self.head

        # accept
        operation = x.operation = accept(client.method, client.path)
        if world.draining:
            raise _leaving()

        # authenticate
        caller = head.caller
        if caller is None or (caller.expires_ns is not None and x.received_ns >= caller.expires_ns):
            caller = head.caller = authenticate(snapshot.keys, head.key, x.received_ns)
        x.caller = caller
        x.tags = merged_tags(caller, head.tags())
        if operation.name == "models":
            return await answer_models(x, client, snapshot, caller)
        if not operation.reads_body:
            return await pass_through(world, snapshot, x, client, head, caller)

        # read
        body = client.take(snapshot.server.max_body)
        if body is None:
            body = await client.read(snapshot.server.max_body)
        dialect = for_operation(operation.name)
        reading = x.reading = dialect.read(operation, body)
        route = find_route(snapshot.routes, caller, reading.model)

        # admit
        out = self.out = Outgoing(
            operation,
            route,
            head,
            x.request_id.encode(),
            operation.path.encode(),
            client.query,
            body,
            reading,
            dialect,
            snapshot.server.max_event,
        )
        if world.journal is not None:
            reserve(x, snapshot, out)
            world.begin(x)
        x.read_at = world.clock.monotonic()

        # inspect request
        if caller.guardrails is not None:
            x.request_verdict = caller.guardrails.inspect(dialect.prompt_segments(body), "request")
            if x.request_verdict.enforced == "block":
                raise Blocked("The request was blocked by this team's guardrails.")

        # route, forward
        answer = self.answer = await forward(world, snapshot.routes, x, out)
        x.provider, x.model = answer.target.provider.name, answer.target.model

        # inspect response, answer; settle comes before the last byte, so that a client that saw the end is booked
        if answer.stream is None:
            await self.answer_whole(out, answer)
        else:
            await self.answer_stream(out, answer)

    async def answer_whole(self, out: Outgoing, answer: Answer) -> None:
        """Pass on a unary answer: whole with its cost in a header, or, when it is huge, piece by piece."""
        x, client, response = self.x, self.client, answer.response
        status = x.status = response.status
        if 300 <= status < 400:
            raise UpstreamBroken(f"The provider '{x.provider}' answered with a redirect, which is not followed.")
        x.outcome = "ok" if status < 400 else "upstream_status"
        if answer.whole and status < 400 and (self.world.counts or self.snapshot.prices is not None):
            settle_answer(x, self.snapshot, out.dialect, answer, self.world.clock.monotonic())
        self.settled = answer.whole
        block = self.own_headers(answer)
        x.committed = True
        x.first_byte_at = self.world.clock.monotonic()
        if not answer.whole:
            await client.head(status, split_fields(block))
            return await self.answer_rest(out, answer)
        nanos = x.cost.nanos
        if nanos is None or self.snapshot.prices is None:
            block = b"%bcontent-length: %d\r\n" % (block, len(answer.body))
        else:
            block = b"%bcontent-length: %d\r\nx-tollway-cost-usd: %b\r\n" % (block, len(answer.body), _usd(nanos))
        if not client.reply(status, block, answer.body):
            await client.answer(status, split_fields(block), answer.body)

    async def answer_rest(self, out: Outgoing, answer: Answer) -> None:
        """The rest of an answer that is too large to hold; its usage is found in its tail."""
        x, response = self.x, answer.response
        tail = answer.body
        await self.client.write(answer.body)
        try:
            while chunk := await response.chunk(self.idle_until(answer)):
                tail = (tail + chunk)[-65536:]
                await self.client.write(chunk)
        except (TransportError, Late):
            x.outcome = "upstream_error"
            return self.client.abort()
        finally:
            answer.body = tail
            settle_answer(x, self.snapshot, out.dialect, answer, self.world.clock.monotonic())
            self.settled = True
        await self.client.write(b"", more=False)

    async def answer_stream(self, out: Outgoing, answer: Answer) -> None:
        """Pass on a stream, event by event, and end it as what it was: whole, or broken with an error event."""
        assert answer.stream is not None
        x, client, clock = self.x, self.client, self.world.clock
        parser, reader = answer.stream.parser, answer.stream.reader
        response = answer.response
        timeouts, ping = answer.target.provider.timeouts, self.snapshot.server.ping
        x.status = 200
        x.committed = True
        block = SSE_BLOCK + self.own_headers(answer, SSE_OWN)
        if not client.open(200, block):
            await client.head(200, split_fields(block))
        x.first_byte_at = spoke_at = heard_at = clock.monotonic()
        events = list(answer.stream.first)
        x.events = sum(event.data is not None for event in events)
        broken: Refusal | None = None
        over = any(event.data == b"[DONE]" or event.name in LAST_EVENTS for event in events)
        while not over:
            out_bytes = events[0].raw if len(events) == 1 else b"".join([event.raw for event in events])
            if out_bytes:
                if not client.push(out_bytes):
                    await client.write(out_bytes)
                spoke_at = clock.monotonic()
            events.clear()
            # Comments are passed on but do not count as progress: a provider that only sends keep-alives is idle.
            patience = min(heard_at + timeouts.idle, spoke_at + ping)
            try:
                chunk = await response.chunk(patience)
                batch = parser.feed(chunk) if chunk else parser.close()
            except Late:
                if clock.monotonic() < heard_at + timeouts.idle:
                    await client.write(PING)
                    spoke_at = clock.monotonic()
                    continue
                broken = UpstreamTimeout(f"The provider '{x.provider}' sent no event for {timeouts.idle:g} s.")
                break
            except TransportError as error:
                broken = _broken_stream(x.provider, error)
                break
            for event in batch:
                if event.data is None:
                    events.append(event)
                    continue
                heard_at = clock.monotonic()
                x.events += 1
                over = over or event.data == b"[DONE]" or event.name in LAST_EVENTS
                if reader.event(event.name, event.data):
                    events.append(event)
            if not chunk:
                if not reader.finished:
                    broken = UpstreamBroken(
                        f"The provider '{x.provider}' ended the stream before its answer was whole."
                    )
                break
        # A stream whose answer was whole has ended well, however its connection did.
        if broken is not None and reader.finished:
            broken = None
        x.finished_at = clock.monotonic()
        last = b"".join([event.raw for event in events])
        if broken is not None:
            x.outcome = broken.outcome
            x.status = broken.status
            last += stream_error(broken, x)
        else:
            x.outcome = "upstream_error" if reader.failed else "ok"
        await client.write(last, more=False)
        self.answered = True
        if over and not response.complete:
            await self.linger(response)

    async def linger(self, response: UpstreamResponse) -> None:
        """The answer was passed on whole; give the provider a moment to end it, so that its connection is kept."""
        with contextlib.suppress(Late, TransportError):
            while await response.chunk(self.world.clock.monotonic() + LINGER):
                pass

    def own_headers(self, answer: Answer, but: frozenset[bytes] = frozenset()) -> bytes:
        """What goes on of the provider's fields (`but`: except these), and what every served answer carries; each
        ended with CRLF."""
        x = self.x
        passed = response_headers(answer.response.headers)
        if but:
            passed = [pair for pair in passed if pair[0] not in but]
        overhead = (self.world.clock.monotonic() - x.received_at) - (x.headers_at - x.forwarded_at)
        return b"%bx-request-id: %b\r\n%bx-tollway-overhead-ms: %.3f\r\n" % (
            b"".join([b"%b: %b\r\n" % pair for pair in passed]),
            x.request_id.encode(),
            answer.target.block,
            overhead * 1e3,
        )

    def idle_until(self, answer: Answer) -> float:
        return self.world.clock.monotonic() + answer.target.provider.timeouts.idle

    def close(self) -> None:
        """Give back the connection; settle what was not settled on the way; record. Synchronous, called once."""
        x, world, out, answer = self.x, self.world, self.out, self.answer
        if answer is not None:
            answer.response.close()
        if self.settled or out is None or not world.counts:
            return world.record(x)
        if answer is not None and answer.stream is not None:
            if complete(answer.stream.reader):
                return self.settle()
            return world.when_countable(x.model, self.settle)
        if answer is None and x.attempts and x.outcome in ("client_left", "shutdown"):
            return world.when_countable(x.attempts[-1].model, self.settle)
        return world.record(x)

    def settle(self) -> None:
        """Settle and record a stream, or a request that a provider was at work on when it ended; perhaps a moment after
        that, when its tokens have to be counted. Whatever goes wrong, the record is written."""
        try:
            if self.out is not None and self.answer is not None:
                settle_stream(self.x, self.snapshot, self.world.tokens, self.out, self.answer)
            elif self.out is not None:
                estimate_unanswered(self.x, self.snapshot, self.world.tokens, self.out)
        except Exception as error:
            self.world.defect(self.x, error)
        finally:
            self.world.record(self.x)


async def _refuse(x: Exchange, client: Client, refusal: Refusal) -> None:
    """Answer with an error envelope; mid-stream, with an error event."""
    x.outcome, x.status = refusal.outcome, refusal.status
    wire = x.operation.wire if x.operation is not None else wire_of(client.path)
    with contextlib.suppress(ClientLeft):
        if x.committed:
            if x.reading is not None and x.reading.stream:
                return await client.write(stream_error(refusal, x), more=False)
            return client.abort()
        body = error_body(refusal, wire, x.request_id)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", x.request_id.encode()),
            *refusal.headers,
        ]
        await client.answer(refusal.status, headers, body)


async def _interrupted(trip: Trip, live: Live) -> None:
    """The exchange was stopped from outside: the client left, its body was late, or the drain time is over."""
    x, client = trip.x, trip.client
    if trip.answered:
        return
    if live.reason == "client_left":
        x.outcome, x.status = "client_left", 499
        return
    late = live.reason == "body_timeout"
    refusal = BodyTimeout("The request body did not arrive in time.") if late else _leaving()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await _refuse(x, client, refusal)
    if not late:
        x.outcome = "shutdown"


def _leaving() -> Refusal:
    return Overloaded("This gateway is shutting down.", headers=((b"retry-after", b"1"),))


def stream_error(refusal: Refusal, x: Exchange) -> bytes:
    """The event that ends a broken stream, in the shape of its operation."""
    wire = x.operation.wire if x.operation is not None else "openai"
    shape = "responses" if x.operation is not None and x.operation.name == "responses" else "chat"
    return error_event(refusal, wire, x.request_id, shape=shape, sequence_number=x.events)


def _broken_stream(provider: str, error: TransportError) -> Refusal:
    if isinstance(error, Disconnected):
        return UpstreamBroken(f"The provider '{provider}' closed the connection in the middle of the stream.")
    if isinstance(error, DeadlineExceeded):
        return UpstreamTimeout(f"The provider '{provider}' did not finish the stream within its total time.")
    return UpstreamBroken(f"The provider '{provider}' sent a stream that cannot be read.")


def _usd(nanos: int) -> bytes:
    """Nano-dollars as a plain decimal of USD, without trailing zeros."""
    whole, rest = divmod(nanos, 1_000_000_000)
    return (b"%d.%09d" % (whole, rest)).rstrip(b"0").rstrip(b".") if rest else b"%d" % whole
