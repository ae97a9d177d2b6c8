"""Work that a provider does after it has answered, and tells the usage of when it is asked again.

OpenAI's background responses, batches and thread runs are made by one request, which has no usage yet, and read by any
number of others, which all show the same usage once the work is done. Source: platform.openai.com/docs/api-reference
(responses/object, batch/object, runs/object).
"""

from typing import Any

import msgspec

from gateway.dialects.responses import with_searches
from gateway.dialects.tail import read_usage
from gateway.facts import Usage

_ENDED = frozenset(("completed", "failed", "cancelled", "incomplete", "expired"))
_LAST_EVENTS = (b"response.completed", b"response.incomplete", b"response.failed")
_RUN = b'"thread.run"'
"""A run's `object`: within a text its quotes would be escaped."""
_LOOKS = 16
"""Events that are looked at for it: a client may have named something by these words."""
_FREE = frozenset(("assistant", "assistant.deleted", "response.input_tokens", "thread", "vector_store"))


class Job(msgspec.Struct, frozen=True):
    """One such piece of work, as an answer shows it."""

    id: str
    model: str
    ended: bool
    """Nothing will be added to its usage."""
    usage: Usage | None
    tier: str | None
    """The service tier that it is priced by."""


class _Object(msgspec.Struct, gc=False):
    object: Any = None
    type: Any = None
    id: str = ""
    model: str | None = None
    status: Any = None
    background: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    service_tier: Any = None


class _Event(msgspec.Struct, gc=False):
    response: msgspec.Raw = msgspec.Raw()


_object = msgspec.json.Decoder(_Object).decode
_event = msgspec.json.Decoder(_Event).decode


def job_in(answer: bytes | msgspec.Raw) -> Job | None:
    """The job that a whole JSON answer shows; None: it shows none. Never raises."""
    try:
        shown = _object(answer)
    except (ValueError, RecursionError):
        return None
    if shown.type == "message_batch" and shown.id:
        return Job(shown.id, "", False, None, None)  # its results tell what it used (dialects/results.py)
    kind = shown.object
    if not shown.id or not (kind in ("batch", "thread.run") or (kind == "response" and shown.background is True)):
        return None
    usage, _ = read_usage(shown.usage)
    if kind == "response":
        usage = with_searches(usage, answer)
    tier = "batch" if kind == "batch" else shown.service_tier
    return Job(shown.id, shown.model or "", shown.status in _ENDED, usage, tier if isinstance(tier, str) else None)


def job_in_stream(events: bytes) -> Job | None:
    """The job that the last events of a stream show. Never raises."""
    return _run_in(events) or _response_in(events)


def _run_in(events: bytes) -> Job | None:
    """The thread run that its own last event shows: the data of `thread.run.completed`, `.requires_action` and the like
    is the run itself."""
    at = events.rfind(_RUN)
    for _ in range(_LOOKS):
        if at < 0:
            break
        start = events.rfind(b"\n", 0, at) + 1
        line = events[start:].split(b"\n", 1)[0]
        if line.startswith(b"data:") and (job := job_in(line[len(b"data:") :].strip())) is not None:
            return job
        at = events.rfind(_RUN, 0, start)
    return None


def _response_in(events: bytes) -> Job | None:
    at = max(events.rfind(b'"' + name + b'"') for name in _LAST_EVENTS)
    start = events.rfind(b"data:", 0, at) if at >= 0 else -1
    if start < 0:
        return None
    line = events[start + len(b"data:") :].splitlines()[0]
    try:
        return job_in(_event(line).response)
    except (ValueError, RecursionError):
        return None


def costs_nothing(answer: bytes) -> bool:
    """Whether a whole JSON answer shows something that providers make without charge for tokens. Never raises."""
    try:
        return _object(answer).object in _FREE
    except (ValueError, RecursionError, TypeError):
        return False
