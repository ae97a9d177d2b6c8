"""The access log: a line for every finished exchange, or for a share of them. Off unless it is asked for.

The share is chosen by the trace id, as traces are: an exchange in a small share of lines is in a greater share of
traces. A line names who, what, how long and how much; never a text, a key or an address.
"""

from gateway.facts import ALLOWED, Exchange
from gateway.telemetry.logs import access
from gateway.telemetry.sampling import NEVER, threshold_of
from gateway.telemetry.spans import MAX_NAME
from gateway.wire.traceparent import chance_of, trace_id_of


class AccessLog:
    """Implements `gateway.seams.Sink`. A line costs some 15 µs on the event loop; none costs a comparison."""

    def __init__(self, share: float) -> None:
        self._threshold = threshold_of(share)

    def follow(self, share: float) -> None:
        """Put another share in force. From any thread."""
        self._threshold = threshold_of(share)

    def record(self, exchange: Exchange) -> None:
        """Write the line of a finished exchange, if it is in the share. Never raises, never blocks."""
        threshold = self._threshold
        if threshold != NEVER and chance_of(exchange) >= threshold:
            access(**line_of(exchange))


def line_of(x: Exchange) -> dict[str, object]:
    """The fields of a line. Seconds since the request came; cost in nano-dollars, None when not known."""
    usage, caller, reading = x.usage, x.caller, x.reading
    fields: dict[str, object] = {
        "exchange": x.id,
        "trace_id": trace_id_of(x),
        "operation": "" if x.operation is None else x.operation.name,
        "team": "" if caller is None else caller.team,
        "key_id": "" if caller is None else caller.key_id,
        "asked": "" if reading is None else reading.model[:MAX_NAME],
        "provider": x.provider,
        "model": x.model[:MAX_NAME],
        "stream": reading is not None and reading.stream,
        "status": x.status,
        "outcome": x.outcome,
        "seconds": _since(x, x.finished_at),
        "first_byte_seconds": _since(x, x.first_byte_at) if x.first_byte_at else None,
        "attempts": len(x.attempts or ()),
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "cost_nano_usd": x.cost.nanos,
    }
    if x.request_id != x.id:
        fields["request_id"] = x.request_id
    for direction, verdict in (("request", x.request_verdict), ("response", x.response_verdict)):
        if verdict is not ALLOWED:
            fields[f"guardrails_{direction}"] = f"{verdict.action} (enforced: {verdict.enforced})"
    return fields


def _since(x: Exchange, at: float) -> float:
    return round(max(0.0, at - x.received_at), 6)
