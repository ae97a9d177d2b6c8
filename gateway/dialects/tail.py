"""Usage of a complete answer, found from its end without decoding the texts before it.

The bytes `"usage"` with both quotes bare are a JSON string of their own: inside a text the quotes would be escaped.
But it may be a value, or a name somewhere inside (a tool schema, tool input, metadata). So from the last occurrence
on, the rest is decoded as if an object began there: `{` + rest. That is a whole JSON object exactly if the occurrence
is a member name of the outermost object; anywhere deeper, closing brackets are left over. Only when that fails is the
answer decoded from its beginning.
"""

from typing import Annotated, Any

import msgspec

from pricing.shapes import MOST, PLAIN_TAIL, usage_and_tier, usage_of_tail
from pricing.usage import Usage


class _Top(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw()
    service_tier: Any = None


class _Transcript(msgspec.Struct):
    duration: Annotated[float, msgspec.Meta(gt=0, le=MOST)]


_transcript = msgspec.json.Decoder(_Transcript, strict=False).decode
_decode = msgspec.json.Decoder(_Top).decode
_USAGE = b'"usage"'
_TIER = b'"service_tier"'


def reported(body: bytes) -> tuple[Usage | None, str | None]:
    """Usage and service tier an answer reports: the tier beside the usage (OpenAI), else in it (Anthropic).

    Never raises. Works on the last part of a body too, if the usage object and what follows it are whole.
    """
    at = body.rfind(_USAGE)
    if body.startswith(PLAIN_TAIL, at) and (plain := usage_of_tail(b"{" + body[at:])) is not None:
        if plain[1] is None and _TIER in body[:at]:
            return plain[0], _earlier_tier(body, at)
        return plain
    top = _object_from(body, at) if at >= 0 else None
    if top is None:
        return None, None
    usage, inner_tier = read_usage(top.usage)
    tier = top.service_tier
    if tier is None:
        tier = _earlier_tier(body, at)
    return usage, tier if isinstance(tier, str) else inner_tier


def duration(body: bytes) -> Usage | None:
    """The length of the audio that a whole transcript tells beside its text (`verbose_json`); None: it tells none.
    Never raises."""
    try:
        return Usage(seconds=_transcript(body).duration)
    except (ValueError, RecursionError):
        return None


def _earlier_tier(body: bytes, at: int) -> str | None:
    """The answer's tier, where it stands before its usage (at offset `at`)."""
    before = body.rfind(_TIER, 0, at)
    earlier = _object_from(body, before) if before >= 0 else None
    tier = earlier.service_tier if earlier is not None else None
    return tier if isinstance(tier, str) else None


def read_usage(raw: msgspec.Raw) -> tuple[Usage | None, str | None]:
    """A usage object as it came, and the tier in it; None when absent, null or unknown. Never raises."""
    if len(raw) <= len(b"null"):
        return None, None
    try:
        return usage_and_tier(raw)
    except (ValueError, RecursionError):
        return None, None


def _object_from(body: bytes, at: int) -> _Top | None:
    """The members from offset `at` on, if a member of the outermost object begins there; else all of them."""
    try:
        return _decode(b"{" + body[at:])
    except (ValueError, RecursionError):
        pass
    try:
        return _decode(body)
    except (ValueError, RecursionError):
        return None
