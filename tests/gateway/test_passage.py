"""A stream on its way, between a provider that says what the test says and a client that keeps what it gets."""

import asyncio
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.attempt import OpenStream
from gateway.clock import ManualClock
from gateway.dialects import for_operation
from gateway.errors import Disconnected, Refusal, UpstreamBroken, UpstreamTimeout
from gateway.facts import Exchange
from gateway.held import Hold
from gateway.inspection.events import EventRewriter
from gateway.inspection.rewriters import Rewriters
from gateway.operations import accept
from gateway.passage import LAST_EVENTS, PING, SHORT, Passage, stream_error
from gateway.slices import Slices
from gateway.wire.sse import SseParser
from tests.gateway.inspection.helpers import Clients, Hoarder, Masker
from tests.support.answers import message, message_stream, response, response_stream
from tests.support.provided import Piece, Provided
from tests.support.raw import delta, sse

CLIENTS = Clients()
IDLE, PINGED = 30.0, 12.0
WHOLE = sse(delta("one"), delta(" two"), delta("", "stop"), "[DONE]")
ASKED = b'{"model": "m", "stream": true, "stream_options": {"include_usage": true}, "messages": []}'


class Recipient:
    """A client that takes everything at once."""

    def __init__(self) -> None:
        self.got = b""

    async def write(self, data: bytes, more: bool = True) -> None:
        self.got += data

    def push(self, data: bytes, more: bool = True) -> bool:
        self.got += data
        return True

    def flowing(self) -> bool:
        return True

    def push_chunk(self, framed: bytes) -> None:
        self.got += framed[framed.index(b"\n") + 1 : -2]


def passage(
    client: Recipient | Hold,
    clock: ManualClock,
    rewriter: EventRewriter | None = None,
    path: str = "/v1/chat/completions",
) -> Passage:
    """A passage of a stream of an operation to `client`."""
    operation = accept("POST", path)
    dialect = for_operation(operation.name)
    x = Exchange("x", "x", clock.now_ns(), clock.monotonic())
    x.operation, x.provider = operation, "openai"
    stream = OpenStream(SseParser(1 << 20), dialect.stream(dialect.read(operation, ASKED)), [])
    found = Passage(x, stream, rewriter, client, clock, IDLE, PINGED, Slices(clock.monotonic))
    found.heard_at = found.spoke_at = clock.monotonic()
    return found


def pass_on(
    *pieces: Piece,
    to: Recipient | Hold | None = None,
    path: str = "/v1/chat/completions",
    rewriter: EventRewriter | None = None,
) -> tuple[bytes, Refusal | None]:
    """What the client got, and why the stream broke, if it did."""
    client = Recipient() if to is None else to
    clock = ManualClock()
    on = passage(client, clock, rewriter, path)
    provider = Provided(clock, *pieces)
    broken = asyncio.run(on.pass_on(provider, b""))
    assert provider.relay is None, "who is done with a stream offers nothing any more"
    got = client.events if isinstance(client, Hold) else client.got
    return got + on.out, broken


@given(st.lists(st.integers(0, len(WHOLE)), max_size=6), st.booleans())
def test_however_a_stream_is_cut_its_events_arrive_as_they_were(cuts: list[int], held: bool) -> None:
    """Every chunking gives the same talk, to a client and to one who holds it."""
    places = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[a:b] for a, b in itertools.pairwise(places) if a < b]
    assert pass_on(*pieces, to=Hold("openai") if held else None) == (WHOLE, None)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_stream_that_ends_early_is_broken_and_what_was_whole_of_it_arrived(end: int) -> None:
    """A stream whose answer was whole has ended well, however its connection did; every other one is broken."""
    for last in ((), (Disconnected("gone", sent=True),)):
        got, broken = pass_on(WHOLE[:end], *last)
        assert WHOLE.startswith(got)
        assert (broken is None) == (b'"stop"' in got), got


MESSAGE = message_stream(message("Yours, ann "))
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


@given(st.integers(0, len(MESSAGE)), st.sampled_from([None, Masker, Hoarder]))
def test_a_message_that_ends_with_its_stop_reason_is_whole_and_gets_its_last_event(
    end: int, inspector: type[Masker] | None
) -> None:
    """Upstream closes without its last event: if a finish reason was seen, end cleanly. Never end a broken stream as if
    it were whole."""
    for last in ((), (Disconnected("gone", sent=True),), (2 * IDLE,)):
        rewriter = None if inspector is None else Rewriters().open("messages", inspector())
        got, broken = pass_on(MESSAGE[:end], *last, path="/v1/messages", rewriter=rewriter)
        whole = b'"stop_reason": "end_turn"' in got
        assert (broken is None) == whole
        assert got.count(b"event: message_stop\n") == whole
        if whole:
            assert CLIENTS.message(got).content[0].text == "Yours, ann "
    unnamed = MESSAGE.replace(b"event: message_stop\n", b"")
    assert pass_on(unnamed, path="/v1/messages") == (unnamed, None), "it said so itself"


@pytest.mark.parametrize("last", [(), (Disconnected("gone", sent=True),), (2 * IDLE,)])
def test_a_provider_that_told_its_error_itself_is_not_corrected(last: tuple[Piece, ...]) -> None:
    """The client gets one error event, and it is the provider's own."""
    told = sse(delta("one"), '{"error": {"message": "out of memory"}}')
    got, broken = pass_on(told, *last)
    assert (got.replace(PING, b""), broken) == (told, None)
    told = MESSAGE[:-200].rpartition(b"event: ")[0] + b'event: error\ndata: {"type":"error","error":{"type":"x"}}\n\n'
    got, broken = pass_on(told, *last, path="/v1/messages")
    assert (got.replace(PING, b""), broken) == (told, None)


