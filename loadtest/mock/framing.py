"""From the answer a dialect means to the steps that go on the wire, with the scenario's delays, faults and oddities."""

import gzip
import random
import zlib
from collections.abc import Callable, Iterator
from itertools import chain

from loadtest.mock.reply import REASONS, End, Event, Headers, Plan, Reply, Step
from loadtest.mock.scenario import Behaviour, Fault, Wire

_PLAIN = Wire()
_NO_BEHAVIOUR = Behaviour()
_LINE_ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}
_TRAILERS = b"0\r\nx-mock-trailer: yes\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
# Between the pieces of a split body: long enough for the kernel to send each in a segment of its own.
_SPLIT_PAUSE = 0.0002


def plan_for(reply: Reply, behaviour: Behaviour, rng: random.Random, keep_alive: bool) -> Plan:
    """The plan for `reply`. Pure but for `rng`."""
    if behaviour == _NO_BEHAVIOUR and reply.events is None and reply.pieces is None:
        return Plan(steps=iter((Step(_head(reply, _PLAIN, keep_alive, len(reply.body)) + reply.body),)))
    fault = behaviour.fault
    latency = behaviour.latency.sample(rng) if behaviour.latency else 0.0
    if fault is not None and (early := _before_headers(fault, latency)) is not None:
        return early
    wire = behaviour.wire or _PLAIN
    if reply.events is not None:
        plan = _stream(reply, reply.events, behaviour, wire, rng, keep_alive)
    elif reply.pieces is not None:
        plan = _lazy(reply, wire, keep_alive)
    else:
        plan = _unary(reply, fault, wire, keep_alive)
    if wire.informational:
        first = b"".join(_informational(status) for status in wire.informational)
        plan.steps = chain((Step(first),), plan.steps)
    if latency:
        plan.steps = chain((Step(b"", delay=latency),), plan.steps)
    if plan.end is End.KEEP and (wire.close or wire.http10 or not keep_alive):
        plan.end = End.CLOSE
    return plan


def _before_headers(fault: Fault, latency: float) -> Plan | None:
    waiting = iter((Step(b"", delay=latency),))
    match fault.kind:
        case "reset_before_headers":
            return Plan(waiting, End.RESET, whole=False)
        case "close_before_headers":
            return Plan(waiting, End.CLOSE, whole=False)
        case "stall_before_headers":
            return Plan(waiting, End.STALL, whole=False)
        case _:
            return None


def _informational(status: int) -> bytes:
    if status == 103:
        return b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n"
    return b"HTTP/1.1 %d Continue\r\n\r\n" % status


