"""Spans of a finished exchange, as values: made from its notebook alone, without clock, chance or network.

One span for the exchange, of kind CLIENT and named `{operation} {model}` as OpenTelemetry's GenAI conventions have it;
below it one for each attempt at a provider, and one for each guardrail rule that found something or detector that
failed. No text of a request or an answer, no matched value, no secret is in any of them: the notebook holds none, but
for rewrites, which are not looked at.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from gateway.facts import ALLOWED, Attempt, Exchange, Usage, Verdict
from gateway.telemetry import semconv
from gateway.telemetry.content import content_fields
from gateway.telemetry.semconv import OPERATIONS, Names
from gateway.telemetry.span import (
    CLIENT,
    INTERNAL,
    NOTHING_SHARED,
    SERVER,
    Attributes,
    Event,
    Shared,
    Span,
    Value,
)
from gateway.wire.traceparent import GUARDRAIL_SPANS, span_id_of, trace_id_of

MAX_NAME = 200
"""Characters kept of a name a client may choose freely, such as the model it asks for."""
MAX_GUARDRAILS = 64
"""Spans for guardrails in one trace."""
MOST_REMEMBERED = 4096
"""Entries of a memo: teams, models and outcomes in every combination that comes up."""

Memo = dict[tuple[object, ...], Shared]
"""What was shared before, by all that it was made of. Changes nothing but the time it takes."""


class Peer(msgspec.Struct, frozen=True, cache_hash=True):
    """What the configuration says of a provider."""

    system: str
    """`gen_ai.provider.name`."""
    host: str
    port: int


UNKNOWN = Peer("", "", 0)


def spans_of(x: Exchange, names: Names, peers: Mapping[str, Peer], memo: Memo | None = None) -> list[Span]:
    """Every span of `x`, the exchange's own first. `peers`: providers by their configured name."""
    trace = _Trace(x)
    if memo is None:
        memo = {}
    elif len(memo) >= MOST_REMEMBERED:
        memo.clear()
    peer = peers.get(_provider_of(x), UNKNOWN)
    shared = exchange_block(x, names, peer, memo)
    spans = [trace.root(name_of(x), kind_of(x), shared, _own(x, names, peer), _events(x, trace.ns), _failed(x))]
    attempts = x.attempts or ()
    for number, attempt in enumerate(attempts, 1):
        begun, ended = _times(x, number, len(attempts), attempt)
        shared = attempt_block(x, attempt, number, peers.get(attempt.provider, UNKNOWN), memo)
        failed = attempt.error != "" or attempt.status >= 400
        spans.append(trace.below(f"upstream {attempt.provider}", CLIENT, number, begun, ended, [], failed, shared))
    if x.request_verdict is not ALLOWED or x.response_verdict is not ALLOWED:
        spans += _guardrails(x, trace)
    return spans


def reload_span(id: str, at_ns: int, ok: bool, reason: str, hash: str, changed: int) -> Span:
    """A reload of the configuration, as a trace of one span; `id` is a UUID, `changed` counts lines of difference."""
    fields: Attributes = [
        ("tollway.config.reload.reason", reason),
        ("tollway.config.hash", hash),
        ("tollway.config.changed", changed),
    ]
    trace = id.replace("-", "")
    return Span("config reload", INTERNAL, trace, int(trace[16:], 16), 0, False, at_ns, at_ns, fields, failed=not ok)


