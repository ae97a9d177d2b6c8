"""The settle stage: what an exchange consumed and what that costs. Synchronous, and run exactly once per exchange.

The provider's `usage` is the truth. Where none came, tokens are counted from the texts themselves and the record is
flagged `usage_estimated`: a stream that was cut still costs its prompt and what was delivered. `now` is monotonic
seconds.
"""

import contextlib
import zlib

import msgspec

from gateway.attempt import Answer, Outgoing, is_event_stream
from gateway.dialects.jobs import job_in
from gateway.dialects.outline import LONG
from gateway.dialects.unserved import is_events
from gateway.dialects.values import has_more
from gateway.errors import Refusal, UnreadableStream
from gateway.facts import UNPRICED, Caller, Cost, Exchange, Usage
from gateway.operations import FREE
from gateway.seams import Headers, StreamReader
from gateway.settings.snapshot import Snapshot
from gateway.tickets import Ticket
from gateway.wire.headers import header
from gateway.wire.sse import SseParser
from gateway.wire.unpack import members
from pricing.rates import rounded
from pricing.tokens import TokenCounter

NO_COST = Cost(nanos=0)
FREE_OF_CHARGE = Cost(nanos=0, price_version="free")
DEFERRED = Cost(nanos=0, price_version="deferred")
"""Of an answer that only begins a job: the exchange that first sees its end is booked what it used."""
_NOTHING = Usage()
_MOST_VALUES = 20_000
"""Values of a request whose texts are collected to count them."""
_MOST_DECODED = 32 * 1024 * 1024


class _Chat(msgspec.Struct):
    messages: list[dict[str, object]]
    tools: list[dict[str, object]] | None = None


_decode_chat = msgspec.json.Decoder(_Chat).decode


def settle_answer(
    x: Exchange, snapshot: Snapshot, tokens: TokenCounter, out: Outgoing, answer: Answer, now: float
) -> None:
    """Usage and cost of a unary answer. One that is known whole and tells no usage is counted."""
    body = answer.plain = decoded(answer.body, answer.response.headers)
    if answer.failed:
        return None
    x.usage, x.service_tier = out.dialect.usage(body) if body is not None else (None, None)
    silent = x.usage is None or _blank(x.usage)
    if silent and body is not None and answer.whole and out.operation.name not in FREE:
        if is_event_stream(answer.response.headers) or is_events(body):
            return _settle_events(x, snapshot, tokens, out, answer, _read_as_stream(out, body), now)
        if (job := job_in(body)) is not None and not job.ended:
            x.cost = DEFERRED
            return None
        texts = _answered(out, body)
        if x.usage is None or texts or not out.operation.generates:
            counted_out = tokens.count_many_or_estimate(texts, x.model)
            x.usage = Usage(input_tokens=count_prompt(tokens, out, x.model), output_tokens=counted_out)
            x.usage_estimated = True
    elif x.usage is not None and _promptless(x.usage) and out.operation.name not in FREE:
        x.usage = msgspec.structs.replace(x.usage, input_tokens=count_prompt(tokens, out, x.model))
        x.usage_estimated = True
    return price(x, snapshot, answer, now)


def _answered(out: Outgoing, body: bytes) -> list[str]:
    """The texts of a whole answer."""
    try:
        return [segment.text for segment in out.dialect.answer_segments(body) if segment.path != "output_text"]
    except Refusal:  # no JSON
        return []


def _read_as_stream(out: Outgoing, body: bytes) -> StreamReader:
    """What the events say of an answer that is a stream, though none was asked for."""
    reader, parser = out.dialect.stream(out.reading), SseParser(out.max_event)
    with contextlib.suppress(UnreadableStream):
        for event in (*parser.feed(body), *parser.close()):
            if event.data is not None:
                reader.event(event.name, event.data)
    return reader


def complete(reader: StreamReader) -> bool:
    """Whether a stream told its own usage to the end: nothing has to be counted."""
    usage = reader.usage
    if not reader.finished or usage is None or _promptless(usage):
        return False
    return not (_blank(usage) and reader.size())


def _promptless(usage: Usage) -> bool:
    """Whether a usage tells what came out and not what went in, which nobody serves for nothing."""
    return not usage.input_tokens and usage.output_tokens > 0


def _blank(usage: Usage) -> bool:
    """Whether a usage tells nothing at all. Beside a text that is no more believed than a cost of zero: servers that do
    not count write zeros."""
    return not (usage.input_tokens or usage.output_tokens) and usage == _NOTHING


def settle_stream(x: Exchange, snapshot: Snapshot, tokens: TokenCounter, out: Outgoing, answer: Answer) -> None:
    """Usage and cost of a stream that has ended, complete or cut."""
    assert answer.stream is not None
    _settle_events(x, snapshot, tokens, out, answer, answer.stream.reader, x.finished_at)


def _settle_events(
    x: Exchange,
    snapshot: Snapshot,
    tokens: TokenCounter,
    out: Outgoing,
    answer: Answer,
    reader: StreamReader,
    now: float,
) -> None:
    """Usage and cost as `reader` knows them of an answer's events."""
    x.usage, x.service_tier = reader.usage, reader.service_tier
    x.job = reader.job
    if not complete(reader):
        if x.job and not (reader.finished and reader.usage is not None):
            x.job, x.usage, x.cost = "", None, DEFERRED
            return
        if reader.failed and reader.usage is None and not reader.text():
            x.cost = NO_COST  # an error in a stream's clothes: as with a status, nothing was served
            return
        estimate(x, tokens, out, reader)
    price(x, snapshot, answer, now)


