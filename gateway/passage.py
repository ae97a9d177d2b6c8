"""A stream on its way from provider to client: what of it may leave, when it is over, and what it is when it breaks.

Events are passed on one read at a time. Nearly every read is one chunk with one event: those go on the moment they
arrive (`relay`), without waking the coroutine that waits in `pass_on`.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from gateway.admission import NEVER
from gateway.attempt import OpenStream
from gateway.errors import (
    DeadlineExceeded,
    Disconnected,
    Refusal,
    TransportError,
    UnreadableStream,
    UpstreamBroken,
    UpstreamTimeout,
)
from gateway.facts import ALLOWED, Exchange, Verdict
from gateway.inspection.events import EventRewriter
from gateway.seams import Clock, Late, UpstreamResponse
from gateway.slices import Slices
from gateway.wire.envelopes import error_event
from gateway.wire.sse import SseEvent

LAST_EVENTS = frozenset((b"message_stop", b"response.completed", b"response.incomplete", b"response.failed"))
"""After one of these, or `[DONE]`, a stream has nothing more to say."""
PING = b": ping\n\n"
SHORT = 4_096
"""Bytes of events, and characters held back before them, that guardrails judge on the event loop. More may take longer
than others should wait."""
_FIELD = len(b"data: ")
_NAME = len(b"event: ")
_BLANK = len(b"\n\n")
"""What is around the data of an event of one line."""


class Recipient(Protocol):
    """Who a stream is passed on to, by the methods of `gateway.client.Client`, which is one. `gateway.held.Hold` is
    another."""

    async def write(self, data: bytes, more: bool = True) -> None: ...

    def push(self, data: bytes, more: bool = True) -> bool: ...

    def flowing(self) -> bool: ...

    def push_chunk(self, framed: bytes) -> None: ...


class Passage:
    """One stream on its way, and what is known of it."""

    __slots__ = (
        "_client",
        "_clock",
        "_idle",
        "_ping",
        "_quiet",
        "_rewriter",
        "_slices",
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
        client: Recipient,
        clock: Clock,
        idle: float,
        ping: float,
        slices: Slices,
    ) -> None:
        """`rewriter`: the guardrails that read it, if any do. `idle`: seconds the provider may send no event; `ping`:
        those after which a client that hears nothing gets a comment. `slices`: where long events are rewritten."""
        self.x = x
        self._slices = slices
        self.stream = stream
        self._rewriter = rewriter
        self._client = client
        self._clock = clock
        self._idle = idle
        self._ping = ping
        self._quiet = min(idle, ping)
        """Seconds after an event that left in which nothing need be done."""
        self.blocked = False
        self.over = False
        """The provider has said its last word."""
        self.out = b""
        """Once `ended`: what is to leave with the end of the answer."""
        self.heard_at = self.spoke_at = 0.0
        """When the provider last sent an event, and the client was last sent something (monotonic seconds)."""
        self.look_at = NEVER
        """The event at which to look after the reservation, with `look`."""
        self.look: Callable[[int], int] = _never

    @property
    def verdict(self) -> Verdict:
        """What guardrails concluded so far."""
        return ALLOWED if self._rewriter is None else self._rewriter.verdict

    @property
    def unread(self) -> str:
        """Why guardrails could not read an event, in words; empty: they read all."""
        return "" if self._rewriter is None else self._rewriter.unread

    @property
    def broken(self) -> bool:
        """It is `blocked` because of that, and nothing that was found."""
        return self._rewriter is not None and self._rewriter.broken

    @property
    def ended(self) -> bool:
        """Nothing more is to be read."""
        return self.over or self.blocked

    async def pass_on(self, response: UpstreamResponse, out: bytes) -> Refusal | None:
        """Pass on `out`, and every event to come, until the stream has said its last word, breaks (why is returned) or
        is blocked. What is to leave with the end of the answer is in `self.out`."""
        client, clock, parser = self._client, self._clock, self.stream.parser
        try:
            while not self.ended:
                if out:
                    if not client.push(out):
                        await client.write(out)
                    self.spoke_at = clock.monotonic()
                # Comments are passed on but do not count as progress: a provider that only sends keep-alives is idle.
                try:
                    response.offer(self.relay if parser.between else None)
                    chunk = await response.chunk(min(self.heard_at + self._idle, self.spoke_at + self._ping))
                    if self.blocked:
                        return None
                    batch = parser.feed(chunk) if chunk else parser.close()
                except Late:
                    if clock.monotonic() >= self.heard_at + self._idle:
                        return await self._broke(
                            UpstreamTimeout(f"{self._provider} sent no event for {self._idle:g} s.")
                        )
                    await client.write(PING)
                    self.spoke_at = clock.monotonic()
                    out = b""
                    continue
                except TransportError as error:
                    refusal = self._broken_by(error)
                    refusal.__cause__ = error
                    return await self._broke(refusal)
                out = await self._taken(batch, response)
                if not chunk:
                    if self.blocked or self._complete:
                        break
                    self.out = out
                    return UpstreamBroken(f"{self._provider} ended the stream before its answer was whole.")
        finally:
            response.offer(None)
        self.out = out
        await self._close()
        return None

    async def first(self, events: list[SseEvent]) -> bytes:
        """What may leave of the events that were read, and understood, before the answer was begun."""
        pieces: list[bytes] = []
        long = self._is_long(events)
        for event in events:
            if event.data is not None:
                self.x.events += 1
                self.over = self.over or event.data == b"[DONE]" or event.name in LAST_EVENTS
            if long:
                await self._pass_long(event, pieces)
            else:
                self._pass(event, pieces)
        return b"".join(pieces)

    def take(self, events: list[SseEvent], now: float) -> bytes:
        """What may leave of these events, if they are not long."""
        pieces: list[bytes] = []
        for event in events:
            if self._heard(event, now):
                self._pass(event, pieces)
        if self.x.events >= self.look_at:
            self.look_at = self.look(self.x.events)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _taken(self, events: list[SseEvent], response: UpstreamResponse) -> bytes:
        """What may leave of these events. While long ones are judged none is relayed, and the provider's time stands
        still."""
        now = self._clock.monotonic()
        if not self._is_long(events):
            return self.take(events, now)
        response.offer(None)
        pieces: list[bytes] = []
        for event in events:
            if self._heard(event, now):
                await self._pass_long(event, pieces)
        self.heard_at = self._clock.monotonic()
        if self.x.events >= self.look_at:
            self.look_at = self.look(self.x.events)
        return b"".join(pieces)

    def _is_long(self, events: list[SseEvent]) -> bool:
        """Whether guardrails may have more to do with them than others should wait for."""
        rewriter = self._rewriter
        if rewriter is None:
            return False
        size = rewriter.held()
        for event in events:
            size += len(event.raw)
        return size > SHORT

    def _heard(self, event: SseEvent, now: float) -> bool:
        """Note that an event came. False: it is not to be passed on."""
        data = event.data
        if data is None:
            return True
        self.heard_at = now
        self.x.events += 1
        if data == b"[DONE]" or event.name in LAST_EVENTS:
            self.over = True
        return self.stream.reader.event(event.name, data)

    def relay(self, framed: bytes, start: int) -> float:
        """See `seams.Relay`. Takes what nearly every read of a stream is: one chunk with one event of one line of data,
        perhaps with its name before, which goes to the client as it is, in the same frame. Everything else is left to
        `pass_on`."""
        client, rewriter = self._client, self._rewriter
        if not client.flowing() or (len(framed) > SHORT and rewriter is not None):
            return 0.0
        out = None if rewriter is None else rewriter.relayed(framed, start)
        if out is None:
            end, begin, name = len(framed) - 4, start, b""
            if framed[start : start + _NAME] == b"event: ":
                begin = framed.find(b"\n", start) + 1
                name = framed[start + _NAME : begin - 1]
                if name in LAST_EVENTS:
                    return 0.0
            if (
                framed[begin : begin + _FIELD] != b"data: "
                or framed[end:] != b"\n\n\r\n"
                or framed.find(b"\n", begin) != end
                or framed.find(b"\r", start) != end + 2
            ):
                return 0.0
            data = framed[begin + _FIELD : end]
            if data == b"[DONE]":
                return 0.0
            out = framed if self.stream.reader.event(name, data) else b""
            if rewriter is not None and out:
                out = self._rewritten(SseEvent(framed[start:-2], name, data), data, rewriter)
        now = self.heard_at = self._clock.monotonic()
        self.x.events += 1
        if self.x.events >= self.look_at:
            self.look_at = self.look(self.x.events)
        if rewriter is not None and rewriter.blocked:
            self.blocked = True
            self.out = out
            return -1.0
        if out:
            client.push_chunk(out)
            self.spoke_at = now
            return now + self._quiet
        return min(now + self._idle, self.spoke_at + self._ping)

    def _rewritten(self, event: SseEvent, data: bytes, rewriter: EventRewriter) -> bytes:
        """What may leave, as a chunk unless it is the end, of an event with such data that was read. Once reader and
        rewriter agree on what is around its text, the texts of its like are enough for both."""
        out = rewriter.event(event)
        repeat = rewriter.repeat
        if repeat is not None and repeat.told is None:
            begin = len(event.raw) - _BLANK - len(data)
            repeat.told = self.stream.reader.listener(repeat.head[begin:], repeat.after[:-_BLANK])
        return out if rewriter.blocked or not out else b"%x\r\n%b\r\n" % (len(out), out)

    def _pass(self, event: SseEvent, pieces: list[bytes]) -> None:
        if self._rewriter is None:
            pieces.append(event.raw)
        elif not self.blocked:
            pieces.append(self._rewriter.event(event))
            self.blocked = self._rewriter.blocked

    @property
    def _complete(self) -> bool:
        """Whether the provider has said all it wanted: the whole answer, or what kept it from giving that."""
        reader = self.stream.reader
        return reader.finished or reader.failed

    async def _pass_long(self, event: SseEvent, pieces: list[bytes]) -> None:
        if self._rewriter is not None and not self.blocked:
            pieces.append(await self._slices.run(partial(self._rewriter.beside, event)))
            self.blocked = self._rewriter.blocked

    async def _broke(self, refusal: Refusal) -> Refusal | None:
        """The stream broke. One whose answer was whole has ended well, however its connection did, and one that told
        its error itself has ended too."""
        if not self._complete:
            return refusal
        await self._close()
        return None

    def _broken_by(self, error: TransportError) -> Refusal:
        """What a stream that broke is to the client."""
        if isinstance(error, Disconnected):
            return UpstreamBroken(f"{self._provider} closed the connection in the middle of the stream.")
        if isinstance(error, DeadlineExceeded):
            return UpstreamTimeout(f"{self._provider} did not finish the stream within its total time.")
        why = f": {error}" if isinstance(error, UnreadableStream) else ""
        return UpstreamBroken(f"{self._provider} sent a stream that cannot be read{why}.")

    @property
    def _provider(self) -> str:
        return f"The provider '{self.x.provider}'"

    async def _close(self) -> None:
        """The answer is whole: what guardrails still hold may leave."""
        if self._rewriter is not None and not self.blocked:
            if self._is_long([]):
                self.out += await self._slices.run(partial(self._rewriter.beside, None))
            else:
                self.out += self._rewriter.end()
            self.blocked = self._rewriter.blocked
        if not self.blocked:
            self.out += self.stream.reader.lacking()

    def block_end(self, words: str) -> bytes:
        """The dialect's own end of a stream that may not go on. `words`: what the error would say of it, where a rule
        has no answer."""
        if self._rewriter is None:
            return b""
        return self._rewriter.block_end(self._rewriter.verdict.answer or words)


def _never(events: int) -> int:
    return NEVER


def stream_error(refusal: Refusal, x: Exchange) -> bytes:
    """The event that ends a broken stream, in the shape of its operation."""
    wire = x.operation.wire if x.operation is not None else "openai"
    shape = "responses" if x.operation is not None and x.operation.name == "responses" else "chat"
    return error_event(refusal, wire, x.request_id, shape=shape, sequence_number=x.events)