def _head(reply: Reply, wire: Wire, keep_alive: bool, length: int | None, extra: Headers | None = None) -> bytes:
    """Status line and headers; `length` None means chunked (or, with `wire.http10`, until the connection closes)."""
    version = b"HTTP/1.0" if wire.http10 else b"HTTP/1.1"
    lines = [b"%b %d %b\r\n" % (version, reply.status, REASONS.get(reply.status, b"Status"))]
    if reply.content_type:
        lines.append(b"content-type: %b\r\n" % reply.content_type)
    lines.extend(b"%b: %b\r\n" % pair for pair in reply.headers)
    lines.extend(b"%b: %b\r\n" % pair for pair in extra or ())
    lines.extend(f"{name}: {value}\r\n".encode("latin-1") for name, value in wire.headers.items())
    if length is not None:
        lines.append(b"content-length: %d\r\n" % length)
    elif not wire.http10:
        lines.append(b"transfer-encoding: chunked\r\n")
    if wire.trailers:
        lines.append(b"trailer: x-mock-trailer\r\n")
    if wire.close or not keep_alive:
        lines.append(b"connection: close\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _same(data: bytes) -> bytes:
    return data


def _unary(reply: Reply, fault: Fault | None, wire: Wire, keep_alive: bool) -> Plan:
    body = reply.body
    extra: Headers = []
    if wire.gzip:
        body = gzip.compress(body, mtime=0)
        extra.append((b"content-encoding", b"gzip"))
    kind = fault.kind if fault is not None else ""
    chunked = wire.chunked or wire.trailers or wire.http10 or kind == "bad_chunk_size"
    length = None if chunked else len(body)
    if kind == "content_length_short":
        length = max(0, len(body) - 10)
    elif kind == "content_length_long":
        length = len(body) + 10
    head = _head(reply, wire, keep_alive, length, extra)
    frame = _chunk if length is None and not wire.http10 else _same
    if kind == "bad_chunk_size":
        return Plan(iter((Step(head + b"zz\r\n" + body),)), End.CLOSE, whole=False)
    if kind in ("reset_during_body", "close_during_body", "stall_mid_stream", "stall_before_first_event"):
        half = b"" if kind == "stall_before_first_event" else frame(body[: len(body) // 2])
        end = {"reset_during_body": End.RESET, "close_during_body": End.CLOSE}.get(kind, End.STALL)
        return Plan(iter((Step(head + half),)), end, whole=False)
    last = b"" if length is not None or wire.http10 else (_TRAILERS if wire.trailers else _LAST_CHUNK)
    end = End.CLOSE if kind in ("content_length_short", "content_length_long") else End.KEEP
    whole = kind not in ("content_length_short", "content_length_long")
    if wire.split:
        pieces = [body[i : i + wire.split] for i in range(0, len(body), wire.split)]
        steps = [Step(head), *(Step(frame(p), delay=_SPLIT_PAUSE) for p in pieces), Step(last)]
        return Plan(iter(steps), end, whole)
    return Plan(iter((Step(head + (frame(body) if body else b"") + last),)), end, whole)


def _lazy(reply: Reply, wire: Wire, keep_alive: bool) -> Plan:
    """A body made while it is sent: one chunk (or plain run of bytes, if its length is known) per piece."""
    frame = _chunk if reply.length is None else _same
    pieces = reply.pieces or ()

    def steps() -> Iterator[Step]:
        yield Step(_head(reply, wire, keep_alive, reply.length))
        for piece in pieces:
            yield Step(frame(piece))
        if reply.length is None:
            yield Step(_LAST_CHUNK)

    return Plan(steps())


def _stream(
    reply: Reply, events: list[Event], behaviour: Behaviour, wire: Wire, rng: random.Random, keep_alive: bool
) -> Plan:
    fault = behaviour.fault
    events, end, whole, closed = _break(events, fault)
    encode: Callable[[bytes], bytes] = _same
    extra: Headers = [(b"cache-control", b"no-cache")]
    if wire.gzip:
        encode = _Deflater()
        extra.append((b"content-encoding", b"gzip"))
    if fault is not None and fault.kind == "bad_chunk_size":
        end, whole, closed = End.CLOSE, False, False
    line_end = _LINE_ENDS[wire.line_end]
    frame = _same if wire.http10 else _chunk
    gaps = _gaps(behaviour, rng)

    def steps() -> Iterator[Step]:
        yield Step(_head(reply, wire, keep_alive, None, extra))
        wait = behaviour.first_event.sample(rng) if behaviour.first_event else 0.0
        for index, event in enumerate(events):
            data = _render(event, line_end)
            if index == 0 and wire.bom:
                data = b"\xef\xbb\xbf" + data
            yield from _paused(wait, wire, frame, encode, line_end)
            if wire.split:
                yield from _pieces(data, event.visible, wire.split, frame, encode)
            else:
                yield Step(frame(encode(data)), visible=event.visible)
            wait = next(gaps) if event.visible else 0.0
        if fault is not None and fault.kind == "bad_chunk_size":
            yield Step(b"zz\r\n")
        elif closed:
            tail = encode(b"") if wire.gzip else b""
            if tail:
                yield Step(frame(tail))
            if not wire.http10:
                yield Step(_TRAILERS if wire.trailers else _LAST_CHUNK)

    return Plan(steps(), end, whole)


def _break(events: list[Event], fault: Fault | None) -> tuple[list[Event], End, bool, bool]:
    """The events sent, how the connection ends, whether that is the whole answer, whether the body is closed."""
    if fault is None:
        return events, End.KEEP, True, True
    cut = _cut(events, fault.after)
    broken = Event(data=b'{"this is": not json', visible=0)
    match fault.kind:
        case "reset_during_body":
            return events[:cut], End.RESET, False, False
        case "close_during_body":
            return events[:cut], End.CLOSE, False, False
        case "stall_before_first_event":
            return [], End.STALL, False, False
        case "stall_mid_stream":
            return events[:cut], End.STALL, False, False
        case "missing_finish":
            return events[:cut], End.KEEP, False, True
        case "malformed_sse":
            return [*events[:cut], broken, Event(data=b"", name="?"), *events[cut:]], End.KEEP, True, True
        case "error_event":
            name, error = _error_of(events[0].name if events else "", cut)
            return [*events[:cut], Event(data=error, name=name)], End.KEEP, False, True
        case "missing_done":
            return [e for e in events if not e.terminal], End.KEEP, True, True
        case "close_after_finish":
            last = max((i for i, e in enumerate(events) if e.finish), default=len(events) - 1)
            return events[: last + 1], End.CLOSE, True, False
        case "huge_event":
            huge = Event(data=b'{"padding":"' + b"x" * fault.bytes + b'"}')
            return [*events[:cut], huge, *events[cut:]], End.KEEP, True, True
        case _:
            return events, End.KEEP, True, True


def _error_of(first: str, number: int) -> tuple[str, bytes]:
    """Name and data of the event with which the dialect of a stream, known by its first event, tells an error."""
    if first == "message_start":
        return "error", b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    if first == "response.created":
        told = b'"code":"server_error","message":"The server had an error.","param":null,"sequence_number":%d' % number
        return "error", b'{"type":"error",%b}' % told
    return "", b'{"error":{"message":"The server had an error.","type":"server_error","param":null,"code":null}}'


def _cut(events: list[Event], after: int) -> int:
    """Index behind the `after`-th event that carries text."""
    seen = 0
    for index, event in enumerate(events):
        if seen >= after:
            return index
        seen += event.visible > 0
    return max(0, len(events) - 1)


def _render(event: Event, line_end: bytes) -> bytes:
    if event.name == "?":
        return b"this line is no field" + line_end * 2
    lines = b"event: " + event.name.encode() + line_end if event.name else b""
    return lines + b"data: " + event.data + line_end * 2


def _gaps(behaviour: Behaviour, rng: random.Random) -> Iterator[float]:
    if behaviour.token_rate is not None:
        pause = 1.0 / behaviour.token_rate
        while True:
            yield pause
    gap = behaviour.gap
    while True:
        yield gap.sample(rng) if gap is not None else 0.0


def _paused(
    wait: float,
    wire: Wire,
    frame: Callable[[bytes], bytes],
    encode: Callable[[bytes], bytes],
    line_end: bytes,
) -> Iterator[Step]:
    """The wait before an event, filled with keep-alive comments if the scenario asks for them."""
    every = wire.comments
    while every and wait > every:
        yield Step(frame(encode(b": keep-alive" + line_end * 2)), delay=every)
        wait -= every
    if wait:
        yield Step(b"", delay=wait)


def _pieces(
    data: bytes, visible: int, size: int, frame: Callable[[bytes], bytes], encode: Callable[[bytes], bytes]
) -> Iterator[Step]:
    for start in range(0, len(data), size):
        last = start + size >= len(data)
        piece = frame(encode(data[start : start + size]))
        yield Step(piece, delay=_SPLIT_PAUSE, visible=visible if last else 0)


class _Deflater:
    """gzip over a stream, flushed after every event; called with no data it ends the stream."""

    def __init__(self) -> None:
        self._zip = zlib.compressobj(wbits=31)

    def __call__(self, data: bytes) -> bytes:
        if not data:
            return self._zip.flush()
        return self._zip.compress(data) + self._zip.flush(zlib.Z_SYNC_FLUSH)
