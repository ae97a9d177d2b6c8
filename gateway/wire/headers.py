"""Header fields across the gateway: allow-lists in both directions, and what the client tells the gateway itself.

Towards the provider. Goes: what describes the body or the protocol version, tracing, idempotency, the SDK's
`user-agent` and `x-stainless-*`. Stays: the client's credentials and cookies; `openai-organization` and
`openai-project`, because they choose which account of the provider pays, and that is the operator's choice;
`accept-encoding`, because the gateway decides whether it must be able to read the answer; hop-by-hop fields and those
`connection` names (RFC 9110 section 7.6.1); everything not listed.

Towards the client. The provider's `x-ratelimit-*` and `anthropic-ratelimit-*` stay, because on this road those names
mean the team's own limits; `openai-organization`, `openai-project` and `anthropic-organization-id` stay, because they
name the operator's account; `x-request-id` stays, because the client gets the gateway's, while Anthropic's
`request-id` goes, because its SDKs show it and its support asks for it; `location` stays, because a
redirect is never followed nor handed on; `content-length` stays, because framing belongs to the server (see
`content_length`).
"""

import re

from gateway.errors import BadRequest
from gateway.seams import Headers

_UPSTREAM = frozenset(
    (
        b"accept",
        b"accept-language",
        b"anthropic-beta",
        b"anthropic-version",
        b"baggage",
        b"content-disposition",
        b"content-type",
        b"idempotency-key",
        b"if-match",
        b"if-none-match",
        b"if-range",
        b"openai-beta",
        b"range",
        b"traceparent",
        b"tracestate",
        b"user-agent",
    )
)
_CLIENT = frozenset(
    (
        b"accept-ranges",
        b"anthropic-version",
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-range",
        b"content-type",
        b"etag",
        b"last-modified",
        b"openai-model",
        b"openai-processing-ms",
        b"openai-version",
        b"request-id",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
    )
)
_ENCODED = frozenset((b"accept-encoding", b"content-encoding"))
_STAINLESS = b"x-stainless-"
_KEEP_ALIVE = frozenset((b"keep-alive", b"close", b""))

_REQUEST_ID = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")
_LENGTH = re.compile(rb"[0-9]{1,18}")

MAX_TAGS = 16
MAX_TAG_VALUE = 128
_TAG_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TAG_VALUE = re.compile(r"[\x20-\x7e]{1,128}")


def request_headers(headers: Headers, *, readable: bool, extra: Headers | None = None) -> Headers:
    """What of a client's fields goes to the provider, in order, then `extra` (credentials, `x-request-id`).

    `readable`: the gateway reads request and answer, so neither may be compressed; `accept-encoding: identity` is
    set. Otherwise (pass-through) the client's `accept-encoding` and `content-encoding` go along. A field in `extra`
    replaces the client's of the same name.
    """
    out: Headers = []
    nominated: frozenset[bytes] | None = None
    for pair in headers:
        name = pair[0]
        if name in _UPSTREAM or name[:12] == _STAINLESS or (not readable and name in _ENCODED):
            out.append(pair)
        elif name == b"connection" and pair[1] not in _KEEP_ALIVE:
            nominated = _tokens(pair[1], nominated)
    if nominated:
        out = [pair for pair in out if pair[0] not in nominated]
    if readable:
        out.append((b"accept-encoding", b"identity"))
    if extra:
        replaced = {name for name, _ in extra}
        if not readable or not replaced.isdisjoint(_UPSTREAM):
            out = [pair for pair in out if pair[0] not in replaced]
        out += extra
    return out


def response_headers(headers: Headers) -> Headers:
    """What of a provider's fields goes to the client, in order."""
    out: Headers = []
    nominated: frozenset[bytes] | None = None
    for pair in headers:
        name = pair[0]
        if name in _CLIENT:
            out.append(pair)
        elif name == b"connection" and pair[1] not in _KEEP_ALIVE:
            nominated = _tokens(pair[1], nominated)
    return [pair for pair in out if pair[0] not in nominated] if nominated else out


def sound(block: bytes) -> bytes:
    """Fields that came from elsewhere and were joined to lines, each ended with CRLF, if they hold no other line end
    and no NUL. Raises ValueError: with them a provider could put fields, or a whole answer, of its own into ours."""
    lines = block.count(b"\r\n")
    if block.count(b"\n") != lines or block.count(b"\r") != lines or b"\0" in block:
        raise ValueError("a response header holds a line end or NUL")
    return block


def split_fields(block: bytes) -> Headers:
    """Fields that were joined to lines, each ended with CRLF."""
    return [(name, value) for name, _, value in [line.partition(b": ") for line in block.split(b"\r\n")[:-1]]]


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first field of that (lower-case) name."""
    for field, value in headers:
        if field == name:
            return value
    return None


def content_length(headers: Headers) -> int | None:
    """The declared length in bytes; None when there is none, or the fields contradict each other or are no number."""
    length: bytes | None = None
    for name, value in headers:
        if name == b"content-length":
            if length is not None and value != length:
                return None
            length = value
    return int(length) if length is not None and _LENGTH.fullmatch(length) else None


def request_id(headers: Headers) -> str | None:
    """The client's `x-request-id`, if it is 1 to 128 characters of printable ASCII; else None: make one."""
    value = header(headers, b"x-request-id")
    return value.decode("ascii") if value is not None and _REQUEST_ID.fullmatch(value) else None


def bearer(headers: Headers) -> bytes | None:
    """The virtual key of `authorization: Bearer KEY` (scheme in any case), else of `x-api-key: KEY`; None: no key.

    The first field of each name counts; both may be there (Anthropic's SDKs can send both), then `authorization` wins.
    """
    api_key: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            if value[:7].lower() == b"bearer ":
                return value[7:].strip() or None
            return None
        if name == b"x-api-key" and api_key is None:
            api_key = value.strip()
    return api_key or None


def parse_tags(value: bytes) -> dict[str, str]:
    """Cost attribution tags of `x-tollway-tags: key=value,key=value`; blanks around keys and values are dropped.

    Raises `BadRequest` naming the tag and the rule. Values are never repeated in the message.
    """
    tags: dict[str, str] = {}
    text = value.decode("latin-1").strip()
    if not text:
        return tags
    items = text.split(",")
    if len(items) > MAX_TAGS:
        raise _bad_tags(f"{len(items)} tags; at most {MAX_TAGS} are allowed")
    for number, item in enumerate(items, 1):
        key, equals, tag = item.partition("=")
        key, tag = key.strip(), tag.strip()
        if not equals:
            raise _bad_tags(f"tag {number} has no '='; tags are written key=value,key=value")
        if not _TAG_KEY.fullmatch(key):
            raise _bad_tags(
                f"the key of tag {number} is not allowed; 1 to 64 of letters, digits, '_', '.', '-', "
                "beginning with a letter or digit, are"
            )
        if not _TAG_VALUE.fullmatch(tag):
            raise _bad_tags(
                f"the value of tag {key!r} is not allowed; 1 to {MAX_TAG_VALUE} characters of printable ASCII "
                "without ',' are"
            )
        if key in tags:
            raise _bad_tags(f"tag {key!r} is given twice")
        tags[key] = tag
    return tags


def _bad_tags(problem: str) -> BadRequest:
    return BadRequest(f"Header x-tollway-tags: {problem}.", param="x-tollway-tags", code="invalid_tags")


def _tokens(value: bytes, more: frozenset[bytes] | None) -> frozenset[bytes]:
    """Names in a `connection` field, and those of the fields before it."""
    names = frozenset(token.strip().lower() for token in value.split(b","))
    return names | more if more else names
