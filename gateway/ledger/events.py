"""The journal's line format, version 1: one JSON object and a newline per record.

An exchange leaves two lines. `start` is written before the request is forwarded and holds what recovery needs to book
it if the process dies; `end` is the event the ledger is made of. Neither ever holds prompt or answer text, a secret,
or a value a guardrail matched: a finding is a kind, a place, offsets and a keyed digest.
"""

from itertools import islice
from typing import cast

import msgspec

from gateway.errors import LedgerError
from gateway.facts import ALLOWED, Attempt, Downgraded, Exchange, FindingNote, Usage, Verdict

VERSION = 1
MAX_NAME = 200
"""Characters kept of a name a client may choose freely, such as the model it asks for."""


class StartRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="t", tag="start"):
    """An exchange was admitted and is about to be forwarded."""

    v: int
    id: str
    received_ns: int
    """Wall clock, nanoseconds since the epoch, UTC."""
    request_id: str = ""
    """The client's; empty: it is `id`."""
    team: str = ""
    key: str = ""
    tags: dict[str, str] = {}
    operation: str = ""
    asked: str = ""
    """The model the client named."""
    stream: bool = False
    input_estimate: int = 0
    """Tokens, an upper bound."""
    output_estimate: int = 0
    reserved_nanos: int | None = None
    """Cost of both estimates in nano-dollars; None: the model has no price."""
    downgraded: Downgraded | None = None


MOST_RULES = 5
"""Ids of rules that an event keeps for each direction."""


class GuardrailSummary(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a guardrail concluded on one direction: actions and kinds only, never content or offsets."""

    on: str
    action: str
    enforced: str
    policy: str = ""
    types: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    """That decided what was enforced, or where nothing was, what would have been."""
    failed: tuple[str, ...] = ()
    """Detectors that failed."""


class Stages(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Where the time went, in microseconds. A stage that was not reached is 0."""

    admit: int = 0
    """Received → body read, understood and admitted."""
    prepare: int = 0
    """→ the request that succeeded was handed to the transport (failed attempts are in here)."""
    upstream: int = 0
    """→ its response head came."""
    first: int = 0
    """→ first body byte or data event was handed to the client."""
    deliver: int = 0
    """→ finished."""


class EndRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="t", tag="end"):
    """An exchange is over: one event of the ledger, identified by `id` (a UUIDv7) for ever."""

    v: int
    id: str
    received_ns: int
    finished_ns: int
    outcome: str
    request_id: str = ""
    """The client's; empty: it is `id`."""
    status: int = 0
    first_byte_ns: int = 0
    """0: no byte of the answer was sent."""
    team: str = ""
    key: str = ""
    tags: dict[str, str] = {}
    operation: str = ""
    asked: str = ""
    provider: str = ""
    model: str = ""
    """Provider and model that served. For a started exchange nobody served, `model` is the one asked for."""
    stream: bool = False
    attempts: list[Attempt] = []
    usage: Usage | None = None
    usage_estimated: bool = False
    cost_nanos: int | None = None
    """Nano-dollars; None: not known, which is never written as 0."""
    unpriced: bool = False
    """It cost something, and how much is not known because the model has no price."""
    price_version: str = ""
    service_tier: str = ""
    guardrails: tuple[GuardrailSummary, ...] = ()
    stages: Stages = Stages()
    trace: str = ""
    """Trace id of the caller's, 32 hex digits; empty: the exchange's own, which is `id` without its dashes."""
    findings: tuple[FindingNote, ...] = ()
    """The findings log's part: empty unless `ledger.findings` is on and something was found."""
    downgraded: Downgraded | None = None
    """Limits sent it to a cheaper model: by whose name it counted, and on which counters beside."""
    judged: str = ""
    """Of a guardrail's judgement: the operation of the request that was judged."""


Record = StartRecord | EndRecord

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(StartRecord | EndRecord).decode
_NO_TAGS: dict[str, str] = {}
_NO_ATTEMPTS: list[Attempt] = []
START_MARK = b'{"t":"start",'
"""How every start line begins, so that a reader that only wants ends can skip it undecoded."""


# Records are made by position on the hot path: 25 keyword arguments cost a microsecond more than the same by position.


def start_line(x: Exchange) -> bytes:
    """The start line of `x`, newline included."""
    caller = x.caller
    reading = x.reading
    tags = x.tags
    if tags is None:
        tags = caller.tags if caller is not None else _NO_TAGS
    return _line(
        StartRecord(
            VERSION,
            x.id,
            x.received_ns,
            "" if x.request_id == x.id else x.request_id,
            caller.team if caller is not None else "",
            caller.key_id if caller is not None else "",
            tags,
            x.operation.name if x.operation is not None else "",
            reading.model[:MAX_NAME] if reading is not None else "",
            reading.stream if reading is not None else False,
            x.input_estimate,
            x.output_estimate,
            x.reserved_nanos,
            x.downgraded,
        )
    )


def end_line(x: Exchange) -> bytes:
    """The end line of `x`, newline included."""
    return _line(end_record(x))


