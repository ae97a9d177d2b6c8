"""The nouns: what an operation, a caller and an exchange are. Read this file first, then `seams.py`, then
`exchange.py`. What limits speak of has its own file, `quota.py`.

`Usage` and `Cost` come from `pricing`, `Verdict` from `guardrails`; they are re-exported here, so that every room
finds its nouns in one place.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from gateway.errors import Outcome
from gateway.quota import Bound
from guardrails.interface import ALLOWED, Engine, Segment, Verdict
from pricing.usage import UNPRICED, Cost, Usage

__all__ = [
    "ALLOWED",
    "ANYTHING",
    "UNPRICED",
    "Attempt",
    "Caller",
    "Content",
    "Cost",
    "Downgraded",
    "Engine",
    "Exchange",
    "FindingNote",
    "ModelScope",
    "Operation",
    "Outcome",
    "Priority",
    "Reading",
    "Segment",
    "TraceParent",
    "Usage",
    "Verdict",
]

Wire = Literal["openai", "anthropic"]
"""Whose error envelope and authentication style an operation uses."""

Priority = Literal["interactive", "batch"]
"""Where a provider's capacity is the bottleneck, batch waits behind interactive."""


class Operation(msgspec.Struct, frozen=True):
    """One thing a client may ask, as accepted by `operations.py`.

    `name` is one of chat.completions, completions, embeddings, responses, moderations, models, messages,
    messages.count_tokens, passthrough.
    """

    name: str
    wire: Wire
    reads_body: bool = True
    """The body is JSON, read whole and understood; otherwise it is streamed through untouched."""
    generates: bool = True
    """The answer has output tokens (embeddings, moderations and models have none)."""
    path: str = ""
    """Path below the provider's base URL, such as `/chat/completions`. Empty for passthrough: the request's own."""
    judged: str = ""
    """Of what a guardrail's model is asked: the operation of the request that it judges, whose budgets pay for it."""

    @property
    def charged(self) -> bool:
        """Providers charge for an answer even if it tells no usage: text, but also speech or a picture that was passed
        through (as long as its request named a model)."""
        return self.generates or self.name == "passthrough"


class ModelScope(msgspec.Struct, frozen=True):
    """Which models a caller may name. `exact` None means all; prefixes come from wildcards (`local/*` → `local/`)."""

    exact: frozenset[str] | None = None
    prefixes: tuple[str, ...] = ()

    def allows(self, model: str) -> bool:
        return self.exact is None or model in self.exact or (bool(self.prefixes) and model.startswith(self.prefixes))


ANYTHING = ModelScope()


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who is calling: one virtual key and its team."""

    key_id: str
    team: str
    models: ModelScope = ModelScope()
    tags: dict[str, str] = {}
    """Tags of team and key, merged; a request's own tags win over them."""
    expires_ns: int | None = None
    """Wall clock, nanoseconds since the epoch; None: never."""
    guardrails: Engine | None = None
    """None: nothing inspects this caller's text, and the stage costs nothing."""
    weight: int = 1
    """Its team's part of a provider's capacity, beside the weights of the other teams that wait for it."""
    priority: Priority = "interactive"
    passthrough: bool = True
    """Whether operations that are passed through may be used."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a dialect understood of a request body."""

    model: str
    stream: bool = False
    wants_usage_event: bool = False
    """The client asked for the usage event of a stream itself (`stream_options.include_usage`)."""
    max_output_tokens: int | None = None
    """What the client set, per choice; None: the model's own maximum."""
    choices: int = 1
    service_tier: str | None = None


class Attempt(msgspec.Struct, kw_only=True):
    """One try at one target. Failed attempts are recorded with no tokens."""

    provider: str
    model: str
    status: int = 0
    """HTTP status of the provider; 0: it gave none."""
    error: str = ""
    """Short class name such as `ConnectTimeout`; empty when a status came."""
    seconds: float = 0.0
    """To the response head, or to the failure."""


class TraceParent(msgspec.Struct, frozen=True):
    """The span of the caller that this exchange belongs to, from its `traceparent` (W3C Trace Context)."""

    trace_id: str
    """32 lower-case hex digits, not all zero."""
    span_id: str
    """16 lower-case hex digits, not all zero."""
    flags: int
    """Bit 0: the caller records its trace. Bit 1: the trace id is random (level 2)."""
    state: str = ""
    """The `tracestate` as it goes on; empty: none, or one that is not valid."""

    @property
    def sampled(self) -> bool:
        return self.flags & 1 == 1


