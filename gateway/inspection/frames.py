"""The bytes of an event that is made or changed: its frame, and the JSON that is taken out of it and put in."""

import json
from typing import cast

import msgspec

from gateway.wire.sse import SseEvent

Members = dict[str, msgspec.Raw]
_members = msgspec.json.Decoder(Members).decode


def reframed(event: SseEvent, data: bytes) -> bytes:
    """An event's bytes with other data; its other fields stay where they can."""
    raw, old = event.raw, event.data or b""
    for blank in (b"\n\n", b"\r\n\r\n"):
        stop = len(raw) - len(blank)
        if raw.endswith(blank) and is_last_field(raw, stop - len(old), old):
            return raw[: stop - len(old)] + data + blank
    return framed(event.name, data)


def is_last_field(raw: bytes, start: int, data: bytes) -> bool:
    """Whether `data`, which stands from `start` on, is there as the value of the event's only field `data`. Another
    field may end in the same bytes, and what was judged must be what is sent."""
    if start < 0 or b"\n" in data or not raw.startswith(data, start):
        return False
    line = max(raw.rfind(b"\n", 0, start), raw.rfind(b"\r", 0, start)) + 1
    return raw[line:start] in (b"data: ", b"data:")


def framed(name: bytes, data: bytes) -> bytes:
    """A server-sent event."""
    body = b"data: " + data.replace(b"\n", b"\ndata: ") + b"\n\n"
    return b"event: " + name + b"\n" + body if name else body


def joined(text: str) -> str:
    """`text` with surrogate pairs as the characters they are; lone ones stay."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def members_of(data: bytes) -> Members:
    """The members of an object as they stand, lone surrogates too; none if it is not an object."""
    try:
        return _members(data)
    except (ValueError, RecursionError):
        try:
            plain: object = json.loads(data)
        except (ValueError, RecursionError):
            return {}
        found = cast("dict[str, object]", plain) if isinstance(plain, dict) else {}
        return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in found.items()}