class _Trace:
    """What all spans of an exchange share."""

    __slots__ = ("_flags", "_id", "_root", "_state", "_x")

    def __init__(self, x: Exchange) -> None:
        self._x = x
        self._id = trace_id_of(x)
        self._root = span_id_of(x)
        self._flags, self._state = (1, "") if x.parent is None else (x.parent.flags, x.parent.state)

    def ns(self, at: float) -> int:
        """Wall clock of a monotonic second; one that never came is the beginning."""
        x = self._x
        return x.received_ns + max(0, round((at - x.received_at) * 1e9))

    def root(self, name: str, kind: int, shared: Shared, own: Attributes, events: list[Event], failed: bool) -> Span:
        x, parent = self._x, self._x.parent
        above = 0 if parent is None else int(parent.span_id, 16)
        begun, ended = x.received_ns, self.ns(x.finished_at)
        return Span(
            name, kind, self._id, self._root, above, parent is not None, begun, ended, own, shared, events, failed,
            self._state, self._flags,
        )  # fmt: skip

    def below(
        self,
        name: str,
        kind: int,
        number: int,
        begun: float,
        ended: float,
        own: Attributes,
        failed: bool,
        shared: Shared = NOTHING_SHARED,
    ) -> Span:
        """A child of the exchange's span."""
        start, id_ = self.ns(begun), span_id_of(self._x, number)
        end = max(start, self.ns(ended))
        return Span(
            name, kind, self._id, id_, self._root, False, start, end, own, shared, [], failed, self._state, self._flags
        )


# -- the exchange ------------------------------------------------------------------------------------------------------


def _provider_of(x: Exchange) -> str:
    """Who served, else who was asked last."""
    return x.provider or (x.attempts[-1].provider if x.attempts else "")


def name_of(x: Exchange) -> str:
    """`{operation} {model}` of the exchange's span."""
    operation = "" if x.operation is None else x.operation.name
    model = (x.reading.model if x.reading is not None else x.model)[:MAX_NAME]
    return f"{OPERATIONS.get(operation, operation) or 'request'} {model}".rstrip()


def kind_of(x: Exchange) -> int:
    """What is no call of a model, and never went to a provider, was only served here."""
    known = x.operation is not None and x.operation.name in OPERATIONS
    return CLIENT if known or x.attempts else SERVER


def _failed(x: Exchange) -> bool:
    """A client that leaves is no error."""
    return x.outcome not in ("ok", "client_left")


def exchange_block(x: Exchange, names: Names, peer: Peer, memo: Memo) -> Shared:
    """Who asked whom for what, and how it ended."""
    operation, caller, reading = x.operation, x.caller, x.reading
    error = _error_type(x) if _failed(x) else ""
    kind, wire = ("", "") if operation is None else (operation.name, operation.wire)
    team, key_id = ("", "") if caller is None else (caller.team, caller.key_id)
    asked, stream = ("", False) if reading is None else (reading.model[:MAX_NAME], reading.stream)
    provider, attempts, model = _provider_of(x), len(x.attempts or ()), x.model[:MAX_NAME]
    who, what = caller is None, reading is None  # no caller is not a caller without a name
    key = (
        names, peer, error, kind, wire, who, team, key_id, what, asked, stream, provider, attempts, model, x.outcome,
        x.status,
    )  # fmt: skip
    known = memo.get(key)
    if known is not None:
        return known
    fields: Attributes = []
    if kind in OPERATIONS:
        _put(fields, names.operation, OPERATIONS[kind])
        _put(fields, names.provider, peer.system or wire)
    if reading is not None:
        _put(fields, names.request_model, asked)
    if stream:
        _put(fields, names.stream, True)
    if model:
        _put(fields, names.response_model, model)
    _address(fields, peer)
    if error:
        fields.append((semconv.ERROR_TYPE, error))
    if kind:
        fields.append(("tollway.operation", kind))
    if caller is not None:
        fields += (("tollway.team", team), ("tollway.key.id", key_id))
    fields += (("tollway.outcome", x.outcome), ("tollway.status", x.status))
    if provider:
        fields += (("tollway.provider", provider), ("tollway.attempts", attempts))
    made = memo[key] = Shared(tuple(fields))
    return made


