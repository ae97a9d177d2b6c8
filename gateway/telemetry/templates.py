"""Spans of ordinary exchanges, straight from the notebook to OTLP bytes: what many have alike is encoded once.

An ordinary exchange was answered by the first provider it was sent to, and no guardrail found anything: nearly every
one is. Its two spans are a template with some numbers filled in, which takes a third of the time that values
(`spans.py`) and their encoding (`otlp.py`) take. Everything else goes that way, and a property test holds the bytes of
both to be the same.
"""

import struct
from collections.abc import Mapping

import msgspec

from gateway.facts import ALLOWED, Attempt, Exchange, Reading, Usage
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
_OWN_FLAGS = _ROOT_FLAGS(b"\x85\x01", 1 | _KNOWN)

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
        self._limit = [_ints(name) for name in names.max_tokens]
        self._events = _ints("tollway.stream.events")
        self._first = [_prefix(name, 9) + b"\x21" for name in names.first_chunk]
        stages = [_prefix(f"tollway.stage.{stage}", 9) + b"\x21" for stage in _STAGES]
        self._stages = struct.Struct("<" + "".join(f"{len(stage)}sd" for stage in stages)).pack
        self._stage = stages
        self._forms: dict[tuple[int | None, int, int, int, str], bytes] = {}
        event = b"\x09" + bytes(8) + text(b"\x12", "first_token")
        self._first_token = field(b"\x5a", event)[:3], field(b"\x5a", event)[11:]

    def encode(self, x: Exchange, peers: Mapping[str, Peer]) -> bytes | None:
        """The spans of `x`, two of them, as `Encoder.span` would give them joined; None: it is not ordinary. `peers` as
        for `spans_of`."""
        attempts, usage, reading = x.attempts, x.usage, x.reading
        if attempts is None or len(attempts) != 1 or usage is None or reading is None or len(x.id) != _ID:
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
        stream = reading.stream
        parent, received = x.parent, x.received_at
        begin = x.received_ns
        end = begin + round((x.finished_at - received) * 1e9)
        if end < begin:
            end = begin
        if parent is None:
            trace = bytes.fromhex(x.id.replace("-", ""))
            own, above, state, flags = trace[8:], b"", b"", _OWN_FLAGS
            below = flags
        else:
            trace = bytes.fromhex(parent.trace_id)
            own = bytes.fromhex(x.id[19:23] + x.id[24:])
            state = text(b"\x1a", parent.state) if parent.state else b""
            above = b"\x22\x08" + bytes.fromhex(parent.span_id)
            flags = _ROOT_FLAGS(b"\x85\x01", parent.flags | _KNOWN | _REMOTE)
            below = _ROOT_FLAGS(b"\x85\x01", parent.flags | _KNOWN)
        root = b"\x0a\x10%b\x12\x08%b%b%b%b%b%b%b%b%b" % (
            trace, own, state, above, template.root, _TIMES(b"\x39", begin, b"\x41", end), template.block,
            self._own(x, reading, template, usage, stream), self._event(x) if stream else b"", flags,
        )  # fmt: skip
        over = x.forwarded_at + attempt.seconds
        if stream and x.committed and over < x.finished_at:
            over = x.finished_at
        started, ended = begin + round((x.forwarded_at - received) * 1e9), begin + round((over - received) * 1e9)
        if started < begin:
            started = begin
        if ended < started:
            ended = started
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

    def _own(self, x: Exchange, reading: Reading, template: _Template, usage: Usage, stream: bool) -> bytes:
        """As `spans.own_of`: one form holds what most have, and what some have goes between."""
        requested = self._encoder.entry("tollway.request.id", x.request_id) if x.request_id != x.id else b""
        asked = parts = after = b""
        if stream or reading.choices != 1 or template.openai:
            asked = self._asked(x, reading, template, stream)
        if (
            usage.cache_read_tokens or usage.cache_write_5m_tokens or usage.cache_write_1h_tokens
            or usage.reasoning_tokens or usage.input_audio_tokens or usage.output_audio_tokens
            or usage.cache_read_audio_tokens or usage.input_image_tokens or usage.output_image_tokens
            or usage.cache_read_image_tokens
        ):  # fmt: skip
            parts = b"".join([self._encoder.entry(name, tokens) for name, tokens in parts_of(usage, self._names)])
        if x.usage_estimated:
            after = self._encoder.entry("tollway.usage.estimated", True)
        if x.events:
            after += _int(self._events, x.events)
        cost = x.cost
        given, taken = varint(usage.input_tokens), varint(usage.output_tokens)
        nanos, version = (b"", "") if cost.nanos is None else (varint(cost.nanos), cost.price_version)
        key = reading.max_output_tokens, len(given), len(taken), len(nanos), version
        form = self._forms.get(key)
        if form is None:
            form = self._form(*key)
        return form % (x.id.encode(), requested, asked, given, taken, parts, nanos, after, self._times(x))

    def _form(self, limit: int | None, given: int, taken: int, nanos: int, version: str) -> bytes:
        """What is alike where the limit asked for, the sizes of three numbers and the price version are."""
        if len(self._forms) >= MOST:
            self._forms.clear()
        limits = b"" if limit is None else b"".join([_int(forms, limit) for forms in self._limit])
        cost = b"%b"
        if nanos:
            priced = self._encoder.entry("tollway.price.version", version) if version else b""
            cost = _number("tollway.cost.nano_usd", nanos) + _escaped(priced)
        numbers = _number(self._names.input_tokens[0], given) + _number(self._names.output_tokens[0], taken)
        made = b"%b%%b%b%%b%b%%b%b%%b%%b" % (self._id, _escaped(limits), numbers, cost)
        self._forms[limit, given, taken, nanos, version] = made
        return made

    def _asked(self, x: Exchange, reading: Reading, template: _Template, stream: bool) -> bytes:
        """What was asked for beside a limit, and the time to the first token."""
        entry, names = self._encoder.entry, self._names
        parts: list[bytes] = []
        if reading.choices != 1:
            parts += [entry(name, reading.choices) for name in names.choices]
        if stream and x.first_byte_at and x.events:
            first = _DOUBLE(max(0.0, x.first_byte_at - x.received_at))
            parts += [begin + first for begin in self._first]
        if template.openai:
            if reading.service_tier:
                parts += [entry(name, reading.service_tier[:200]) for name in names.request_tier]
            if x.service_tier:
                parts += [entry(name, x.service_tier[:200]) for name in names.response_tier]
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


def _number(name: str, size: int) -> bytes:
    """The form of an attribute whose varint has `size` bytes."""
    return _escaped(_prefix(name, size + 1) + b"\x18") + b"%b"


def _int(forms: Ints, value: int) -> bytes:
    if 0 <= value < 1 << 7:
        return forms[0] % value
    if 0 <= value < 1 << 14:
        return forms[1] % (value & 0x7F | 0x80, value >> 7)
    encoded = b"\x18" + varint(value)
    return field(b"\x4a", forms[2] + varint(len(encoded)) + encoded)
