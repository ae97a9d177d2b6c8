"""What a request's head tells the gateway itself, looked up once.

An SDK sends the same head with every request of a connection, but for the length of the body. So a connection remembers
its last head: as long as the next one is equal, and the configuration is the same, whose key it is, what goes to the
provider and the encoded block of it are known already.
"""

from gateway.facts import Caller, TraceParent
from gateway.seams import Headers
from gateway.wire.headers import bearer, parse_tags, request_headers, request_id
from gateway.wire.traceparent import TRACEPARENT, TRACESTATE, read_parent


class Head:
    """The fields of one request head, without its `content-length`. What is rarely needed is only looked at when asked
    for."""

    __slots__ = (
        "_forward",
        "_parent",
        "_snapshot",
        "_traced",
        "caller",
        "content_type",
        "fields",
        "headers",
        "openings",
        "ticket",
    )

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.fields = dict(headers)
        self.content_type = self.fields.get(b"content-type", b"")
        self._forward: Headers | None = None
        self._traced: Headers | None = None
        self._parent: TraceParent | bool | None = TRACEPARENT in self.fields
        self._snapshot: object = None
        self.caller: Caller | None = None
        """Whose key this is, once it was authenticated under the present configuration."""
        self.openings: dict[str, tuple[object, bytes, bytes]] = {}
        """Encoded request line and fields by provider name, with the credential and the target they were made for."""
        self.ticket: object = None
        """What admission made of the last request with this head (`gateway.tickets.Ticket`)."""

    def bind(self, snapshot: object) -> None:
        """Forget what another configuration made of this head."""
        if self._snapshot is not snapshot:
            self._snapshot = snapshot
            self.caller = None
            self.openings = {}
            self.ticket = None

    @property
    def key(self) -> bytes | None:
        """The virtual key sent, if any."""
        return bearer(self.headers)

    @property
    def request_id(self) -> str | None:
        """The client's own request id, if it is a valid one."""
        return request_id(self.headers) if b"x-request-id" in self.fields else None

    @property
    def forward(self) -> Headers:
        """What goes to a provider when the gateway reads request and answer; without the request id."""
        if self._forward is None:
            self._forward = request_headers(self.headers, readable=True)
        return self._forward

    @property
    def parent(self) -> TraceParent | None:
        """The caller's span, if it sent a valid one."""
        found = self._parent
        if isinstance(found, bool):
            found = self._parent = read_parent(self.headers) if found else None
        return found

    @property
    def untraced(self) -> Headers:
        """The fields without the trace of the caller, but for a valid `tracestate`, which goes on as it is."""
        if TRACEPARENT not in self.fields and TRACESTATE not in self.fields:
            return self.headers
        rest = [pair for pair in self.headers if pair[0] not in (TRACEPARENT, TRACESTATE)]
        parent = self.parent
        return [*rest, (TRACESTATE, parent.state.encode())] if parent is not None and parent.state else rest

    @property
    def forward_traced(self) -> Headers:
        """As `forward`, for an attempt that gets a `traceparent` of the gateway's own."""
        if self._traced is None:
            self._traced = request_headers(self.untraced, readable=True)
        return self._traced

    def tags(self) -> dict[str, str] | None:
        """Tags of `x-tollway-tags`. Raises `BadRequest` when they are malformed."""
        sent = self.fields.get(b"x-tollway-tags")
        return parse_tags(sent) if sent else None