def _own(x: Exchange, names: Names, peer: Peer) -> Attributes:
    """What joins a span with the ledger, and what was measured and counted. Costs are integers."""
    fields: Attributes = [("tollway.exchange.id", x.id)]
    if x.request_id != x.id:
        fields.append(("tollway.request.id", x.request_id))
    reading = x.reading
    if reading is not None:
        if reading.max_output_tokens is not None:
            _put(fields, names.max_tokens, reading.max_output_tokens)
        if reading.choices != 1:
            _put(fields, names.choices, reading.choices)
        if reading.stream and x.first_byte_at and x.events:
            _put(fields, names.first_chunk, max(0.0, x.first_byte_at - x.received_at))
        if reading.service_tier and peer.system == "openai":
            _put(fields, names.request_tier, reading.service_tier[:MAX_NAME])
    if x.service_tier and peer.system == "openai":
        _put(fields, names.response_tier, x.service_tier[:MAX_NAME])
    if x.usage is not None:
        _put(fields, names.input_tokens, x.usage.input_tokens)
        _put(fields, names.output_tokens, x.usage.output_tokens)
        fields += parts_of(x.usage, names)
        if x.cost.nanos is not None:
            fields.append(("tollway.cost.nano_usd", x.cost.nanos))
            if x.cost.price_version:
                fields.append(("tollway.price.version", x.cost.price_version))
    if x.usage_estimated:
        fields.append(("tollway.usage.estimated", True))
    if x.events:
        fields.append(("tollway.stream.events", x.events))
    fields += stages_of(x)
    return fields if x.content is None else [*fields, *content_fields(x)]


def stages_of(x: Exchange) -> Attributes:
    """Seconds each stage took, of those that were reached."""
    fields: Attributes = []
    at = x.received_at
    for stage, reached in (
        ("tollway.stage.admit", x.read_at),
        ("tollway.stage.prepare", x.forwarded_at),
        ("tollway.stage.upstream", x.headers_at),
        ("tollway.stage.first", x.first_byte_at),
        ("tollway.stage.deliver", x.finished_at if x.first_byte_at else 0.0),
    ):
        if reached:
            fields.append((stage, max(0.0, reached - at)))
            at = reached
    return fields


def _address(fields: Attributes, peer: Peer) -> None:
    if peer.host:
        fields += ((semconv.SERVER_ADDRESS, peer.host), (semconv.SERVER_PORT, peer.port))


def _put(fields: Attributes, names: tuple[str, ...], value: Value) -> None:
    for name in names:
        fields.append((name, value))


def parts_of(usage: Usage, names: Names) -> Attributes:
    """The parts of its totals, where there are any."""
    fields: Attributes = []
    for name, tokens in (
        (names.cache_read, usage.cache_read_tokens),
        (names.cache_write, usage.cache_write_5m_tokens + usage.cache_write_1h_tokens),
        (names.reasoning, usage.reasoning_tokens),
        (names.input_audio, usage.input_audio_tokens),
        (names.output_audio, usage.output_audio_tokens),
        (names.cache_read_audio, usage.cache_read_audio_tokens),
        (names.input_image, usage.input_image_tokens),
        (names.output_image, usage.output_image_tokens),
        (names.cache_read_image, usage.cache_read_image_tokens),
    ):
        if tokens:
            _put(fields, name, tokens)
    return fields


def _error_type(x: Exchange) -> str:
    """A word of few values: the status a provider or the gateway refused with, the class of a transport failure,
    `content_filter`, or the outcome."""
    if x.outcome == "blocked" and x.status < 500:
        return "content_filter"
    if x.outcome in ("upstream_error", "upstream_timeout") and x.attempts and x.attempts[-1].error:
        return x.attempts[-1].error
    return str(x.status) if x.status >= 400 else x.outcome


def _events(x: Exchange, ns: Callable[[float], int]) -> list[Event]:
    events: list[Event] = []
    tried: set[tuple[str, str]] = set()
    attempts = x.attempts or []
    for number, attempt in enumerate(attempts, 1):
        target = (attempt.provider, attempt.model)
        if number > 1:
            before = attempts[number - 2]
            fields: Attributes = [
                ("tollway.provider", attempt.provider),
                ("tollway.model", attempt.model[:MAX_NAME]),
                ("tollway.attempt", number),
                (semconv.ERROR_TYPE, before.error or str(before.status)),
            ]
            begun = _times(x, number, len(attempts), attempt)[0]
            events.append(Event("retry" if target in tried else "fallback", ns(begun), fields))
        tried.add(target)
    if x.first_byte_at and x.reading is not None and x.reading.stream and x.events:
        events.append(Event("first_token", ns(x.first_byte_at)))
    return events


