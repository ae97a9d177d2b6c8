"""The values between the parts of the mock: a request read, an answer meant, and the steps that put it on the wire."""

from collections.abc import Iterable, Iterator
from enum import IntEnum

import msgspec

Headers = list[tuple[bytes, bytes]]


class Request(msgspec.Struct):
    """One request with its body read. `size` and `sha256` describe the body where it was not kept."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes = b""
    size: int = 0
    sha256: str = ""
    keep_alive: bool = True

    def header(self, name: bytes) -> str:
        """The first value of a header (lower-case name), or the empty string."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return ""


class Tokens(msgspec.Struct, frozen=True):
    """What the answer reports: the whole prompt, and everything generated (reasoning included)."""

    input: int = 0
    output: int = 0


class Event(msgspec.Struct):
    """One server-sent event, without its line ends applied: event name, data, and what it means.

    `visible` is the number of answer tokens it carries; `finish` marks the first event of the ending (finish reason)
    and `terminal` the one that closes the dialect's stream (`[DONE]`, `message_stop`, `response.completed`).
    """

    data: bytes
    name: str = ""
    visible: int = 0
    finish: bool = False
    terminal: bool = False


class Reply(msgspec.Struct):
    """An answer as the dialect means it, before the scenario's faults and the wire's framing.

    Exactly one of `body`, `events`, `pieces` is the content; `pieces` is a body produced lazily in chunked framing.
    """

    status: int = 200
    content_type: bytes = b"application/json"
    body: bytes = b""
    events: list[Event] | None = None
    pieces: Iterable[bytes] | None = None
    length: int | None = None
    headers: Headers = []
    tokens: Tokens = Tokens()


class End(IntEnum):
    """What happens to the connection after the last step."""

    KEEP = 0
    CLOSE = 1
    RESET = 2
    STALL = 3


class Step(msgspec.Struct):
    """Wait `delay` seconds, then write `data`, which carries `visible` answer tokens."""

    data: bytes
    delay: float = 0.0
    visible: int = 0


class Plan(msgspec.Struct):
    """An answer as it goes on the wire. `whole` is false when the scenario cuts it: it then counts as aborted."""

    steps: Iterator[Step]
    end: End = End.KEEP
    whole: bool = True


REASONS = {
    200: b"OK",
    201: b"Created",
    307: b"Temporary Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    413: b"Content Too Large",
    422: b"Unprocessable Content",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    529: b"Overloaded",
}