class FindingNote(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One finding of a guardrail as the findings log keeps it: where and how sure, and never what stands there."""

    on: str
    """request or response."""
    policy: str
    rule: str
    """Of the policy."""
    detector: str
    type: str
    pattern: str
    """Id of the detector's own rule that matched, such as `pii.email_address.1`."""
    place: str
    """Kind of text surface, such as `messages[].content`: no index, and no name a client chose."""
    role: str
    start: int
    end: int
    """Code points of the text it stands in."""
    score: float
    evidence: str
    mode: str
    """In force for this exchange."""
    action: str
    """What its rule demanded; enforced is it where `mode` is enforce."""
    digest: str
    """Keyed hash of the value, as `allow: {digests: …}` takes it."""


class Content(msgspec.Struct):
    """What was said, for the trace of an exchange whose team has opted in. Goes nowhere else."""

    request: bytes
    """The body as guardrails let it pass."""
    most: int
    """Characters that are told of either side."""
    cleared: bool
    """No guardrail can block the request any more."""
    conceal: Callable[[str], str] | None = None
    """Puts pseudonyms back in the place of the values that were restored for the client."""
    answer: bytes = b""
    """A whole answer as it left."""
    streamed: Callable[[], tuple[list[Any], bool]] | None = None
    """The messages of a streamed one, as far as they left, and whether they are cut."""

    @property
    def weight(self) -> int:
        """Bytes it holds, about."""
        return len(self.request) + len(self.answer) + self.most


class Downgraded(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An exchange that counts on the limits of another model than it asked for."""

    model: str
    """The name of the model that was served instead, as a client would ask for it."""
    by: tuple[str, ...]
    """The counters that sent it there, in order; it counts on them, too."""


class Exchange(msgspec.Struct):
    """The notebook of one request, from accept to record. Journal line, metrics and trace are written from it.

    It is not how stages talk: stages take and return values. Times ending in `_at` are monotonic seconds;
    `received_ns` is wall clock.
    """

    id: str
    request_id: str
    received_ns: int
    received_at: float
    operation: Operation | None = None
    caller: Caller | None = None
    reading: Reading | None = None
    tags: dict[str, str] | None = None
    input_estimate: int = 0
    """Upper bound of input tokens, from the body's size; written with the start record."""
    output_estimate: int = 0
    reserved_nanos: int | None = None
    """Cost of the two estimates, what recovery books when the process dies; None: no price."""
    holds: tuple[str, ...] = ()
    """Names of what was, or is being, taken from the limits, noted before it is: all of it must be settled."""
    bounds: tuple[Bound, ...] = ()
    """The counters it is taken from."""
    downgraded: Downgraded | None = None
    """Limits sent it to a cheaper model."""
    attempts: list[Attempt] | None = None
    provider: str = ""
    model: str = ""
    """Provider and upstream model that served, once one did."""
    started: bool = False
    """A start record is in the journal, so an end record must follow."""
    committed: bool = False
    """The response head went to the client: no more fail-over."""
    status: int = 0
    outcome: Outcome = "error"
    usage: Usage | None = None
    usage_estimated: bool = False
    service_tier: str | None = None
    """The tier that served, as the provider reports it."""
    cost: Cost = UNPRICED
    judged_nanos: int = 0
    """Cost of the models that judged it. These are booked as events of their own, and count to its budgets."""
    job: str = ""
    """Id of the provider's job whose usage is booked here, so that reading the job later books nothing."""
    request_verdict: Verdict = ALLOWED
    response_verdict: Verdict = ALLOWED
    findings: tuple[FindingNote, ...] = ()
    """For the findings log, when it is on and takes this exchange."""
    findings_dropped: int = 0
    """Findings beyond what the log takes of one exchange."""
    read_at: float = 0.0
    """The request body was read, understood and admitted."""
    inspected_at: float = 0.0
    """Its team's guardrails let the request pass; 0: nothing inspects it, or it was blocked."""
    forwarded_at: float = 0.0
    """The request that succeeded was handed to the transport."""
    headers_at: float = 0.0
    """Its response head came."""
    first_byte_at: float = 0.0
    """First body byte or first data event was handed to the client's socket."""
    finished_at: float = 0.0
    events: int = 0
    """Data events of a stream delivered to the client."""
    parent: TraceParent | None = None
    """None: the client sent none, or nothing is traced; the trace is then the exchange's own."""
    failed_at: list[float] | None = None
    """When each attempt that failed was begun, in order; the last attempt is begun at `forwarded_at`."""
    content: Content | None = None
    """None: its team has not opted in to have what was said in traces."""
