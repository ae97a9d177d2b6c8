"""Spans of ordinary exchanges, straight from the notebook to OTLP bytes: what many have alike is encoded once.

An ordinary exchange was answered by the first provider it was sent to, and no guardrail found anything: nearly every
one is. Its two spans are a template with some numbers filled in, which takes a third of the time that values
(`spans.py`) and their encoding (`otlp.py`) take. Everything else goes that way, and a property test holds the bytes of
both to be the same.
"""

import struct
from collections.abc import Mapping

import msgspec

from gateway.facts import ALLOWED, Attempt, Exchange, Usage
from gateway.telemetry.otlp import Encoder, field, text, varint
from gateway.telemetry.semconv import Names
from gateway.telemetry.spans import (
    UNKNOWN,
    Memo,
    Peer,
    attempt_block,
    exchange_block,
    kind_of,
    name_of,
    parts_of,
    stages_of,
)
from gateway.wire.traceparent import trace_id_of

MOST = 4096
"""Templates kept."""
_ID = 36
"""Characters of an exchange's id."""
_TIMES = struct.Struct("<cQcQ").pack
_STAGES = ("admit", "prepare", "upstream", "first", "deliver")
_DOUBLE = struct.Struct("<d").pack
_AT = struct.Struct("<Q").pack
_ROOT_FLAGS = struct.Struct("<2sI").pack
_KNOWN, _REMOTE = 0x100, 0x200

Ints = tuple[bytes, ...]
"""Forms of an attribute that is a small integer, by how many bytes its varint has."""


class _Template(msgspec.Struct, frozen=True, gc=False):
    """What stays of the exchanges of one caller, model, provider and end."""

    root: bytes
    """Name and kind of the exchange's span."""
    block: bytes
    """Its shared attributes."""
    upstream: bytes
    """Name and kind of the attempt's."""
    upstream_block: bytes
    openai: bool
    """Service tiers are told of."""


