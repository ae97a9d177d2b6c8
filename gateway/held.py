"""A stream that detectors outside must judge whole: it is held back until it ended, judged, and then passed on as the
events it was, with its texts rewritten or not at all. Until then nothing is committed, so that a block or a broken
provider is answered with an ordinary error envelope."""

from gateway.delivery import SSE_BLOCK, SSE_OWN, Delivery, Passage, broken_stream
from gateway.errors import Refusal, TransportError, UpstreamBroken, UpstreamTimeout
from gateway.forward import BUFFER_CAP, Answer, OpenStream
from gateway.guard import Guard, blocked, unread_answer
from gateway.outside import Outside
from gateway.seams import Late
from gateway.tape import keep_stream
from gateway.wire.headers import split_fields


async def answer_held(trip: Delivery, answer: Answer, stream: OpenStream, guard: Guard, outside: Outside) -> None:
    """Pass on a stream in one piece, once it is known that it may leave. Raises `Refusal`."""
    x, client = trip.x, trip.client
    await trip.cleared(guard)
    rewriter = guard.stream(trip.world.rewriters)
    passage = Passage(x, stream, rewriter, client, trip.world.clock, *trip.patience(answer))
    try:
        events = await _to_the_end(trip, answer, passage)
    finally:
        if rewriter is not None:
            guard.streamed(rewriter.verdict)
    if passage.blocked:
        raise blocked(passage.verdict, "answer")
    events = await outside.stream(events)
    if x.content is not None and x.operation is not None:
        keep_stream(x.content, x.operation.name, events)
    x.status = 200
    x.committed = True
    block = SSE_BLOCK + trip.own_headers(answer, SSE_OWN)
    if not client.open(200, block):
        await client.head(200, split_fields(block))
    x.first_byte_at = x.finished_at = trip.world.clock.monotonic()
    x.outcome = "upstream_error" if stream.reader.failed else "ok"
    await client.write(events, more=False)
    trip.answered = True
    if passage.over and not answer.response.complete:
        await trip.linger(answer.response)


async def _to_the_end(trip: Delivery, answer: Answer, passage: Passage) -> bytes:
    """All events of the stream, as the rules in process left them."""
    clock, response, parser = trip.world.clock, answer.response, passage.stream.parser
    idle = answer.target.provider.timeouts.idle
    pieces = [passage.first(passage.stream.first)]
    size = len(pieces[0])
    passage.heard_at = clock.monotonic()
    while not passage.ended:
        try:
            chunk = await response.chunk(passage.heard_at + idle)
            batch = parser.feed(chunk) if chunk else parser.close()
        except Late:
            words = f"The provider '{trip.x.provider}' sent no event for {idle:g} s."
            _raise(passage.broke(UpstreamTimeout(words)))
            break
        except TransportError as error:
            _raise(passage.broke(broken_stream(trip.x.provider, error)))
            break
        pieces.append(passage.take(batch, clock.monotonic()))
        size += len(pieces[-1])
        if size > BUFFER_CAP:
            raise unread_answer(trip.x.provider, "it is too large")
        if not chunk:
            if not passage.stream.reader.finished and not passage.blocked:
                words = f"The provider '{trip.x.provider}' ended the stream before its answer was whole."
                _raise(passage.broke(UpstreamBroken(words)))
            break
    passage.close()
    return b"".join([*pieces, passage.out])


def _raise(refusal: Refusal | None) -> None:
    """A stream broke: that is a refusal, unless its answer was whole."""
    if refusal is not None:
        raise refusal
