"""The way back of one request: inspect response, answer, settle before the last byte.

A whole answer leaves in one write with its cost in a header; a huge one piece by piece; a stream event by event, ending
as what it was: whole, broken with an error event, or blocked with the dialect's own end.
"""

import contextlib

from gateway.admission import Admission
from gateway.attempt import Answer, CompressedAnswer, ErrorEvent, OpenStream, Outgoing
from gateway.client import Client
from gateway.errors import DeadlineExceeded, Outcome, Refusal, TransportError, UnreadableAnswer, UpstreamBroken
from gateway.facts import Exchange
from gateway.guard import ENCODING, SHORT, WITHHELD, Guard, blocked, header_of, withheld
from gateway.look import answer_passes
from gateway.outside import Outside
from gateway.passage import Passage, stream_error
from gateway.ride import Live
from gateway.seams import Late, UpstreamResponse
from gateway.settings.snapshot import Snapshot
from gateway.settle import decoded, settle_answer
from gateway.tape import Tape, keep_answer, keep_stream
from gateway.wire.headers import response_headers, sound, split_fields
from gateway.world import World

LINGER = 0.25
"""Seconds the connection of a stream that said its last word gets to end, so that it can be used again."""
SSE_BLOCK = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
SSE_OWN = frozenset((b"content-type", b"cache-control", b"x-accel-buffering"))


