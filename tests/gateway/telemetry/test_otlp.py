"""OTLP bytes, read by the official messages and held against the official exporter's."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SdkEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from gateway.telemetry.otlp import MOST_KNOWN, Encoder, varint
from gateway.telemetry.span import CLIENT, INTERNAL, NOTHING_SHARED, Attributes, Event, Shared, Span
from tests.support.collector import decoded

RESOURCE = {"service.name": "tollway", "process.pid": 7}
SCHEMA = "https://opentelemetry.io/schemas/1.41.0"
KINDS = {INTERNAL: SpanKind.INTERNAL, CLIENT: SpanKind.CLIENT}

texts = st.text(st.characters(codec="utf-8"), max_size=200)
values = texts | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.lists(texts, max_size=3).map(tuple)
fields = st.dictionaries(texts, values, max_size=6).map(lambda pairs: list(pairs.items()))
times = st.integers(0, 2**63)
spans = st.builds(
    Span,
    name=texts,
    kind=st.sampled_from(list(KINDS)),
    trace_id=st.binary(min_size=16, max_size=16).filter(any).map(bytes.hex),
    span_id=st.integers(1, 2**64 - 1),
    parent_id=st.integers(0, 2**64 - 1),
    remote=st.booleans(),
    start_ns=times,
    end_ns=times,
    own=fields,
    shared=st.just(NOTHING_SHARED),
    events=st.lists(st.builds(Event, name=texts, at_ns=times, attributes=fields), max_size=3),
    failed=st.booleans(),
    state=st.sampled_from(["", "a=1", "a=1,b=2"]),
    flags=st.just(1),
)


def encoder() -> Encoder:
    return Encoder(RESOURCE, ("tollway", "1.2"), SCHEMA)


def official(span: Span) -> ReadableSpan:
    trace, state = int(span.trace_id, 16), TraceState.from_header([span.state] if span.state else [])
    parent = SpanContext(trace, span.parent_id, span.remote) if span.parent_id else None
    return ReadableSpan(
        span.name,
        SpanContext(trace, span.span_id, False, TraceFlags(span.flags), state),
        parent,
        Resource(RESOURCE),
        dict(span.attributes),
        [SdkEvent(event.name, dict(event.attributes), event.at_ns) for event in span.events],
        (),
        KINDS[span.kind],
        None,
        Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
        span.start_ns,
        span.end_ns,
        InstrumentationScope("tollway", "1.2", SCHEMA),
    )


def sorted_fields(message: ExportTraceServiceRequest) -> Sequence[bytes]:
    """The spans with their attributes in one order, and without flags: the exporter sends no sampled flag. An empty
    status and none mean the same."""
    found: list[bytes] = []
    for span in message.resource_spans[0].scope_spans[0].spans:
        for holder in (span, *span.events):
            held = sorted(holder.attributes, key=lambda pair: pair.key)
            del holder.attributes[:]
            holder.attributes.extend(held)
        span.flags = 0
        span.status.SetInParent()
        found.append(span.SerializeToString(deterministic=True))
    return found


@given(st.lists(spans, min_size=1, max_size=4))
def test_it_says_what_the_official_exporter_says(some: list[Span]) -> None:
    """The wire format is the protocol's: both encodings decode to the same spans, resource and scope."""
    one = encoder()
    mine = ExportTraceServiceRequest.FromString(one.request(one.span(span) for span in some))
    theirs = encode_spans([official(span) for span in some])
    assert sorted_fields(mine) == sorted_fields(theirs)
    assert mine.resource_spans[0].scope_spans[0].scope == theirs.resource_spans[0].scope_spans[0].scope
    assert mine.resource_spans[0].scope_spans[0].schema_url == SCHEMA
    assert mine.resource_spans[0].resource == theirs.resource_spans[0].resource


@given(st.lists(spans, min_size=1, max_size=6))
def test_one_encoder_for_many(some: list[Span]) -> None:
    """What an encoder remembers changes nothing."""
    one = encoder()
    first = one.request([one.span(span) for span in some])
    assert first == one.request([one.span(span) for span in some])
    assert [got.span.name for got in decoded(first)] == [span.name for span in some]


@given(st.integers(-(2**63), 2**64 - 1))
def test_varint(number: int) -> None:
    """Rule: "Each byte in the varint has a continuation bit"; negative numbers are ten bytes of two's complement."""
    result = 0
    encoded = varint(number)
    for at, byte in enumerate(encoded):
        assert (byte >= 0x80) == (at < len(encoded) - 1)
        result |= (byte & 0x7F) << (7 * at)
    assert result == number % 2**64
    assert len(encoded) <= 10


def span(attributes: Attributes, **changes: object) -> Span:
    return Span("s", CLIENT, "ab" * 16, 7, 0, False, 1, 2, attributes, **changes)  # type: ignore[arg-type]


def test_flags_tell_the_callers_decision_and_where_the_parent_is() -> None:
    """Bits 0 to 7 are W3C's flags, 8 says that 9 is known, 9 that the parent is in another process."""
    one = encoder()
    remote = Span("s", CLIENT, "ab" * 16, 7, 9, True, 1, 2, [], flags=3)
    got = decoded(one.request([one.span(span([])), one.span(remote)]))
    assert [one.span.flags for one in got] == [0x101, 0x303]


def test_half_a_surrogate_pair_is_replaced() -> None:
    one = encoder()
    (got,) = decoded(one.request([one.span(span([("model", "a\ud800b"), ("all", ("\udfff",))]))]))
    assert got.attributes == {"model": "a?b", "all": ["?"]}


def test_what_is_remembered_is_bounded() -> None:
    one = encoder()
    for number in range(MOST_KNOWN * 2 + 5):
        one.span(span([("id", str(number))]))
    assert len(one._known) <= MOST_KNOWN


@given(fields, fields)
def test_what_is_shared_is_said_as_if_it_were_not(shared: Attributes, own: Attributes) -> None:
    """A block that was encoded before changes nothing."""
    one = encoder()
    block = Shared(tuple(shared))
    first = one.span(span(own, shared=block))
    assert first == one.span(span(own, shared=block)) == one.span(span([*shared, *own]))
