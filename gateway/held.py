"""A stream that detectors outside must judge whole: it is held back until it ended, judged, and then passed on as the
events it was, with its texts rewritten or not at all. Until then nothing is committed, so that a block or a broken
provider is answered with an ordinary error envelope."""

import math

from gateway.attempt import BUFFER_CAP, Answer, OpenStream
from gateway.delivery import SSE_BLOCK, SSE_OWN, Delivery
from gateway.errors import UnreadableAnswer
from gateway.guard import Guard, blocked
from gateway.outside import Outside
from gateway.passage import Passage
from gateway.tape import keep_stream
from gateway.wire.headers import split_fields


async def answer_held(trip: Delivery, answer: Answer, stream: OpenStream, guard: Guard, outside: Outside) -> None:
    """Pass on a stream in one piece, once it is known that it may leave. Raises `Refusal`."""
    x, client = trip.x, trip.client
    await trip.cleared(outside)
    rewriter = guard.stream(trip.world.rewriters)
    held, idle = Hold(x.provider), answer.target.provider.timeouts.idle
    passage = Passage(x, stream, rewriter, held, trip.world.clock, idle, math.inf, trip.world.slices)
    try:
        first = await passage.first(stream.first)
        passage.heard_at = trip.world.clock.monotonic()
        broken = await passage.pass_on(answer.response, first) or trip.unread(passage)
    finally:
        if rewriter is not None:
            guard.streamed(rewriter.verdict)
    if broken is not None:
        raise broken
    if passage.blocked:
        raise blocked(passage.verdict, "answer")
    events = await outside.stream(held.events + passage.out)
    if x.content is not None and x.operation is not None:
        keep_stream(x.content, x.operation.name, events)
    x.status = 200
    x.committed = True
    block = SSE_BLOCK + trip.own_headers(answer, SSE_OWN)
    if not client.open(200, block):
        await client.head(200, split_fields(block))
    x.first_byte_at = x.finished_at = trip.world.clock.monotonic()
    x.outcome = trip.whole(answer, stream)
    await client.write(events, more=False)
    trip.answered = True
    if passage.over and not answer.response.complete:
        await trip.linger(answer.response)


class Hold:
    """In the client's place while a stream is held: what is passed on to it stays here."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def events(self) -> bytes:
        """All that came."""
        return b"".join(self._pieces)

    def push(self, data: bytes, more: bool = True) -> bool:
        """Keep it. Raises `UpstreamBroken` when that is more than may be held."""
        self._size += len(data)
        if self._size > BUFFER_CAP:
            raise UnreadableAnswer(self._provider, "it is too large")
        self._pieces.append(data)
        return True

    async def write(self, data: bytes, more: bool = True) -> None:
        """Only what `push` does not take comes here: comments for a client that waits. To this one nothing is open."""

    def flowing(self) -> bool:
        return False

    def push_chunk(self, framed: bytes) -> None:
        raise RuntimeError("a stream is held event by event, not by its chunks")