class Delivery:
    """What an exchange needs to answer its client. `exchange.Trip` is one."""

    __slots__ = (
        "admission",
        "answer",
        "answered",
        "client",
        "guard",
        "live",
        "settled",
        "snapshot",
        "standing",
        "world",
        "x",
    )

    def __init__(self, world: World, snapshot: Snapshot, x: Exchange, client: Client, live: Live) -> None:
        self.world = world
        self.snapshot = snapshot
        self.x = x
        self.client = client
        self.live = live
        self.admission: Admission | None = None
        """None: no limit is written, or it was admitted quietly."""
        self.standing: bytes | None = None
        """Where the limits stood when it was admitted quietly: header fields of its answer."""
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
        x.outcome = "upstream_error" if answer.failed else "ok" if status < 400 else "upstream_status"
        if answer.whole and status < 400 and (self.world.counts or self.snapshot.prices is not None):
            settle_answer(x, self.snapshot, self.world.tokens, out, answer, self.world.clock.monotonic())
            self.told_unread(answer)
        self.settled = answer.whole
        body, guard = answer.body, self.guard
        without: frozenset[bytes] | None = None
        if guard is not None:
            if guard.outside is not None:
                await self.cleared(guard.outside)
            if guard.reads_answers and not (status < 400 and answer.plain is body and answer_passes(guard, body)):
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

    async def guarded(self, guard: Guard, out: Outgoing, answer: Answer) -> tuple[bytes, frozenset[bytes] | None]:
        """The body that guardrails let pass, and which of the provider's fields do not belong to it; None: it is as it
        came, because it cannot be read and the rules let it pass. What a provider refuses with may quote the prompt: it
        is judged too, and said in our own words where it cannot be shown."""
        status = answer.response.status
        if status < 400:
            try:
                plain = self.readable(answer)
                short = len(plain) <= SHORT
                body = guard.answer(out.dialect, plain) if short else await guard.long_answer(out.dialect, plain)
            except UpstreamBroken:
                if guard.passes_unread("response"):
                    return answer.body, None
                raise
            if guard.outside is not None:
                body = await guard.outside.answer(body, out.dialect.answer_segments)
            return body, ENCODING
        body = await guard.refused(decoded(answer.body, answer.response.headers) if answer.whole else None)
        if body is not None:
            return body, ENCODING
        if guard.passes_unread("response"):
            return answer.body, None
        return withheld(self.x, status), WITHHELD

    def readable(self, answer: Answer) -> bytes:
        """The body for guardrails to read. Raises `UpstreamBroken` when they cannot."""
        if not answer.whole:
            raise UnreadableAnswer(self.x.provider, "it is too large")
        body = answer.plain
        if body is None:
            body = decoded(answer.body, answer.response.headers)
        if body is None:
            raise UnreadableAnswer(self.x.provider, "it is compressed though that was not asked for")
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
        except (TransportError, Late) as error:
            broken = cut_short(error)
            x.outcome = "upstream_timeout" if isinstance(broken, DeadlineExceeded) else "upstream_error"
            self.broke(answer, broken)
            return self.client.abort()
        finally:
            answer.body = tail
            settle_answer(x, self.snapshot, self.world.tokens, out, answer, self.world.clock.monotonic())
            self.told_unread(answer)
            self.settled = True
        await self.client.write(b"", more=False)

    def told_unread(self, answer: Answer) -> None:
        """Tell of a served answer whose usage nobody here can read."""
        if answer.plain is None:
            self.world.troubles.note(self.x.provider, CompressedAnswer(), self.world.clock.monotonic())

    # -- streams ---------------------------------------------------------------------------------------------------

    async def answer_stream(self, answer: Answer, stream: OpenStream) -> None:
        """Pass on a stream, event by event."""
        x, clock = self.x, self.world.clock
        response = answer.response
        if self.guard is not None and self.guard.outside is not None:
            await self.cleared(self.guard.outside)
        if x.content is not None and x.operation is not None:
            self.client = Tape(self.client, keep_stream(x.content, x.operation.name))
        client = self.client
        rewriter = self.guard.stream(self.world.rewriters) if self.guard is not None else None
        passage = Passage(x, stream, rewriter, client, clock, *self.patience(answer), self.world.slices)
        try:
            out = await passage.first(stream.first)
            if passage.blocked and not out:
                raise self.unread(passage) or blocked(passage.verdict, "answer")
            x.status = 200
            x.committed = True
            block = SSE_BLOCK + self.own_headers(answer, SSE_OWN)
            if not client.open(200, block):
                await client.head(200, split_fields(block))
            passage.heard_at = passage.spoke_at = x.first_byte_at = clock.monotonic()
            if self.admission is not None:
                passage.look_at = self.admission.first_look()
                passage.look = self.look
            broken = await passage.pass_on(response, out) or self.unread(passage)
            if broken is None and not passage.blocked:
                await self.world.endings.turn()
        finally:
            if rewriter is not None and self.guard is not None:
                self.guard.streamed(rewriter.verdict)
        last = passage.out
        x.finished_at = clock.monotonic()
        if broken is not None:
            x.outcome, x.status = broken.outcome, broken.status
            self.broke(answer, broken)
            last += stream_error(broken, x)
            response.close()
        elif passage.blocked:
            last += self.blocked_end(passage)
            response.close()
        else:
            x.outcome = self.whole(answer, stream)
        await client.write(last, more=False)
        self.answered = True
        if passage.over and not response.complete and not passage.blocked:
            await self.linger(response)

    def blocked_end(self, passage: Passage) -> bytes:
        """The last events of a stream that guardrails end: as its dialect ends one for its content, or, where one
        failed and nothing was found, with an error."""
        x, refusal = self.x, blocked(passage.verdict, "answer")
        x.outcome = refusal.outcome
        if not passage.verdict.failed:
            return passage.block_end(refusal.message)
        x.status = refusal.status
        return stream_error(refusal, x)

    def whole(self, answer: Answer, stream: OpenStream) -> Outcome:
        """The outcome of a stream that came to its end, which may be an error of the provider's own."""
        if not stream.reader.failed:
            return "ok"
        self.broke(answer, ErrorEvent("it sent an error event in the middle of its stream", sent=True))
        return "upstream_error"

    def unread(self, passage: Passage) -> Refusal | None:
        """The refusal that ends a stream with an event that guardrails could not read. None: there was none, or it
        passed, as its rules say, and is only told."""
        if not passage.unread:
            return None
        if passage.broken:
            return UnreadableAnswer(self.x.provider, passage.unread)
        told = UnreadableAnswer(self.x.provider, f"{passage.unread}; it passed unjudged")
        self.world.troubles.note(self.x.provider, told, self.world.clock.monotonic())
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

    async def cleared(self, outside: Outside) -> None:
        """Returns once no guardrail can block the request any more. Raises `Blocked`."""
        await outside.verdict()
        if self.x.content is not None:
            self.x.content.cleared = True

    # -- both ------------------------------------------------------------------------------------------------------

    def broke(self, answer: Answer, error: Refusal | TransportError) -> None:
        """Tell of an answer that failed after it had begun. What guardrails cannot read is no reason to leave a target
        alone: others do not read it."""
        now = self.world.clock.monotonic()
        if not isinstance(error, UnreadableAnswer):
            self.world.circuits.failed(answer.target, answer.ticket, now)
        cause = error.__cause__
        self.world.troubles.note(self.x.provider, cause if isinstance(cause, TransportError) else error, now)

    def own_headers(self, answer: Answer, but: frozenset[bytes] | None = None) -> bytes:
        """What goes on of the provider's fields (`but`: except these), and what every served answer carries; each
        ended with CRLF."""
        x = self.x
        passed = response_headers(answer.response.headers)
        if but:
            passed = [pair for pair in passed if pair[0] not in but]
        overhead = (self.world.clock.monotonic() - x.received_at) - (x.headers_at - x.forwarded_at)
        outside = [b"%b: %b\r\n" % pair for pair in passed]
        outside.append(b"x-request-id: %b\r\n" % x.request_id.encode())
        block = b"%b%bx-tollway-overhead-ms: %.3f\r\n%b" % (
            sound(b"".join(outside)),
            answer.target.block,
            overhead * 1e3,
            self.standing or b"",
        )
        if self.admission is not None:
            block += sound(self.admission.block())
        if self.guard is not None and (told := header_of(x)):
            block += sound(b"x-tollway-guardrails: %b\r\n" % told)
        return block

    def patience(self, answer: Answer) -> tuple[float, float]:
        """Seconds a provider may send no event, and those after which a client that hears nothing gets a comment."""
        return answer.target.provider.timeouts.idle, self.snapshot.server.ping

    def idle_until(self, answer: Answer) -> float:
        return self.world.clock.monotonic() + answer.target.provider.timeouts.idle


def cut_short(error: TransportError | Late) -> TransportError:
    """Why the rest of a body did not come."""
    return DeadlineExceeded("the body stopped coming", sent=True) if isinstance(error, Late) else error


def _usd(nanos: int) -> bytes:
    """Nano-dollars as a plain decimal of USD, without trailing zeros."""
    whole, rest = divmod(nanos, 1_000_000_000)
    return (b"%d.%09d" % (whole, rest)).rstrip(b"0").rstrip(b".") if rest else b"%d" % whole
