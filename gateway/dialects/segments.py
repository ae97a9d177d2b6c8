"""Every text surface of a body, each with its JSON path and role, for guardrails and token estimates.

Two ways of walking. Known containers (messages, content parts, tool calls, items, tools) are *structured*: there, ids,
discriminators and binary payloads are no text and are left out. Everything else is *free*: every string counts,
whatever its name, also numbers (a card number may stand as one) and member names. Names that no API has are read
everywhere, and so is a number in the place of a text. So what a provider adds tomorrow is scanned, not missed. A name
given twice yields both values, because nobody knows which one the provider takes.

The names and the grammar of paths are in `gateway/wire/surfaces.py`.
"""

import json
from collections.abc import Collection
from typing import cast

from gateway.errors import BadRequest, UpstreamBroken
from gateway.facts import Segment
from gateway.wire.answers import holds_text
from gateway.wire.surfaces import (
    CONTAINERS,
    PAYLOAD,
    ROLES,
    SPOKEN,
    STRUCTURAL,
    is_base64,
    is_encoded,
    is_member,
    member_path,
    role_of_kind,
    sound,
)


class _Number(str):
    """Digits of a JSON number; text only in free objects."""

    __slots__ = ()


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_load = json.JSONDecoder(object_pairs_hook=tuple, parse_int=_Number, parse_float=_Number).decode
"""Objects as tuples of pairs (so that names given twice survive), arrays as lists."""

Pairs = tuple[tuple[str, object], ...]

TOP_ROLES = {
    "messages": "user",
    "system": "system",
    "instructions": "system",
    "tools": "system",
    "functions": "system",
    "response_format": "system",
    "text": "system",
    "output_config": "system",
    "context_management": "system",
    "choices": "assistant",
    "output": "assistant",
    "content": "assistant",
}
TOP_STRUCTURAL = STRUCTURAL | _names(
    "reasoning_effort verbosity truncation previous_response_id prompt_cache_retention encoding_format modalities "
    "include inference_geo speed logit_bias"
)
SETTINGS = _names("thinking reasoning stream_options audio context_management conversation container")
"""Of the body itself: no text where they are strings; where they are objects they may have texts among what they set,
such as the instructions by which a context is summarized."""
USUAL = (
    CONTAINERS
    | STRUCTURAL
    | PAYLOAD
    | _names(
        "messages text name arguments description parameters strict refusal annotations usage created choices "
        "finish_reason tools temperature top_p max_tokens max_completion_tokens stream stream_options n seed stop user "
        "system_fingerprint content_index logprobs thinking title input_schema properties metadata instructions"
    )
)
"""Names that need no second look."""
IGNORED_IN_ANSWERS = frozenset(("logprobs", "usage"))


def prompt_segments(body: bytes, *, input_role: str = "input") -> list[Segment]:
    """Text surfaces of a request. `input_role` is the role of strings directly in `input` or `prompt`.

    Raises `BadRequest` for what is not a JSON object or is nested too deeply.
    """
    try:
        value = _load(body.decode())
        if not isinstance(value, tuple):
            raise BadRequest("The request body must be a JSON object.")
        out = add_names([name for name, _ in cast(Pairs, value)], "", "input", [])
        for name, member in cast(Pairs, value):
            if name in TOP_STRUCTURAL:
                continue
            if name in SETTINGS:
                _structured(member, name, "system", out, frozenset())
                continue
            role = TOP_ROLES.get(name) or (input_role if name in ("input", "prompt") else "input")
            _member(name, member, member_path("", name), role, out, frozenset())
    except RecursionError:
        raise BadRequest("The request body is nested too deeply.") from None
    except ValueError:
        raise BadRequest("The request body is not valid JSON.") from None
    return _sound_segments(body, out)


def answer_segments(body: bytes, container: str, *, role: str = "assistant") -> list[Segment]:
    """Text surfaces of an answer, below its top-level member `container` and those beside it that may hold text.
    Log-probabilities are left out: they repeat the text token by token.

    Raises `UpstreamBroken` for what is not JSON: an answer nobody can read must not look like an empty one.
    """
    try:
        value = _load(body.decode())
        out: list[Segment] = []
        if isinstance(value, tuple):
            add_answer_names([name for name, _ in cast(Pairs, value)], container, role, out)
            for name, member in cast(Pairs, value):
                if holds_text(container, name):
                    _member(name, member, member_path("", name), role, out, IGNORED_IN_ANSWERS)
    except (ValueError, RecursionError):
        raise UpstreamBroken("The provider's answer cannot be read as JSON.") from None
    return _sound_segments(body, out)