def end_record(x: Exchange) -> EndRecord:
    """What the ledger keeps of a finished exchange."""
    caller = x.caller
    reading = x.reading
    tags = x.tags
    if tags is None:
        tags = caller.tags if caller is not None else _NO_TAGS
    asked = reading.model[:MAX_NAME] if reading is not None else ""
    model = x.model or (asked if x.started else "")
    received_ns = x.received_ns
    received_at = x.received_at
    cost = x.cost
    request_verdict = x.request_verdict
    response_verdict = x.response_verdict
    return EndRecord(
        VERSION,
        x.id,
        received_ns,
        received_ns + int((x.finished_at - received_at) * 1e9) if x.finished_at else received_ns,
        x.outcome,
        "" if x.request_id == x.id else x.request_id,
        x.status,
        received_ns + int((x.first_byte_at - received_at) * 1e9) if x.first_byte_at else 0,
        caller.team if caller is not None else "",
        caller.key_id if caller is not None else "",
        tags,
        x.operation.name if x.operation is not None else "",
        asked,
        x.provider,
        model,
        reading.stream if reading is not None else False,
        x.attempts or _NO_ATTEMPTS,
        x.usage,
        x.usage_estimated,
        cost.nanos,
        cost.nanos is None and _cost_something(x, model),
        cost.price_version,
        x.service_tier or "",
        (
            ()
            if request_verdict is ALLOWED and response_verdict is ALLOWED
            else _summaries(request_verdict, response_verdict)
        ),
        _stages(x),
        x.parent.trace_id if x.parent is not None else "",
        x.findings,
        x.downgraded,
        x.operation.judged if x.operation is not None else "",
    )


def _cost_something(x: Exchange, model: str) -> bool:
    """A provider reported usage, or gave an answer that is charged with a model of known name."""
    if x.usage is not None:
        return True
    return x.operation is not None and x.operation.charged and model != "" and x.headers_at > 0 and x.status < 400


def interrupted(start: StartRecord, finished_ns: int) -> EndRecord:
    """The event of an exchange whose process died before it ended: booked at what was reserved for it."""
    return EndRecord(
        v=VERSION,
        id=start.id,
        request_id=start.request_id,
        received_ns=start.received_ns,
        finished_ns=max(finished_ns, start.received_ns),
        team=start.team,
        key=start.key,
        tags=start.tags,
        operation=start.operation,
        asked=start.asked,
        model=start.asked,
        stream=start.stream,
        outcome="interrupted",
        usage=Usage(input_tokens=start.input_estimate, output_tokens=start.output_estimate),
        usage_estimated=True,
        cost_nanos=start.reserved_nanos,
        unpriced=start.reserved_nanos is None,
        downgraded=start.downgraded,
    )


def record_line(record: Record) -> bytes:
    """Any record as its line, newline included."""
    return _line(record)


def decode_line(line: bytes) -> Record:
    """Read one line, with or without its newline. Raises `LedgerError` when it is no record of a version we know."""
    try:
        record = _decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        # The message of a decoding error may quote the line's content; its class is enough to act on.
        raise LedgerError(f"not a journal record ({type(error).__name__})") from None
    if record.v != VERSION:
        raise LedgerError(f"journal record of version {record.v}; this release reads version {VERSION}")
    return record


def _line(record: Record) -> bytes:
    try:
        return _encode(record) + b"\n"
    except UnicodeEncodeError:
        # A lone surrogate in a name a client chose: replace it rather than lose the event.
        return _encode(_clean(cast(object, msgspec.to_builtins(record)))) + b"\n"


def _clean(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        items = cast(dict[object, object], value)
        return {_clean(key): _clean(item) for key, item in items.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in cast(list[object], value)]
    return value


def _summaries(request: Verdict, response: Verdict) -> tuple[GuardrailSummary, ...]:
    return tuple(
        GuardrailSummary(
            on,
            v.action,
            v.enforced,
            v.policy,
            tuple(sorted({finding.type for finding in v.findings})),
            _deciding(v),
            tuple(dict.fromkeys(failure.detector for failure in v.failures)),
        )
        for on, v in (("request", request), ("response", response))
        if v is not ALLOWED
    )


def _deciding(verdict: Verdict) -> tuple[str, ...]:
    """Ids of the rules whose action became the verdict's: the first of them, for a policy may have hundreds."""
    enforced = verdict.enforced != "allow"
    action = verdict.enforced if enforced else verdict.action
    rules = (each.rule for each in verdict.results if each.action == action and (each.mode == "enforce") == enforced)
    return tuple(islice(rules, MOST_RULES))


def _stages(x: Exchange) -> Stages:
    at = x.received_at
    admit = prepare = upstream = first = deliver = 0
    if x.read_at:
        admit, at = int((x.read_at - at) * 1e6), x.read_at
    if x.forwarded_at:
        prepare, at = int((x.forwarded_at - at) * 1e6), x.forwarded_at
    if x.headers_at:
        upstream, at = int((x.headers_at - at) * 1e6), x.headers_at
    if x.first_byte_at:
        first, at = int((x.first_byte_at - at) * 1e6), x.first_byte_at
    if x.finished_at:
        deliver = int((x.finished_at - at) * 1e6)
    return Stages(admit, prepare, upstream, first, deliver)
