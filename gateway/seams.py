"""Every Protocol: the places where two real implementations stand behind one shape.

    Clock       SystemClock, ManualClock                        gateway/clock.py
    Transport   Pool (asyncio + httptools), HttpxTransport      gateway/transport/
    Dialect     one per operation family                        gateway/dialects/
    Sink        Journal, and metrics                            gateway/ledger/, gateway/telemetry/
    LimitStore  MemoryStore, RedisStore                         gateway/limits/
    Engine      guardrails                                      guardrails/interface.py

Each has one conformance suite in `tests/conformance/` that runs on every implementation.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import msgspec

from gateway.facts import Exchange, Operation, Reading, Segment, Usage
from gateway.quota import Bound, Charge, Decision, Level

Headers = list[tuple[bytes, bytes]]
"""Header fields in order, names in lower case."""


class Clock(Protocol):
    """Wall and monotonic time."""

    def now_ns(self) -> int: ...

    def monotonic(self) -> float: ...


class Tls(msgspec.Struct, frozen=True):
    """TLS options of one provider. Verification is always on; `ca_file` replaces the system's trust store."""

    ca_file: str | None = None
    cert_file: str | None = None
    """Client certificate chain (PEM); `key_file` may be None when the key is in it."""
    key_file: str | None = None
    server_name: str | None = None
    """SNI and verified name, when it is not the host."""


class Origin(msgspec.Struct, frozen=True, cache_hash=True):
    """Where to connect; the key of a connection pool."""

    scheme: str
    host: str
    port: int
    tls: Tls | None = None
    max_connections: int = 1000
    """Connections in use at one time to this origin; the next request waits up to `queue` seconds."""
    max_idle: int = 256
    idle_seconds: float = 55.0
    """A kept connection unused for longer is closed."""
    proxy: str | None = None
    """Egress proxy URL (httpx transport only)."""
    http2: bool = False
    """Speak HTTP/2 (httpx transport only)."""


class Timeouts(msgspec.Struct, frozen=True):
    """Time-outs of one provider, in seconds. The transport keeps connect, queue and header; the exchange keeps
    first_event, idle and total, because only it knows what an event is."""

    connect: float = 5.0
    queue: float = 5.0
    header: float = 300.0
    """Long, because a unary answer's head only comes when the whole answer was generated."""
    first_event: float = 60.0
    idle: float = 60.0
    total: float = 600.0


class UpstreamRequest(msgspec.Struct):
    """One request to a provider, ready for the wire but for `host`, framing and connection headers, which the
    transport writes itself."""

    origin: Origin
    method: str
    target: bytes
    """Path and query, percent-encoded."""
    headers: Headers
    body: bytes | AsyncIterator[bytes] = b""
    """Bytes, or chunks as they come (sent chunked unless `content_length` is set)."""
    content_length: int | None = None
    """Length of a streamed body, when the client declared it."""
    timeouts: Timeouts = Timeouts()
    deadline: float | None = None
    """Monotonic second at which the whole exchange is over (`DeadlineExceeded`)."""
    opening: bytes | None = None
    """Request line, host and headers as `transport.head.encode_opening` has checked and encoded them, for a caller that
    sends the same ones again and again; only our own pool takes it, and leaves `target` and `headers` alone then."""


class Late(Exception):
    """`UpstreamResponse.chunk(before)` passed `before`. Nothing is lost: the response can still be read."""


Relay = Callable[[bytes, int], float]
"""Takes a piece of a body the moment it arrives: the bytes of one HTTP chunk as they came, and where in them its data
begin (they end two bytes before the end). Returns the monotonic second until which the reader waits for more; 0.0: not
taken, read it with `chunk`; negative: taken, and the reader is to look after it (`chunk` returns b"")."""