def estimate(x: Exchange, tokens: TokenCounter, out: Outgoing, reader: StreamReader | None) -> None:
    """Count what no usage tells. A cut stream's partial usage (Anthropic sends the prompt's first) is kept where it is
    the larger figure."""
    told = x.usage or Usage()
    counted_in = told.input_tokens or count_prompt(tokens, out, x.model)
    counted_out = tokens.count_or_estimate(reader.text(), x.model) if reader is not None else 0
    counted_out = max(told.output_tokens, counted_out)
    x.usage = msgspec.structs.replace(told, input_tokens=counted_in, output_tokens=counted_out)
    x.usage_estimated = True


def estimate_unanswered(x: Exchange, snapshot: Snapshot, tokens: TokenCounter, out: Outgoing) -> None:
    """The client left, or time was up, while a provider was at work: it bills the prompt."""
    if not x.attempts:
        return
    last = x.attempts[-1]
    x.provider, x.model = last.provider, last.model
    x.usage = Usage(input_tokens=count_prompt(tokens, out, last.model))
    x.usage_estimated = True
    target = next((target for target in out.route.targets if target.provider.name == last.provider), None)
    x.cost = cost_of(x, snapshot, target.provider.prices if target else None, x.finished_at)


def price(x: Exchange, snapshot: Snapshot, answer: Answer, now: float) -> None:
    """Price what was used by the model and tier that served."""
    x.cost = cost_of(x, snapshot, answer.target.provider.prices, now)


def cost_of(x: Exchange, snapshot: Snapshot, provider: str | None, now: float) -> Cost:
    """The cost of `x.usage`. Unknown model, or nothing to price by: no cost, rather than zero."""
    if x.operation is not None and x.operation.name in FREE:
        return FREE_OF_CHARGE
    if snapshot.prices is None or x.usage is None:
        return UNPRICED
    card = snapshot.prices.card(provider, x.model)
    if card is None:
        return UNPRICED
    usage = x.usage
    if card.by_clock and not usage.seconds:
        # A model priced by time (a GPU of one's own): from handing the request over until now.
        usage = x.usage = msgspec.structs.replace(usage, seconds=round(max(0.0, now - x.forwarded_at), 6))
    return card.cost(usage, tier=x.service_tier, at_ns=x.received_ns)


def count_prompt(tokens: TokenCounter, out: Outgoing, model: str) -> int:
    """Input tokens of a request by its texts. For a chat with a known vocabulary that is exact but for what providers
    do not document (tool calls, images); for all else an estimate (`docs/prices.md`). A body of very many values, whose
    texts would take long to collect, is told by its size."""
    if out.operation.name == "chat.completions" and tokens.ready(model):
        try:
            chat = _decode_chat(out.body)
            return tokens.count_chat(chat.messages, model, chat.tools or ())
        except (msgspec.DecodeError, ValueError, TypeError):
            pass  # not a chat as documented: counted by its texts below
    outline = out.outline
    if len(out.skeleton) > LONG and has_more(out.skeleton, _MOST_VALUES, _at_once):
        return len(out.body) // 4
    try:
        segments = out.dialect.prompt_segments(out.skeleton)
    except Refusal:  # nested deeper than texts can be collected from
        return len(out.body) // 4
    if outline is not None:
        segments = outline.texts(segments, _at_once)
    return tokens.count_many_or_estimate([segment.text for segment in segments], model)


def _at_once() -> None:
    """Nobody else is let go first: what is booked is booked in one go."""


def reserve(x: Exchange, snapshot: Snapshot, out: Outgoing, ticket: Ticket) -> None:
    """What the start record says this may come to: what recovery books if the process dies."""
    reading = out.reading
    inputs = x.input_estimate = (len(out.body) + 3) // 4
    outputs = x.output_estimate = (reading.max_output_tokens or 0) * reading.choices if ticket.generates else 0
    card = ticket.card
    if ticket.route is not out.route:  # a limit sent it to another model
        target = out.route.targets[0]
        card = None if snapshot.prices is None else snapshot.prices.card(target.provider.prices, target.model)
    elif (plain := ticket.plain) is not None:
        per_input, per_output, per_request, denominator = plain
        x.reserved_nanos = rounded(inputs * per_input + outputs * per_output + per_request, denominator)
        return
    if card is not None:
        x.reserved_nanos = card.plain_nanos(inputs, outputs, at_ns=x.received_ns)


def decoded(body: bytes, headers: Headers) -> bytes | None:
    """The body without its content-encoding; None when it has one that is not read here. `deflate` comes with a head
    (RFC 9110 section 8.4.1.2) and, from some servers, without."""
    encoding = header(headers, b"content-encoding")
    if encoding is None or encoding == b"identity":
        return body
    coding = encoding.lower()
    if coding not in (b"gzip", b"x-gzip", b"deflate"):
        return None
    for window in (47, -15) if coding == b"deflate" else (47,):
        with contextlib.suppress(zlib.error):
            return _inflated(body, window)
    return None


def _inflated(body: bytes, window: int) -> bytes:
    """Every member up to the bound; what follows the last one is left out, as clients do. Raises `zlib.error` when
    there is none."""
    out: list[bytes] = []
    try:
        for piece, _ in members(body, window, _MOST_DECODED):
            out.append(piece)
    except zlib.error:
        if not out:
            raise
    return b"".join(out)


def merged_tags(caller: Caller, sent: dict[str, str] | None) -> dict[str, str] | None:
    """A request's own tags win over its key's."""
    if not sent:
        return caller.tags or None
    return {**caller.tags, **sent}