def json_segments(body: bytes, *, role: str = "input") -> list[Segment]:
    """Text surfaces of a JSON object nothing is known about, such as the body of an operation that passes through:
    every string, number and member name but those of the body itself that an API may have, and strings that are never
    text (`model`, ids). Raises `BadRequest` for what is not a JSON object or is nested too deeply."""
    out: list[Segment] = []
    try:
        value = _load(body.decode())
        if not isinstance(value, tuple):
            raise BadRequest("The request body must be a JSON object.")
        add_names([name for name, _ in cast(Pairs, value)], "", role, out)
        for name, member in cast(Pairs, value):
            if not (name in STRUCTURAL and isinstance(member, str)):
                _free(member, member_path("", name), role, out)
    except RecursionError:
        raise BadRequest("The request body is nested too deeply.") from None
    except ValueError:
        raise BadRequest("The request body is not valid JSON.") from None
    return _sound_segments(body, out)


def add_names(names: Collection[str], path: str, role: str, out: list[Segment]) -> list[Segment]:
    """The names of a structured object's members, if one of them is none that an API has. Gives `out`."""
    if not USUAL.issuperset(names) and not all(map(is_member, names)):
        out.append(Segment(path + "{}", role, "\n".join(names)))
    return out


def add_answer_names(names: Collection[str], container: str, role: str, out: list[Segment]) -> None:
    """The same for the outermost members of an answer."""
    if not USUAL.issuperset(names) and any(holds_text(container, name) and not is_member(name) for name in names):
        out.append(Segment("{}", role, "\n".join(names)))


def add_free(raw: bytes, path: str, role: str, out: list[Segment]) -> None:
    """The surfaces of one value that is not structured, from its JSON text. Raises `ValueError`, `RecursionError`."""
    _free(_load(raw.decode()), path, role, out)


def add_structured(raw: bytes, path: str, role: str, out: list[Segment], ignored: frozenset[str]) -> None:
    """The surfaces of one structured value, from its JSON text. Raises `ValueError`, `RecursionError`."""
    _structured(_load(raw.decode()), path, role, out, ignored)


def _member(name: str, value: object, path: str, role: str, out: list[Segment], ignored: frozenset[str]) -> None:
    """One member of a structured object."""
    if type(value) is str:
        if value:
            out.append(Segment(path, role, value))
    elif isinstance(value, _Number):
        if name in SPOKEN and len(value) > 2:
            out.append(Segment(path, role, str(value)))
    elif name in CONTAINERS:
        _structured(value, path, role, out, ignored)
    else:
        _free(value, path, role, out)


def _structured(value: object, path: str, role: str, out: list[Segment], ignored: frozenset[str]) -> None:
    """A known container: a list of texts and objects, or one object."""
    if isinstance(value, list):
        for at, item in enumerate(cast(list[object], value)):
            if type(item) is str:
                if item:
                    out.append(Segment(f"{path}[{at}]", role, item))
            else:
                _structured(item, f"{path}[{at}]", role, out, ignored)
    elif isinstance(value, tuple):
        pairs = cast(Pairs, value)
        fields = dict(pairs)
        if len(fields) != len(pairs):
            return _free(pairs, path, role, out)
        role = _role(fields, role)
        add_names(fields, path, role, out)
        for name, member in pairs:
            if name in STRUCTURAL and (isinstance(member, str) or name == "cache_control"):
                continue
            if name in ignored or (name in PAYLOAD and _is_payload(name, member, fields)):
                continue
            if name == "input" and isinstance(member, tuple):
                _free(cast(object, member), path + ".input", role, out)
            else:
                _member(name, member, member_path(path, name), role, out, ignored)
    return None


def _free(value: object, path: str, role: str, out: list[Segment]) -> None:
    """Anything else: all strings, names, and numbers where they are data rather than a tool's schema."""
    if isinstance(value, str):
        if value and not (isinstance(value, _Number) and role == "system"):
            out.append(Segment(path, role, str(value)))
    elif isinstance(value, list):
        for at, item in enumerate(cast(list[object], value)):
            _free(item, f"{path}[{at}]", role, out)
    elif isinstance(value, tuple):
        pairs = cast(Pairs, value)
        names = "\n".join([name for name, _ in pairs])
        if names:
            out.append(Segment(path + "{}", role, names))
        for name, member in pairs:
            _free(member, member_path(path, name), role, out)


def _role(fields: dict[str, object], role: str) -> str:
    """Whose words an object holds: by its `role`, else by the kind of item or block, else its surroundings'."""
    named = fields.get("role")
    if isinstance(named, str):
        return ROLES.get(named, role)
    kind = fields.get("type")
    return role_of_kind(kind, role) if isinstance(kind, str) else role


def _is_payload(name: str, value: object, fields: dict[str, object]) -> bool:
    """Whether a member holds encoded bytes rather than text. A text document also stands in `data`."""
    if not isinstance(value, str):
        return False
    kind, told = fields.get("type"), name == "file_data"
    if name == "data":
        told = kind in ("base64", "redacted_thinking") or "format" in fields or "transcript" in fields
    elif name == "result":
        told = kind == "image_generation_call"
    return is_encoded(value) or (told and is_base64(value))


def _sound_segments(body: bytes, segments: list[Segment]) -> list[Segment]:
    if b"\\ud" in body or b"\\uD" in body:
        return [Segment(segment.path, segment.role, sound(segment.text)) for segment in segments]
    return segments
