"""What the gateway and a worker say to each other: frames of four bytes of length and MessagePack. No I/O.

The worker says `Ready` or `Unusable` once; then each `Ask` is answered by one `Answer`, in order. Texts go one way and
matches the other; an error carries its class alone.
"""

import msgspec

from guardrails.detector import Match

MAX_FRAME = 64 * 1024 * 1024
"""Bytes; more is not a frame of ours."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The model is loaded."""


class Unusable(msgspec.Struct, frozen=True, tag=True):
    """There is no model: do not start it again. `message` says what to do."""

    message: str


class Ask(msgspec.Struct, frozen=True, tag=True):
    texts: list[str]


class Answer(msgspec.Struct, frozen=True, tag=True):
    """Matches of each text, or the class of the error that kept it from judging them."""

    matches: list[list[Match]] = []
    error: str = ""


Message = Ready | Unusable | Ask | Answer
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


class Broken(Exception):
    """What came is no frame of this protocol."""


def frame(message: Message) -> bytes:
    body = _encode(message)
    return len(body).to_bytes(4, "big") + body


class Frames:
    """Puts messages together from bytes as they come."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now. Raises `Broken`."""
        self._held += data
        out: list[Message] = []
        while len(self._held) >= 4:
            length = int.from_bytes(self._held[:4], "big")
            if length > MAX_FRAME:
                raise Broken("a frame is too long")
            if len(self._held) < 4 + length:
                break
            try:
                out.append(_decode(bytes(self._held[4 : 4 + length])))
            except msgspec.DecodeError:
                raise Broken("a frame cannot be read") from None
            del self._held[: 4 + length]
        return out
