"""Spans as OTLP protobuf bytes: `ExportTraceServiceRequest` of opentelemetry-proto 1.x.

Written out here because of what it costs: a span of twenty attributes takes some 5 µs, and 50 through opentelemetry-sdk
and its exporter, which at two spans an exchange is as much as the gateway needs for the exchange itself. The tests
decode everything with the official messages.
"""

import struct
from collections.abc import Iterable, Mapping

from gateway.telemetry.span import Event, Shared, Span, Value

MOST_KNOWN = 4096
"""Encoded attributes that are remembered, single ones and blocks: the same ones come again and again."""
LONGEST_KNOWN = 256
"""Characters of a text that is remembered."""
_REMOTE_KNOWN = 0x100
_REMOTE = 0x200
"""Bits of `Span.flags`: it is known where the parent is; it is in another process."""
_FIXED = struct.Struct("<Q").pack
_DOUBLE = struct.Struct("<d").pack
_FLAGS = struct.Struct("<I").pack
_STATUS_ERROR = b"\x7a\x02\x18\x02"
_INT64 = (1 << 64) - 1


class Encoder:
    """Encodes for one sender. What it remembers is only got, set and cleared, so that two threads may use it."""

    def __init__(self, resource: Mapping[str, Value], scope: tuple[str, str], schema_url: str) -> None:
        """`resource`: who sends; `scope`: name and version of what made the spans; `schema_url`: of their names, empty
        for none."""
        self._known: dict[tuple[str, Value], bytes] = {}
        """No bool and no float is in it: as keys, 1, 1.0 and True are the same."""
        self._blocks: dict[Shared, bytes] = {}
        self._names: dict[str, bytes] = {}
        """Names of attributes are our own: there are some fifty."""
        attributes = b"".join(field(b"\x0a", _attribute(name, value)) for name, value in resource.items())
        self._resource = field(b"\x0a", attributes)
        self._scope = field(b"\x0a", text(b"\x0a", scope[0]) + text(b"\x12", scope[1]))
        self._schema = text(b"\x1a", schema_url) if schema_url else b""

    def request(self, spans: Iterable[bytes]) -> bytes:
        """The body of one export of spans that `span` has encoded."""
        spans = tuple(spans)
        size = len(self._scope) + sum(map(len, spans)) + len(self._schema)
        scoped = b"%b\x12%b" % (self._resource, varint(size))  # sizes first: the spans are copied once
        return b"".join((b"\x0a", varint(len(scoped) + size), scoped, self._scope, *spans, self._schema))

    def span(self, span: Span) -> bytes:
        """One span, ready for `request`."""
        parts = [b"\x0a\x10%b\x12\x08%b" % (bytes.fromhex(span.trace_id), span.span_id.to_bytes(8, "big"))]
        if span.state:
            parts.append(text(b"\x1a", span.state))
        if span.parent_id:
            parts.append(b"\x22\x08" + span.parent_id.to_bytes(8, "big"))
        parts.append(text(b"\x2a", span.name))
        parts.append(b"\x30%c\x39%b\x41%b" % (span.kind, _FIXED(span.start_ns), _FIXED(span.end_ns)))
        shared = span.shared
        if shared.attributes:
            block = self._blocks.get(shared)
            if block is None:
                if len(self._blocks) >= MOST_KNOWN:
                    self._blocks.clear()
                block = self._blocks[shared] = b"".join([self.entry(*pair) for pair in shared.attributes])
            parts.append(block)
        parts += [self.entry(name, value) for name, value in span.own]
        parts += [field(b"\x5a", _event(event)) for event in span.events]
        if span.failed:
            parts.append(_STATUS_ERROR)
        parts.append(b"\x85\x01" + _FLAGS(span.flags | _REMOTE_KNOWN | (_REMOTE if span.remote else 0)))
        return field(b"\x12", b"".join(parts))

    def entry(self, name: str, value: Value) -> bytes:
        """An entry of `Span.attributes`."""
        named = self._names.get(name)
        if named is None:
            named = self._names[name] = text(b"\x0a", name) + b"\x12"
        if isinstance(value, float):
            return field(b"\x4a", b"%b\x09\x21%b" % (named, _DOUBLE(value)))
        if isinstance(value, bool):
            return field(b"\x4a", b"%b\x02\x10%c" % (named, value))
        if isinstance(value, str) and len(value) > LONGEST_KNOWN:
            return field(b"\x4a", _attribute(name, value))
        key = (name, value)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            encoded = _value(value)
            known = self._known[key] = field(b"\x4a", named + varint(len(encoded)) + encoded)
        return known


def varint(number: int) -> bytes:
    """Base 128, least significant group first; of a negative number the two's complement in 64 bits."""
    number &= _INT64
    if number < 0x80:
        return b"%c" % number
    if number < 0x4000:
        return b"%c%c" % (number & 0x7F | 0x80, number >> 7)
    if number < 0x200000:
        return b"%c%c%c" % (number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14)
    groups = bytearray()
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def field(tag: bytes, inner: bytes) -> bytes:
    """A length-delimited field."""
    size = len(inner)
    return b"%b%c%b" % (tag, size, inner) if size < 0x80 else tag + varint(size) + inner


def text(tag: bytes, value: str) -> bytes:
    """A client may have put half of a surrogate pair into a name; protobuf holds UTF-8 only."""
    return field(tag, value.encode("utf-8", "replace"))


def _attribute(name: str, value: Value) -> bytes:
    """A `KeyValue`'s inside."""
    encoded = _value(value)
    return b"%b\x12%b%b" % (text(b"\x0a", name), varint(len(encoded)), encoded)


def _value(value: Value) -> bytes:
    """An `AnyValue`'s inside."""
    if isinstance(value, str):
        return text(b"\x0a", value)
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value)
    if isinstance(value, float):
        return b"\x21" + _DOUBLE(value)
    return field(b"\x2a", b"".join(field(b"\x0a", text(b"\x0a", item)) for item in value))


def _event(event: Event) -> bytes:
    fields = b"".join(field(b"\x1a", _attribute(name, value)) for name, value in event.attributes)
    return b"\x09%b%b%b" % (_FIXED(event.at_ns), text(b"\x12", event.name), fields)
