"""The way back of one request: inspect response, answer, settle before the last byte.

A whole answer leaves in one write with its cost in a header; a huge one piece by piece; a stream event by event, ending
as what it was: whole, broken with an error event, or blocked with the dialect's own end.
"""

import contextlib
from collections.abc import Callable

from gateway.admission import NEVER, Admission
from gateway.client import Client
from gateway.errors import (
    DeadlineExceeded,
    Disconnected,
    Refusal,
    TransportError,
    UpstreamBroken,
    UpstreamTimeout,
)
from gateway.facts import ALLOWED, Exchange, Verdict
from gateway.forward import Answer, OpenStream, Outgoing
from gateway.guard import ENCODING, WITHHELD, Guard, blocked, header_of, unread_answer, withheld
from gateway.inspection.events import EventRewriter
from gateway.ride import Live
from gateway.seams import Clock, Late, UpstreamResponse
from gateway.settings.snapshot import Snapshot
from gateway.settle import decoded, settle_answer
from gateway.tape import Tape, keep_answer, keep_stream
from gateway.wire.envelopes import error_event
from gateway.wire.headers import response_headers, split_fields
from gateway.wire.sse import SseEvent
from gateway.world import World

LAST_EVENTS = frozenset((b"message_stop", b"response.completed", b"response.incomplete", b"response.failed"))
"""After one of these, or `[DONE]`, a stream has nothing more to say."""
LINGER = 0.25
"""Seconds such a stream's connection gets to end, so that it can be used again."""
PING = b": ping\n\n"
SSE_BLOCK = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
SSE_OWN = frozenset((b"content-type", b"cache-control", b"x-accel-buffering"))


