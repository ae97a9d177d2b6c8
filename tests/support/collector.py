"""An OTLP collector on a socket: takes http/protobuf exports and decodes them with the official messages."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.served import wait_for

CLIENT = Span.SpanKind.SPAN_KIND_CLIENT
INTERNAL = Span.SpanKind.SPAN_KIND_INTERNAL


@dataclass
class Got:
    """One span as the collector understood it."""

    span: Span
    attributes: dict[str, Any]
    resource: dict[str, Any]
    schema_url: str

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def span_id(self) -> str:
        return self.span.span_id.hex()

    @property
    def parent_id(self) -> str:
        return self.span.parent_span_id.hex()

    @property
    def failed(self) -> bool:
        return self.span.status.code == 2

    @property
    def events(self) -> dict[str, dict[str, Any]]:
        return {event.name: plain(event.attributes) for event in self.span.events}


@dataclass
class Collector:
    """What it was sent, and what it answers: a status, or whatever `answer` does with the handler."""

    url: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    answer: Callable[[BaseHTTPRequestHandler], None] | None = None
    bodies: list[bytes] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    @property
    def spans(self) -> list[Got]:
        return [got for body in list(self.bodies) for got in decoded(body)]

    def trace_of(self, request_id: str) -> list[Got]:
        """The spans of an exchange, its own first, once they are here. Fails when one came twice."""

        def found() -> list[Got] | None:
            spans = self.spans
            roots = [
                s for s in spans if request_id in (s.attributes.get(f"tollway.{w}.id") for w in ("request", "exchange"))
            ]
            if not roots:
                return None
            assert len(roots) == 1, "exported twice"
            return [*roots, *(s for s in spans if s.trace_id == roots[0].trace_id and s.parent_id == roots[0].span_id)]

        return wait_for(found, f"the trace of {request_id}")  # type: ignore[return-value]


def plain(fields: Any) -> dict[str, Any]:
    """Attributes as Python values. Fails when one is there twice."""
    pairs = [(pair.key, value_of(pair.value)) for pair in fields]
    assert len({key for key, _ in pairs}) == len(pairs), f"an attribute twice: {pairs}"
    return dict(pairs)


def value_of(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    return getattr(value, kind)


def decoded(body: bytes) -> list[Got]:
    message = ExportTraceServiceRequest.FromString(body)
    assert _known(message), "unknown fields"
    return [
        Got(span, plain(span.attributes), plain(resource.resource.attributes), scope.schema_url)
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _known(message: ExportTraceServiceRequest) -> bool:
    """Nothing in the bytes that the messages have no field for."""
    before = message.ByteSize()
    message.DiscardUnknownFields()
    return message.ByteSize() == before


@contextmanager
def collector(status: int = 200) -> Iterator[Collector]:
    state = Collector("", status)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            state.arrived.set()
            if state.answer is not None:
                return state.answer(self)
            if state.status < 300:
                state.bodies.append(body)
            self.send_response(state.status)
            for name, value in {"content-length": "0", **state.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away while a test holds it up is part of the test."""

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
