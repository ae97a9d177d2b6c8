"""W3C Trace Context: `traceparent` and `tracestate` read strictly, and the `traceparent` that goes to a provider.

https://www.w3.org/TR/trace-context/ . Ids cost nothing: an exchange's own trace id is its id (a UUIDv7) without
dashes, so that a trace and its ledger event find each other, and the ids of its spans count up from the id's random
half. The last 56 bits of such a trace id are random, as level 2 and consistent sampling ask.
"""

import re

from gateway.facts import Exchange, TraceParent
from gateway.seams import Headers

TRACEPARENT = b"traceparent"
TRACESTATE = b"tracestate"
MAX_STATE = 512
"""Characters of a `tracestate` that must be passed on (section 3.3.1.5); a longer one is dropped."""
MAX_MEMBERS = 32
GUARDRAIL_SPANS = 1 << 16
"""Where the ids of guardrail spans begin to count, far above those of attempts."""

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x20-\x7e]*)?")
_FLAGS = 0x03
_KEY = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER = re.compile(rf"({_KEY})=({_VALUE})")
_SPAN_BITS = (1 << 64) - 1


def read_parent(headers: Headers) -> TraceParent | None:
    """The caller's span; None when there is no `traceparent`, more than one, or one that is not valid (then its
    `tracestate` means nothing either, section 3.3)."""
    found: bytes | None = None
    states: list[bytes] = []
    for name, value in headers:
        if name == TRACEPARENT:
            if found is not None:
                return None
            found = value
        elif name == TRACESTATE:
            states.append(value)
    if found is None:
        return None
    return parse_traceparent(found, parse_tracestate(b",".join(states)))


def parse_traceparent(value: bytes, state: str = "") -> TraceParent | None:
    """One field value. Version 00 is exactly `00-{32}-{16}-{2}` in lower-case hex; a later version may have more after
    another dash; version ff, and ids of zeros only, are not valid (section 3.2.2)."""
    found = _PARENT.fullmatch(value.strip(b" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    if not trace_id.strip(b"0") or not span_id.strip(b"0"):
        return None
    return TraceParent(trace_id.decode(), span_id.decode(), int(flags, 16) & _FLAGS, state)


def parse_tracestate(value: bytes) -> str:
    """A `tracestate` as it may go on: the same members in the same order, without empty ones and blanks between them.
    Empty when it is not valid: a malformed member, a key twice, more than 32 members (section 3.3.1), or more than 512
    characters."""
    members: list[str] = []
    keys: set[str] = set()
    for member in value.decode("latin-1").split(","):
        text = member.strip(" \t")
        if not text:
            continue
        found = _MEMBER.fullmatch(text)
        if found is None or found[1] in keys or len(keys) == MAX_MEMBERS:
            return ""
        keys.add(found[1])
        members.append(text)
    state = ",".join(members)
    return state if len(state) <= MAX_STATE else ""


def trace_id_of(x: Exchange) -> str:
    """32 hex digits: the caller's trace, else one of its own."""
    return x.id.replace("-", "") if x.parent is None else x.parent.trace_id


def span_id_of(x: Exchange, number: int = 0) -> int:
    """The id of a span of `x`: 0 the exchange, 1 and on its attempts, `GUARDRAIL_SPANS` and on its guardrails. Never 0,
    because the half of a UUID it counts from begins with its variant's bits (10)."""
    return int(x.id[19:23] + x.id[24:], 16) + number & _SPAN_BITS


def chance_of(x: Exchange) -> str:
    """The last 56 bits of the trace id as 14 hex digits, which compare as numbers do: what sampling is decided by."""
    parent = x.parent
    return x.id[21:23] + x.id[24:] if parent is None else parent.trace_id[18:]


def encode_traceparent(x: Exchange, attempt: int, sampled: bool) -> bytes:
    """The `traceparent` that attempt number `attempt` (from 1) carries. The caller's flags go on as they came;
    `sampled` counts where there is no caller's span."""
    parent = x.parent
    if parent is None:
        trace_id, flags = x.id.replace("-", ""), 1 if sampled else 0
    else:
        trace_id, flags = parent.trace_id, parent.flags
    return b"00-%b-%016x-%02x" % (trace_id.encode(), span_id_of(x, attempt), flags)