class Delivery:
    """What an exchange needs to answer its client. `exchange.Trip` is one."""

    __slots__ = ("admission", "answer", "answered", "client", "guard", "live", "settled", "snapshot", "world", "x")

    def __init__(self, world: World, snapshot: Snapshot, x: Exchange, client: Client, live: Live) -> None:
        self.world = world
        self.snapshot = snapshot
        self.x = x
        self.client = client
        self.live = live
        self.admission: Admission | None = None
        """None: no limit is written."""
        self.guard: Guard | None = None
        self.answer: Answer | None = None
        self.settled = False
        self.answered = False
        """The client has all of its answer: what happens to it now does not matter to this exchange."""

    # -- whole answers ---------------------------------------------------------------------------------------------

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
        body, guard = answer.body, self.guard
        without: frozenset[bytes] | None = None
        if guard is not None:
            await self.cleared(guard)
            if guard.reads_answers:
                body, without = await self.guarded(guard, out, answer)
        if x.content is not None and answer.whole and status < 400:
            keep_answer(x.content, body if without is not None else answer.plain or body)
        block = self.own_headers(answer, without)
        if without is WITHHELD:
            block += b"content-type: application/json\r\n"
        x.committed = True
        x.first_byte_at = self.world.clock.monotonic()
        if not answer.whole and without is None:
            await client.head(status, split_fields(block))
            return await self.answer_rest(out, answer)
        nanos = x.cost.nanos
        if nanos is None or self.snapshot.prices is None:
            block = b"%bcontent-length: %d\r\n" % (block, len(body))
        else:
            block = b"%bcontent-length: %d\r\nx-tollway-cost-usd: %b\r\n" % (block, len(body), _usd(nanos))
        if not client.reply(status, block, body):
            await client.answer(status, split_fields(block), body)

    async def guarded(self, guard: Guard, out: Outgoing, answer: Answer) -> tuple[bytes, frozenset[bytes]]:
        """The body that guardrails let pass, and which of the provider's fields do not belong to it. What a provider
        refuses with may quote the prompt: it is judged too, and said in our own words where it cannot be shown."""
        status = answer.response.status
        if status < 400:
            body = guard.answer(out.dialect, self.readable(answer))
            if guard.outside is not None:
                body = await guard.outside.answer(body, out.dialect.answer_segments)
            return body, ENCODING
        body = await guard.refused(decoded(answer.body, answer.response.headers) if answer.whole else None)
        if body is not None:
            return body, ENCODING
        return withheld(self.x, status), WITHHELD

    def readable(self, answer: Answer) -> bytes:
        """The body for guardrails to read. Raises `UpstreamBroken` when they cannot."""
        if not answer.whole:
            raise unread_answer(self.x.provider, "it is too large")
        body = answer.plain
        if body is None:
            body = decoded(answer.body, answer.response.headers)
        if body is None:
            raise unread_answer(self.x.provider, "it is compressed though that was not asked for")
        return body

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

    # -- streams ---------------------------------------------------------------------------------------------------

    async def answer_stream(self, answer: Answer, stream: OpenStream) -> None:
        """Pass on a stream, event by event."""
        x, clock = self.x, self.world.clock
        response = answer.response
        if self.guard is not None:
            await self.cleared(self.guard)
        if x.content is not None and x.operation is not None:
            self.client = Tape(self.client, keep_stream(x.content, x.operation.name))
        client = self.client
        rewriter = self.guard.stream(self.world.rewriters) if self.guard is not None else None
        passage = Passage(x, stream, rewriter, client, clock, *self.patience(answer))
        try:
            out = passage.first(stream.first)
            if passage.blocked and not out:
                raise blocked(passage.verdict, "answer")
            x.status = 200
            x.committed = True
            block = SSE_BLOCK + self.own_headers(answer, SSE_OWN)
            if not client.open(200, block):
                await client.head(200, split_fields(block))
            passage.heard_at = passage.spoke_at = x.first_byte_at = clock.monotonic()
            if self.admission is not None:
                passage.look_at = self.admission.first_look()
                passage.look = self.look
            broken = await self.pass_events(answer, passage, out)
        finally:
            response.offer(None)
            if rewriter is not None and self.guard is not None:
                self.guard.streamed(rewriter.verdict)
        last = passage.out
        x.finished_at = clock.monotonic()
        if passage.blocked:
            x.outcome = "blocked"
            last += passage.block_end()
            response.close()
        elif broken is not None:
            x.outcome, x.status = broken.outcome, broken.status
            self.world.circuits.failed(answer.target, answer.ticket, x.finished_at)
            last += stream_error(broken, x)
        else:
            x.outcome = "upstream_error" if stream.reader.failed else "ok"
        await client.write(last, more=False)
        self.answered = True
        if passage.over and not response.complete and not passage.blocked:
            await self.linger(response)

    async def pass_events(self, answer: Answer, passage: "Passage", out: bytes) -> Refusal | None:
        """Pass events on until the stream has said its last word, breaks (why is returned) or is blocked. What is to
        leave with the end of the answer is in `passage.out`."""
        client, clock, response = self.client, self.world.clock, answer.response
        parser = passage.stream.parser
        idle, ping = self.patience(answer)
        while not passage.ended:
            if out:
                if not client.push(out):
                    await client.write(out)
                passage.spoke_at = clock.monotonic()
            # Comments are passed on but do not count as progress: a provider that only sends keep-alives is idle.
            try:
                response.offer(passage.relay if parser.between else None)
                chunk = await response.chunk(min(passage.heard_at + idle, passage.spoke_at + ping))
                if passage.blocked:
                    return None
                batch = parser.feed(chunk) if chunk else parser.close()
            except Late:
                if clock.monotonic() < passage.heard_at + idle:
                    await client.write(PING)
                    passage.spoke_at = clock.monotonic()
                    out = b""
                    continue
                return passage.broke(UpstreamTimeout(f"The provider '{self.x.provider}' sent no event for {idle:g} s."))
            except TransportError as error:
                return passage.broke(broken_stream(self.x.provider, error))
            out = passage.take(batch, clock.monotonic())
            if not chunk:
                passage.out = out
                if not passage.stream.reader.finished and not passage.blocked:
                    words = f"The provider '{self.x.provider}' ended the stream before its answer was whole."
                    return passage.broke(UpstreamBroken(words))
                passage.close()
                return None
        passage.out = out
        passage.close()
        return None

    def look(self, events: int) -> int:
        """Look after the reservation of a running stream; says at which event to do so again."""
        assert self.admission is not None
        assert self.answer is not None
        assert self.answer.stream is not None
        return self.admission.look(events, self.answer.stream.reader, self.used_up)

    def used_up(self) -> None:
        """A limit ends this stream."""
        self.live.stop("used_up")

    async def linger(self, response: UpstreamResponse) -> None:
        """The answer was passed on whole; give the provider a moment to end it, so that its connection is kept."""
        with contextlib.suppress(Late, TransportError):
            while await response.chunk(self.world.clock.monotonic() + LINGER):
                pass

    async def cleared(self, guard: Guard) -> None:
        """Returns once no guardrail can block the request any more. Raises `Blocked`."""
        if guard.outside is not None:
            await guard.outside.verdict()
            if self.x.content is not None:
                self.x.content.cleared = True

    # -- both ------------------------------------------------------------------------------------------------------

    def own_headers(self, answer: Answer, but: frozenset[bytes] | None = None) -> bytes:
        """What goes on of the provider's fields (`but`: except these), and what every served answer carries; each
        ended with CRLF."""
        x = self.x
        passed = response_headers(answer.response.headers)
        if but:
            passed = [pair for pair in passed if pair[0] not in but]
        overhead = (self.world.clock.monotonic() - x.received_at) - (x.headers_at - x.forwarded_at)
        block = b"%bx-request-id: %b\r\n%bx-tollway-overhead-ms: %.3f\r\n" % (
            b"".join([b"%b: %b\r\n" % pair for pair in passed]),
            x.request_id.encode(),
            answer.target.block,
            overhead * 1e3,
        )
        if self.admission is not None:
            block += self.admission.block()
        if self.guard is not None and (told := header_of(x)):
            block = b"%bx-tollway-guardrails: %b\r\n" % (block, told)
        return block

    def patience(self, answer: Answer) -> tuple[float, float]:
        """Seconds a provider may send no event, and those after which a client that hears nothing gets a comment."""
        return answer.target.provider.timeouts.idle, self.snapshot.server.ping

    def idle_until(self, answer: Answer) -> float:
        return self.world.clock.monotonic() + answer.target.provider.timeouts.idle


