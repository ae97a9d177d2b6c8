"""One target asked once, over a transport that answers what the test says."""

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.attempt import (
    BUFFER_CAP,
    Answer,
    EmptyStream,
    FirstEventTimeout,
    Outgoing,
    UnservedAnswer,
    ask,
    is_event_stream,
    target_of,
)
from gateway.clock import ManualClock
from gateway.dialects import for_operation
from gateway.errors import DeadlineExceeded, Disconnected, ProtocolBroken
from gateway.facts import Attempt, Exchange
from gateway.operations import accept
from gateway.routing.circuits import Circuits
from gateway.routing.table import Provider, Route, Target
from gateway.seams import Origin, UpstreamRequest
from gateway.wire.head import Head
from tests.support.provided import Piece, Provided
from tests.support.raw import delta, sse

PROVIDER = Provider(name="p", wire="openai", origin=Origin("http", "h", 1), base_path=b"/base", transport="httpx")
JSON = b"application/json"
EVENTS = sse(delta("one"), delta(" two"))


def asked(
    *pieces: Piece, stream: bool = False, content_type: bytes | None = None
) -> tuple[Answer, UpstreamRequest, Attempt]:
    """The answer of an attempt, what was sent for it, and what is noted of it. Closes the response when it raises."""
    clock = ManualClock()
    response = Provided(clock, *pieces, content_type=content_type or (b"text/event-stream" if stream else JSON))
    sent: list[UpstreamRequest] = []

    async def send(request: UpstreamRequest) -> Provided:
        sent.append(request)
        return response

    def transport_of(provider: Provider) -> SimpleNamespace:
        return SimpleNamespace(send=send)

    world = SimpleNamespace(
        clock=clock, traces=None, circuits=Circuits(lambda flip: None), pool=None, transport=transport_of
    )
    operation = accept("POST", "/v1/chat/completions")
    dialect = for_operation(operation.name)
    body = b'{"model": "mine", "messages": [], "stream": %b}' % (b"true" if stream else b"false")
    reading = dialect.read(operation, body)
    target = Target(PROVIDER, "theirs")
    route = Route("mine", (target,))
    out = Outgoing(operation, route, Head([]), b"id", b"/chat/completions", b"", body, reading, dialect, 1 << 20)
    attempt = Attempt(provider="p", model="theirs")
    x = Exchange("x", "x", clock.now_ns(), clock.monotonic())
    try:
        answer = asyncio.run(ask(world, x, out, target, attempt, 0))  # pyright: ignore[reportArgumentType]
    except BaseException:
        assert response.closed, "an attempt that failed keeps no connection"
        raise
    assert not response.closed
    return answer, sent[0], attempt


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5))
def test_a_unary_answer_is_read_to_its_end(pieces: list[bytes]) -> None:
    """What is ready to be committed is a whole body."""
    answer, request, attempt = asked(b"{", *pieces)
    assert (answer.body, answer.whole, answer.stream) == (b"{" + b"".join(pieces), True, None)
    assert (request.target, attempt.status) == (b"/base/chat/completions", 200)
    assert isinstance(request.body, bytes)
    assert b'"theirs"' in request.body


def test_a_huge_answer_is_read_up_to_the_cap() -> None:
    piece = b"[" * (BUFFER_CAP // 2)
    answer, _, _ = asked(piece, piece, b"y", b"the rest")
    assert (len(answer.body), answer.whole) == (BUFFER_CAP + 1, False)


@given(st.integers(1, len(EVENTS)))
def test_a_stream_is_read_up_to_its_first_data_event(cut: int) -> None:
    """Comments before it are kept, but do not count."""
    answer, _, _ = asked(b": wait\n\n", EVENTS[:cut], EVENTS[cut:], stream=True)
    assert answer.stream is not None
    events = [event for event in answer.stream.first if event.data is not None]
    assert (answer.stream.first[0].data, len(events) >= 1) == (None, True)
    assert EVENTS.startswith(b"".join(event.raw for event in events))


def test_a_stream_that_is_none_is_read_as_a_body() -> None:
    answer, _, _ = asked(b"{}", stream=True, content_type=JSON)
    assert (answer.body, answer.whole, answer.stream) == (b"{}", True, None)


@pytest.mark.parametrize(
    ("pieces", "stream", "error"),
    [
        ((b"{", Disconnected("gone", sent=True)), False, Disconnected),
        ((b"{", PROVIDER.timeouts.idle + 1.0), False, DeadlineExceeded),
        ((b"<html>",), False, UnservedAnswer),
        ((b"<" * (BUFFER_CAP + 1), b"the rest"), False, UnservedAnswer),
        ((), False, UnservedAnswer),
        ((b": wait\n\n",), True, EmptyStream),
        ((b": wait\n\n", PROVIDER.timeouts.first_event + 1.0), True, FirstEventTimeout),
        ((b"data: " + b"x" * (1 << 20),), True, ProtocolBroken),
    ],
)
def test_an_attempt_fails_before_anything_was_committed(
    pieces: tuple[Piece, ...], stream: bool, error: type[Exception]
) -> None:
    with pytest.raises(error):
        asked(*pieces, stream=stream)


def test_paths_and_content_types() -> None:
    assert target_of(PROVIDER, b"/x", b"a=b") == b"/base/x?a=b"
    assert is_event_stream([(b"content-type", b"Text/Event-Stream; charset=utf-8")])
    assert not is_event_stream([(b"content-type", JSON)])
    assert not is_event_stream([])