class Templates:
    """Encodes for one sender; used from one thread."""

    def __init__(self, names: Names, encoder: Encoder) -> None:
        self._names = names
        self._encoder = encoder
        self._peers: Mapping[str, Peer] = {}
        self._known: dict[tuple[object, ...], _Template] = {}
        self._memo: Memo = {}
        self._id = _escaped(_prefix("tollway.exchange.id", 2 + _ID) + b"\x0a%c" % _ID) + b"%b"
        self._input = [_ints(name) for name in names.input_tokens]
        self._output = [_ints(name) for name in names.output_tokens]
        self._limit = [_ints(name) for name in names.max_tokens]
        self._cost = _ints("tollway.cost.nano_usd")
        self._events = _ints("tollway.stream.events")
        self._first = [_prefix(name, 9) + b"\x21" for name in names.first_chunk]
        stages = [_prefix(f"tollway.stage.{stage}", 9) + b"\x21" for stage in _STAGES]
        self._stages = struct.Struct("<" + "".join(f"{len(stage)}sd" for stage in stages)).pack
        self._stage = stages
        event = b"\x09" + bytes(8) + text(b"\x12", "first_token")
        self._first_token = field(b"\x5a", event)[:3], field(b"\x5a", event)[11:]

    def encode(self, x: Exchange, peers: Mapping[str, Peer]) -> bytes | None:
        """The spans of `x`, two of them, as `Encoder.span` would give them joined; None: it is not ordinary. `peers` as
        for `spans_of`."""
        attempts, usage = x.attempts, x.usage
        if attempts is None or len(attempts) != 1 or usage is None or len(x.id) != _ID:
            return None
        attempt = attempts[0]
        if (
            attempt.error
            or attempt.status >= 400
            or x.outcome != "ok"
            or x.failed_at is not None
            or x.content is not None
            or x.request_verdict is not ALLOWED
            or x.response_verdict is not ALLOWED
        ):
            return None
        template = self._template(x, attempt, peers)
        if template is None:
            return None
        parent = x.parent
        own = bytes.fromhex(x.id[19:23] + x.id[24:])
        trace = bytes.fromhex(trace_id_of(x))
        begin = x.received_ns
        stream = x.reading is not None and x.reading.stream
        end = begin + max(0, round((x.finished_at - x.received_at) * 1e9))
        if parent is None:
            above, state, flags = b"", b"", _ROOT_FLAGS(b"\x85\x01", 1 | _KNOWN)
            below = flags
        else:
            state = text(b"\x1a", parent.state) if parent.state else b""
            above = b"\x22\x08" + bytes.fromhex(parent.span_id)
            flags = _ROOT_FLAGS(b"\x85\x01", parent.flags | _KNOWN | _REMOTE)
            below = _ROOT_FLAGS(b"\x85\x01", parent.flags | _KNOWN)
        root = b"\x0a\x10%b\x12\x08%b%b%b%b%b%b%b%b%b" % (
            trace, own, state, above, template.root, _TIMES(b"\x39", begin, b"\x41", end), template.block,
            self._own(x, template, usage, stream), self._event(x) if stream else b"", flags,
        )  # fmt: skip
        started = begin + max(0, round((x.forwarded_at - x.received_at) * 1e9))
        over = x.forwarded_at + attempt.seconds
        if stream and x.committed:
            over = max(over, x.finished_at)
        ended = max(started, begin + max(0, round((over - x.received_at) * 1e9)))
        child = b"\x0a\x10%b\x12\x08%b%b\x22\x08%b%b%b%b%b" % (
            trace, (int.from_bytes(own) + 1 & (1 << 64) - 1).to_bytes(8), state, own, template.upstream,
            _TIMES(b"\x39", started, b"\x41", ended), template.upstream_block, below,
        )  # fmt: skip
        return b"\x12%b%b\x12%b%b" % (varint(len(root)), root, varint(len(child)), child)

    def _template(self, x: Exchange, attempt: Attempt, peers: Mapping[str, Peer]) -> _Template | None:
        if peers is not self._peers:
            self._peers = peers
            self._known.clear()
        caller, operation, reading = x.caller, x.operation, x.reading
        if caller is None or operation is None or reading is None:
            return None
        key = (
            caller.team, caller.key_id, operation.name, operation.wire, reading.model, reading.stream, x.provider,
            x.model, attempt.provider, attempt.model, attempt.status, x.status,
        )  # fmt: skip
        known = self._known.get(key)
        if known is not None:
            return known
        if len(self._known) >= MOST:
            self._known.clear()
        peer = peers.get(x.provider or attempt.provider, UNKNOWN)
        self._memo.clear()
        shared = exchange_block(x, self._names, peer, self._memo)
        below = attempt_block(x, attempt, 1, peers.get(attempt.provider, UNKNOWN), self._memo)
        entry = self._encoder.entry
        made = self._known[key] = _Template(
            text(b"\x2a", name_of(x)) + b"\x30%c" % kind_of(x),
            b"".join([entry(*pair) for pair in shared.attributes]),
            text(b"\x2a", f"upstream {attempt.provider}") + b"\x30\x03",
            b"".join([entry(*pair) for pair in below.attributes]),
            peer.system == "openai",
        )
        return made

    def _own(self, x: Exchange, template: _Template, usage: Usage, stream: bool) -> bytes:
        """As `spans.own_of`."""
        entry, names, reading = self._encoder.entry, self._names, x.reading
        parts = [self._id % x.id.encode()]
        if x.request_id != x.id:
            parts.append(entry("tollway.request.id", x.request_id))
        if reading is not None:
            if reading.max_output_tokens is not None:
                parts += [_int(forms, reading.max_output_tokens) for forms in self._limit]
            if reading.choices != 1:
                parts += [entry(name, reading.choices) for name in names.choices]
            if stream and x.first_byte_at and x.events:
                first = _DOUBLE(max(0.0, x.first_byte_at - x.received_at))
                parts += [begin + first for begin in self._first]
            if reading.service_tier and template.openai:
                parts += [entry(name, reading.service_tier[:200]) for name in names.request_tier]
        if x.service_tier and template.openai:
            parts += [entry(name, x.service_tier[:200]) for name in names.response_tier]
        parts += [_int(forms, usage.input_tokens) for forms in self._input]
        parts += [_int(forms, usage.output_tokens) for forms in self._output]
        if (
            usage.cache_read_tokens or usage.cache_write_5m_tokens or usage.cache_write_1h_tokens
            or usage.reasoning_tokens or usage.input_audio_tokens or usage.output_audio_tokens
            or usage.cache_read_audio_tokens or usage.input_image_tokens or usage.output_image_tokens
            or usage.cache_read_image_tokens
        ):  # fmt: skip
            parts += [entry(name, tokens) for name, tokens in parts_of(usage, names)]
        cost = x.cost
        if cost.nanos is not None:
            parts.append(_int(self._cost, cost.nanos))
            if cost.price_version:
                parts.append(entry("tollway.price.version", cost.price_version))
        if x.usage_estimated:
            parts.append(entry("tollway.usage.estimated", True))
        if x.events:
            parts.append(_int(self._events, x.events))
        parts.append(self._times(x))
        return b"".join(parts)

    def _times(self, x: Exchange) -> bytes:
        """As `spans.stages_of`: five numbers of fixed width, where every stage was reached."""
        received, read, sent, head, first = x.received_at, x.read_at, x.forwarded_at, x.headers_at, x.first_byte_at
        if not (read and sent and head and first and x.finished_at):
            return b"".join([self._encoder.entry(*pair) for pair in stages_of(x)])
        a, b, c, d, e = self._stage
        return self._stages(
            a, max(0.0, read - received), b, max(0.0, sent - read), c, max(0.0, head - sent), d, max(0.0, first - head),
            e, max(0.0, x.finished_at - first),
        )  # fmt: skip

    def _event(self, x: Exchange) -> bytes:
        if not (x.first_byte_at and x.events):
            return b""
        before, after = self._first_token
        return before + _AT(x.received_ns + max(0, round((x.first_byte_at - x.received_at) * 1e9))) + after


def _prefix(name: str, value: int) -> bytes:
    """An attribute up to its value, which has `value` bytes."""
    named = text(b"\x0a", name) + b"\x12" + varint(value)
    return b"\x4a" + varint(len(named) + value) + named


def _escaped(form: bytes) -> bytes:
    return form.replace(b"%", b"%%")


def _ints(name: str) -> Ints:
    """Forms for values below 2^7 and 2^14; then the name, for larger ones."""
    one = _escaped(_prefix(name, 2) + b"\x18") + b"%c"
    two = _escaped(_prefix(name, 3) + b"\x18") + b"%c%c"
    return one, two, text(b"\x0a", name) + b"\x12"


def _int(forms: Ints, value: int) -> bytes:
    if 0 <= value < 1 << 7:
        return forms[0] % value
    if 0 <= value < 1 << 14:
        return forms[1] % (value & 0x7F | 0x80, value >> 7)
    encoded = b"\x18" + varint(value)
    return field(b"\x4a", forms[2] + varint(len(encoded)) + encoded)