class Passage:
    """What is known of a stream on its way: what may leave, whether it is over, and when either side was last heard."""

    __slots__ = (
        "_client",
        "_clock",
        "_idle",
        "_ping",
        "_rewriter",
        "blocked",
        "heard_at",
        "look",
        "look_at",
        "out",
        "over",
        "spoke_at",
        "stream",
        "x",
    )

    def __init__(
        self,
        x: Exchange,
        stream: OpenStream,
        rewriter: EventRewriter | None,
        client: Client,
        clock: Clock,
        idle: float,
        ping: float,
    ) -> None:
        self.x = x
        self.stream = stream
        self._rewriter = rewriter
        self._client = client
        self._clock = clock
        self._idle = idle
        self._ping = ping
        self.blocked = False
        self.over = False
        """The provider has said its last word."""
        self.out = b""
        self.heard_at = self.spoke_at = 0.0
        self.look_at = NEVER
        """The event at which to look after the reservation, with `look`."""
        self.look: Callable[[int], int] = _never

    @property
    def verdict(self) -> Verdict:
        """What guardrails concluded so far."""
        return ALLOWED if self._rewriter is None else self._rewriter.verdict

    @property
    def ended(self) -> bool:
        """Nothing more is to be read."""
        return self.over or self.blocked

    def first(self, events: list[SseEvent]) -> bytes:
        """What may leave of the events that were read, and understood, before the answer was begun."""
        pieces: list[bytes] = []
        for event in events:
            if event.data is not None:
                self.x.events += 1
                self.over = self.over or event.data == b"[DONE]" or event.name in LAST_EVENTS
            self._pass(event, pieces)
        return b"".join(pieces)

    def take(self, events: list[SseEvent], now: float) -> bytes:
        """What may leave of these events."""
        pieces: list[bytes] = []
        reader = self.stream.reader
        for event in events:
            data = event.data
            if data is not None:
                self.heard_at = now
                self.x.events += 1
                if data == b"[DONE]" or event.name in LAST_EVENTS:
                    self.over = True
                if not reader.event(event.name, data):
                    continue
            self._pass(event, pieces)
        if self.x.events >= self.look_at:
            self.look_at = self.look(self.x.events)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def relay(self, framed: bytes, start: int) -> float:
        """See `seams.Relay`. Takes what nearly every read of a stream is: one chunk with one event of one line of data,
        which goes to the client as it is, in the same frame. Everything else is left to `pass_events`."""
        end = len(framed) - 4
        if (
            framed[start : start + 6] != b"data: "
            or framed[end:] != b"\n\n\r\n"
            or framed.find(b"\n", start) != end
            or framed.find(b"\r", start) != end + 2
            or not self._client.flowing()
        ):
            return 0.0
        data = framed[start + 6 : end]
        if data == b"[DONE]":
            return 0.0
        now = self.heard_at = self._clock.monotonic()
        self.x.events += 1
        if self.x.events >= self.look_at:
            self.look_at = self.look(self.x.events)
        if self.stream.reader.event(b"", data):
            if self._rewriter is None:
                self._client.push_chunk(framed)
                self.spoke_at = now
            else:
                out = self._rewriter.data(framed[start:-2], data)
                if self._rewriter.blocked:
                    self.blocked = True
                    self.out = out
                    return -1.0
                if out and self._client.push(out):
                    self.spoke_at = now
        return min(now + self._idle, self.spoke_at + self._ping)

    def _pass(self, event: SseEvent, pieces: list[bytes]) -> None:
        if self._rewriter is None:
            pieces.append(event.raw)
        elif not self.blocked:
            pieces.append(self._rewriter.event(event))
            self.blocked = self._rewriter.blocked

    def broke(self, refusal: Refusal) -> Refusal | None:
        """The stream broke. One whose answer was whole has ended well, however its connection did."""
        if not self.stream.reader.finished:
            return refusal
        self.close()
        return None

    def close(self) -> None:
        """The answer is whole: what guardrails still hold may leave."""
        if self._rewriter is not None and not self.blocked:
            self.out += self._rewriter.end()
            self.blocked = self._rewriter.blocked

    def block_end(self) -> bytes:
        """The dialect's own end of a stream that may not go on."""
        if self._rewriter is None:
            return b""
        return self._rewriter.block_end(self._rewriter.verdict.message)


def _never(events: int) -> int:
    return NEVER


def stream_error(refusal: Refusal, x: Exchange) -> bytes:
    """The event that ends a broken stream, in the shape of its operation."""
    wire = x.operation.wire if x.operation is not None else "openai"
    shape = "responses" if x.operation is not None and x.operation.name == "responses" else "chat"
    return error_event(refusal, wire, x.request_id, shape=shape, sequence_number=x.events)


def broken_stream(provider: str, error: TransportError) -> Refusal:
    """What a stream that broke is to the client."""
    if isinstance(error, Disconnected):
        return UpstreamBroken(f"The provider '{provider}' closed the connection in the middle of the stream.")
    if isinstance(error, DeadlineExceeded):
        return UpstreamTimeout(f"The provider '{provider}' did not finish the stream within its total time.")
    return UpstreamBroken(f"The provider '{provider}' sent a stream that cannot be read.")


def _usd(nanos: int) -> bytes:
    """Nano-dollars as a plain decimal of USD, without trailing zeros."""
    whole, rest = divmod(nanos, 1_000_000_000)
    return (b"%d.%09d" % (whole, rest)).rstrip(b"0").rstrip(b".") if rest else b"%d" % whole