# -- attempts ----------------------------------------------------------------------------------------------------------


def _times(x: Exchange, number: int, count: int, attempt: Attempt) -> tuple[float, float]:
    """Begin and end, monotonic seconds. What served a stream, or a body too large to hold, goes on to the end of the
    answer; every other attempt was over when its seconds were."""
    failed = x.failed_at or ()
    begun = failed[number - 1] if number <= len(failed) else x.forwarded_at
    ended = begun + attempt.seconds
    if number == count and x.committed and x.reading is not None and x.reading.stream:
        ended = max(ended, x.finished_at)
    return begun, ended


def attempt_block(x: Exchange, attempt: Attempt, number: int, peer: Peer, memo: Memo) -> Shared:
    """What the span of attempt `number` (from 1) says."""
    posted = x.operation is not None and x.operation.reads_body
    key = (peer, attempt.provider, attempt.model, attempt.status, attempt.error, number, posted)
    known = memo.get(key)
    if known is not None:
        return known
    fields: Attributes = [
        ("tollway.provider", attempt.provider),
        ("tollway.model", attempt.model[:MAX_NAME]),
        ("tollway.attempt", number),
    ]
    if posted:
        fields.append((semconv.HTTP_METHOD, "POST"))
    _address(fields, peer)
    if attempt.status:
        fields.append((semconv.HTTP_STATUS, attempt.status))
    if number > 1:
        fields.append((semconv.HTTP_RESENDS, number - 1))
    if attempt.error or attempt.status >= 400:
        fields.append((semconv.ERROR_TYPE, attempt.error or str(attempt.status)))
    made = memo[key] = Shared(tuple(fields))
    return made


# -- guardrails --------------------------------------------------------------------------------------------------------


def _guardrails(x: Exchange, trace: _Trace) -> list[Span]:
    """Where in the exchange a text was judged is known by its stages; how long a rule took is in its metrics."""
    spans: list[Span] = []
    for direction, verdict in (("request", x.request_verdict), ("response", x.response_verdict)):
        begun, ended = _judged(x, direction)
        for name, fields, failed in _concluded(direction, verdict):
            if len(spans) < MAX_GUARDRAILS:
                spans.append(trace.below(name, INTERNAL, GUARDRAIL_SPANS + len(spans), begun, ended, fields, failed))
    return spans


def _judged(x: Exchange, direction: Literal["request", "response"] | str) -> tuple[float, float]:
    """Between which stages texts of a direction are judged."""
    over = x.finished_at
    if direction == "request":
        begun = x.read_at or x.received_at
        first = x.failed_at[0] if x.failed_at else x.forwarded_at
        return begun, first if first >= begun else over
    streamed = x.reading is not None and x.reading.stream
    return x.headers_at or x.received_at, over if streamed or not x.first_byte_at else x.first_byte_at


def _concluded(direction: str, verdict: Verdict) -> list[tuple[str, Attributes, bool]]:
    """Name, attributes and failure of each rule that found something, and of each detector that failed. The verdict is
    what the rule asked for; enforced is what was done, because shadow and warn do not act."""
    told: list[tuple[str, Attributes, bool]] = []
    for result in verdict.results:
        fields: Attributes = [
            ("tollway.guardrail.rule", result.rule),
            ("tollway.guardrail.policy", result.policy),
            ("tollway.guardrail.direction", direction),
            ("tollway.guardrail.mode", result.mode),
            ("tollway.guardrail.verdict", result.action),
            ("tollway.guardrail.enforced", result.action if result.mode == "enforce" else "allow"),
            ("tollway.guardrail.types", result.types),
            ("tollway.guardrail.findings", result.count),
        ]
        told.append((f"guardrail {result.rule}", fields, False))
    for failure in verdict.failures:
        fields = [
            ("tollway.guardrail.detector", failure.detector),
            ("tollway.guardrail.direction", direction),
            ("tollway.guardrail.rules", failure.rules),
            ("tollway.guardrail.enforced", "block" if failure.closed else "allow"),
            (semconv.ERROR_TYPE, failure.error),
        ]
        told.append((f"guardrail {failure.detector}", fields, True))
    return told