def test_silence_is_filled_with_comments_and_ends_in_a_timeout() -> None:
    begun, rest = WHOLE[:200], WHOLE[200:]
    assert pass_on(begun, 2.1 * PINGED, rest)[1] is None
    got, broken = pass_on(b": alive\n\n", 2 * IDLE)
    assert got == b": alive\n\n" + PING * 2
    assert isinstance(broken, UpstreamTimeout)
    assert str(broken) == "The provider 'openai' sent no event for 30 s."


def test_a_provider_that_only_keeps_alive_is_idle() -> None:
    """Comments are passed on but do not count as progress."""
    pieces = [piece for _ in range(9) for piece in (b": alive\n\n", 10.0)]
    got, broken = pass_on(*pieces)
    assert got == b": alive\n\n" * 3
    assert isinstance(broken, UpstreamTimeout)


def test_what_is_held_is_bounded_and_has_no_comments_of_ours() -> None:
    assert pass_on(WHOLE[:200], 2.1 * PINGED, WHOLE[200:], to=Hold("openai")) == (WHOLE, None)
    with pytest.raises(UpstreamBroken, match="too large"):
        pass_on(*[sse(delta("x" * 1_000_000))] * 9, to=Hold("openai"))


def test_a_broken_stream_ends_with_an_event_of_its_operation() -> None:
    x = Exchange("x", "req", 0, 0.0)
    x.operation = accept("POST", "/v1/messages")
    assert stream_error(UpstreamBroken("gone"), x).startswith(b"event: error\n")
    x.operation = accept("POST", "/v1/chat/completions")
    assert stream_error(UpstreamBroken("gone"), x).startswith(b"data: {")


TEXTS = st.lists(
    st.sampled_from(["word ", " wo", "rd", "4111", "a@b.c ", "", "é", '"', "\\", "\n", "\u2028", "\ud83d", "BLOCK"]),
    max_size=12,
)


@given(TEXTS, st.sampled_from([None, Masker, Hoarder]), st.booleans())
def test_an_event_that_is_relayed_is_the_event_it_would_be_in_company(
    texts: list[str], inspector: type[Masker] | None, padded: bool
) -> None:
    """Whether an event comes alone in its chunk or not, the client gets the same bytes, and what is counted is the
    same."""
    chunks = [delta(json.dumps(text)[1:-1]) for text in texts]
    if padded:
        chunks = [f'{one[:-1]},"obfuscation":"{"x" * (at % 4 + 1)}"}}' for at, one in enumerate(chunks)]
    events = [sse(one) for one in [*chunks, delta("", "stop")]]
    clients = Recipient(), Recipient()
    alone, company = (
        passage(client, ManualClock(), inspector and Rewriters().open("chat.completions", inspector()))
        for client in clients
    )
    for event in events:
        framed = b"%x\r\n%b\r\n" % (len(event), event)
        until = alone.relay(framed, framed.index(b"\n") + 1)
        clients[1].got += company.take(company.stream.parser.feed(event), 0.0)
        assert alone.blocked == company.blocked == (until < 0)
        if alone.blocked:
            assert clients[0].got + alone.out == clients[1].got
            return
        assert until > 0
        assert clients[0].got == clients[1].got
        assert alone.stream.reader.text() == company.stream.reader.text()
        assert alone.x.events == company.x.events


@given(
    st.text('ab 1@.é"\\', max_size=40),
    st.sampled_from([None, Masker, Hoarder]),
    st.sampled_from(["messages", "responses"]),
)
def test_an_event_with_its_name_is_relayed_as_it_would_be_in_company(
    text: str, inspector: type[Masker] | None, operation: str
) -> None:
    """The same for events of two lines, whose last ones are left to who ends the stream."""
    stream = message_stream(message(text)) if operation == "messages" else response_stream(response(text))
    events = [each.raw for each in SseParser().feed(stream)]
    clients = Recipient(), Recipient()
    alone, company = (
        passage(client, ManualClock(), inspector and Rewriters().open(operation, inspector()), f"/v1/{operation}")
        for client in clients
    )
    for event in events:
        framed = b"%x\r\n%b\r\n" % (len(event), event)
        until = alone.relay(framed, framed.index(b"\n") + 1)
        if len(framed) > SHORT:
            return
        assert (until == 0) == any(event.startswith(b"event: %b\n" % name) for name in LAST_EVENTS)
        if until == 0:
            clients[0].got += alone.take(alone.stream.parser.feed(event), 0.0)
        clients[1].got += company.take(company.stream.parser.feed(event), 0.0)
        assert clients[0].got == clients[1].got
        assert alone.over == company.over
        read = [(each.text(), each.finished, each.usage) for each in (alone.stream.reader, company.stream.reader)]
        assert read[0] == read[1]
        assert alone.x.events == company.x.events


@pytest.mark.parametrize(
    "event",
    [b"event: a\r\ndata: 1\r\n\r\n", b"event: a\n\n", b"event: a\nid: 1\ndata: 1\n\n",
     b"event: a\ndata: 1\ndata: 2\n\n", b"event: a\ndata:1\n\n",
     b"event: a", b"id: 1\ndata: 1\n\n", b"event: message_stop\ndata: 1\n\n"],
)  # fmt: skip
def test_an_event_that_is_written_otherwise_is_not_relayed(event: bytes) -> None:
    client = Recipient()
    framed = b"%x\r\n%b\r\n" % (len(event), event)
    assert passage(client, ManualClock()).relay(framed, framed.index(b"\n") + 1) == 0.0
    assert client.got == b""
