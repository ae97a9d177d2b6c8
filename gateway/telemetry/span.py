"""What a span is, before it is encoded: its kinds, attributes and moments, after OpenTelemetry's trace data model."""

import msgspec

INTERNAL, SERVER, CLIENT = 1, 2, 3
"""Kinds, by their numbers in OTLP."""

Value = str | bool | int | float | tuple[str, ...]
Attributes = list[tuple[str, Value]]


class Event(msgspec.Struct, frozen=True, gc=False):
    """A moment in a span's life; wall clock, nanoseconds since the epoch."""

    name: str
    at_ns: int
    attributes: Attributes = []


class Shared(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Attributes that many spans have alike, as one object: what is made of it can be remembered by its identity."""

    attributes: tuple[tuple[str, Value], ...]


NOTHING_SHARED = Shared(())


class Span(msgspec.Struct, frozen=True, gc=False):
    """One span. The trace's id in hex, those of spans as numbers; times in nanoseconds since the epoch."""

    name: str
    kind: int
    trace_id: str
    span_id: int
    parent_id: int
    """0: none."""
    remote: bool
    """The parent is the caller's."""
    start_ns: int
    end_ns: int
    own: Attributes
    shared: Shared = NOTHING_SHARED
    events: list[Event] = []
    failed: bool = False
    state: str = ""
    """The trace's `tracestate`."""
    flags: int = 1

    @property
    def attributes(self) -> Attributes:
        return [*self.shared.attributes, *self.own]
