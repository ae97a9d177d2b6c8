"""Answers with a status of success from who did not serve: a page where JSON was asked for, or an error in its place.

Every operation whose answer is read here is answered with a JSON object, or with events. A captive portal's page, a
proxy's error page and an empty body are neither. Some routers of models answer 200 with `{"error": …}` when a model
failed after they had begun (openrouter.ai/docs/api-reference/errors).
"""

import re

import msgspec

from gateway.dialects.delivered import given
from gateway.wire.sse import BOM

_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*(.?)", re.DOTALL)
_ERROR = re.compile(rb'(?:\xef\xbb\xbf)?[ \t\r\n]*\{[ \t\r\n]*"(?:error"|type"[ \t\r\n]*:[ \t\r\n]*"error")')
_EVENTS = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*(?:(?:data|event|id|retry)?:)")
"""A stream of events begins with a field, or with a comment (html.spec.whatwg.org, 9.2.5)."""
_KINDS = (b"text/html", b"application/xhtml+xml", b"text/plain", b"text/xml", b"application/xml", b"application/json")


class _Whole(msgspec.Struct, gc=False):
    error: msgspec.Raw = msgspec.Raw()
    choices: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()


_whole = msgspec.json.Decoder(_Whole).decode


def is_page(kind: bytes) -> bool:
    """Whether a content type is that of a page for people."""
    return kind[:9].lower() == b"text/html" or kind[:21].lower() == b"application/xhtml+xml"


def is_events(body: bytes) -> bool:
    """Whether a body is a stream of events, whatever its content type: SDKs that asked for one do not look at that."""
    return _EVENTS.match(body, 0, 64) is not None


def unserved(body: bytes, kind: bytes, coding: bytes) -> str:
    """Why a body, or its beginning, cannot be the answer to an operation that is read here; empty: it can be. `kind` is
    its content type; one with a content `coding` is judged by that alone. Nothing of the peer's is repeated."""
    if body[:1] == b"{":
        return ""
    if coding not in (b"", b"identity"):
        return _named(kind).replace("a ", "a compressed ", 1) if is_page(kind) else ""
    found = _BEGINS.match(body)
    first = found[1] if found is not None else b""
    if first in (b"{", b"[") or kind[:17].lower() == b"text/event-stream" or is_events(body):
        return ""
    return _named(kind) if first else "an empty body"


def is_error(body: bytes) -> bool:
    """Whether a whole body, without content coding, is an error and nothing else. Never raises."""
    if _ERROR.match(body, 0, 64) is None:
        return False
    try:
        told = _whole(body.removeprefix(BOM))
    except (ValueError, RecursionError):
        return False
    served = (told.choices, told.output, told.content, told.data, told.usage)
    return given(told.error) and not any(given(raw) for raw in served)


def _named(kind: bytes) -> str:
    """A content type in words, if it is one that is known."""
    name = kind.partition(b";")[0].strip().lower()
    return f"a body of type {name.decode()} that is no JSON" if name in _KINDS else "a body that is no JSON"