class UpstreamResponse(Protocol):
    """A response whose head has come. Exactly one of: read to the end, or `close()`."""

    status: int
    headers: Headers
    complete: bool
    """The body has come to its end, whether it was read or not."""

    async def chunk(self, before: float | None = None) -> bytes:
        """The next body bytes as they come off the wire (content-encoding untouched), b"" when the body is complete.

        Raises `Late` when nothing came before monotonic second `before`; `Disconnected`, `ProtocolBroken`,
        `DeadlineExceeded` when the response cannot be completed. Not reading stops the peer (back-pressure).
        """
        ...

    def whole(self) -> bytes | None:
        """The whole body, if all of it has arrived and none of it was read; else None, and nothing is taken."""
        ...

    def offer(self, relay: Relay | None) -> None:
        """While `chunk` is awaited, offer each whole piece to `relay` first, which saves waking the reader; None: no
        more. A transport may do without."""
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it at once. Idempotent, synchronous."""
        ...


class Transport(Protocol):
    """HTTP to providers. Never follows a redirect, never decodes a body, never adds `accept-encoding`."""

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send one request and return when the response head is there (1xx skipped).

        Retries once, on another connection, only if a kept connection turned out stale before any response byte came
        and the body is bytes. Raises the `TransportError` family. Cancelling closes the connection.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class StreamReader(Protocol):
    """Understands the events of one streamed answer. One per stream."""

    usage: Usage | None
    service_tier: str | None
    finished: bool
    """A finish or stop reason, `message_stop`, `response.completed` or `[DONE]` was seen: the answer is whole."""
    failed: bool
    """The provider itself sent an error event."""
    job: str
    """Id of the job that the provider does whoever listens to it; empty: it ends with the stream."""

    def event(self, name: bytes, data: bytes) -> bool:
        """Take one data event; False means: do not pass it on (a usage event the client did not ask for).

        Never raises: an event it cannot read is passed on as it is.
        """
        ...

    def listener(self, head: bytes, tail: bytes) -> Callable[[str], object] | None:
        """What takes the text of an event in place of the event, for data that are `head`, a JSON string's content and
        `tail`, like those of the last event, and may differ in padding; None: `event` must be asked. Texts are valid
        Unicode, and not empty."""
        ...

    def lacking(self) -> bytes:
        """The event without which clients do not take the stream for ended, if it is `finished` and this has not
        come."""
        ...

    def size(self) -> int:
        """Characters of `text` so far."""
        ...

    def text(self) -> str:
        """The output text delivered so far (all choices, reasoning and tool arguments), to estimate tokens with when
        no usage comes."""
        ...


class Dialect(Protocol):
    """Wire format of one operation."""

    def read(self, operation: Operation, body: bytes) -> Reading:
        """Understand a request. Raises `BadRequest` saying what is wrong and where."""
        ...

    def rewrite(self, reading: Reading, body: bytes, model: str, ask_usage: bool = True) -> bytes:
        """The body for the provider: with the upstream's `model`, and (`ask_usage`) asking for usage on a stream.
        Returns `body` itself when nothing changes; everything else in it keeps its bytes where possible."""
        ...

    def usage(self, body: bytes) -> tuple[Usage | None, str | None]:
        """Usage and service tier that a complete answer reports, found from its tail."""
        ...

    def stream(self, reading: Reading) -> StreamReader: ...

    def prompt_segments(self, body: bytes) -> list[Segment]:
        """Every text surface of a request, for guardrails and token estimates."""
        ...

    def answer_segments(self, body: bytes) -> list[Segment]:
        """Every text surface of a complete answer."""
        ...


class Sink(Protocol):
    """Somewhere a finished exchange is written. Synchronous, never raises, never blocks on a network."""

    def record(self, exchange: Exchange) -> None: ...


class LimitStore(Protocol):
    """Keeper of limiter and budget state. A hold lives from `admit` to `settle`; one that is never settled expires
    `seconds` after it was last admitted or extended, is given back and counted."""

    def admit_now(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float) -> Decision | None:
        """Decide at once, if this store can without a round trip; None: use `admit`."""
        ...

    def admit_quietly(
        self, hold: str, bounds: Sequence[Bound], read: int, written: int, nanos: int, stream: bool, seconds: float
    ) -> bytes | None:
        """Take a charge of one request, `read` input tokens, `written` output tokens and `nanos` nano-dollars at once,
        for a hold that was never admitted before and is not admitted again, where there is nothing to say of it but
        where the limits stand: what is returned is that, as header fields (`gateway.limits.words`). None: nothing was
        taken, ask `admit_now`."""
        ...

    async def admit(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float) -> Decision:
        """Take `charge` against all bounds or none, for `seconds` at the longest. Never raises, and waits for a store
        that is away no longer than its configured patience. Admitting a hold that exists does nothing more and says
        so again; one that was settled already takes nothing."""
        ...

    def settle(self, hold: str, actual: Charge) -> None:
        """Replace a reservation by the truth, in the windows it was taken in. Exactly once by hold; never awaits,
        never raises; a hold that is not known leaves a mark, so that an `admit` still on its way takes nothing."""
        ...

    async def extend(self, hold: str, more: Charge, seconds: float) -> bool:
        """Reserve more for a hold under way (`requests` of `more` is 0), and let it live `seconds` from now. False:
        a bound has no room for it, and nothing was taken."""
        ...

    async def levels(self, bounds: Sequence[Bound]) -> list[Level]:
        """What the counters of these bounds hold now, in their order."""
        ...

    async def put(self, bound: Bound, used: int, seen: int | None = None) -> None:
        """Make what a counter has used in its running window `used`; reservations stay. For rebuilding from the
        ledger. `seen`: what the counter had used when `used` was right; what it has more by now is added, so that what
        was settled in between is not lost. Raises `StoreAway` while the store is away; nothing is changed then."""
        ...

    async def aclose(self) -> None: ...
