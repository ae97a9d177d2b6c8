"""The same text surfaces as `segments.py`, faster, for bodies that look as the official SDKs and providers write them.

Members are taken apart with msgspec, which leaves nested values as raw bytes; only texts are decoded. What is shown to
be plain is read here, and whatever is not goes to the reference, value by value: a tool's schema in a request does not
make its messages slow. Nothing is assumed: an object counts as plain only if the sizes of its members and of the
punctuation they need add up to its length, so that no blank, escaped name or name given twice can be in it (as in
`body.py`). Bodies with blanks are written without them first, which keeps every token.
"""

from typing import Annotated, Literal

import msgspec

from gateway.dialects import segments as reference
from gateway.facts import Segment
from gateway.wire.answers import holds_text
from gateway.wire.surfaces import CONTAINERS, PAYLOAD, ROLES, SPOKEN, STRUCTURAL, member_path, role_of_kind

_Members = dict[str, msgspec.Raw]
_NOTHING: frozenset[str] = frozenset()
_QUOTE, _BRACE, _BRACKET = b'"{['


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message of a role and a text."""

    role: msgspec.Raw
    content: msgspec.Raw


class _Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A content part or block of text."""

    type: msgspec.Raw
    text: msgspec.Raw


class _AnswerMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A text, and what OpenAI writes beside it."""

    role: Literal["assistant"]
    content: msgspec.Raw
    refusal: msgspec.UnsetType | None = msgspec.UNSET
    annotations: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=0)] | msgspec.UnsetType = msgspec.UNSET


class _Choice(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A choice of a chat answer."""

    index: int
    message: _AnswerMessage
    logprobs: msgspec.Raw = msgspec.Raw()
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"] | msgspec.UnsetType | None = msgspec.UNSET


_MESSAGE = len('{"role":,"content":},')
_PART = len('{"type":,"text":},')
_CHOICE = len('{"index":,"message":{"role":"assistant","content":}},')
_REFUSAL = len('"refusal":null,')
_ANNOTATIONS = len('"annotations":[],')
_LOGPROBS = len('"logprobs":,')
_FINISH = len('"finish_reason":,')
_TEXT_PARTS = frozenset((b'"text"', b'"input_text"', b'"output_text"'))

_members = msgspec.json.Decoder(_Members).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_messages = msgspec.json.Decoder(list[_Message]).decode
_choices = msgspec.json.Decoder(list[_Choice]).decode
_parts = msgspec.json.Decoder(list[_Part]).decode
_string = msgspec.json.Decoder(str).decode


def prompt_segments(body: bytes, *, input_role: str = "input") -> list[Segment]:
    """As `segments.prompt_segments`."""
    out: list[Segment] = []
    try:
        top = _top(body)
        reference.add_names(top, "", "input", out)
        for name, value in top.items():
            if name in reference.SETTINGS:
                reference.add_structured(bytes(value), name, "system", out, _NOTHING)
            elif name not in reference.TOP_STRUCTURAL:
                role = reference.TOP_ROLES.get(name) or (input_role if name in ("input", "prompt") else "input")
                _member(name, value, "", role, out, _NOTHING)
    except (ValueError, RecursionError):
        return reference.prompt_segments(body, input_role=input_role)
    return out


def answer_segments(body: bytes, container: str, *, role: str = "assistant") -> list[Segment]:
    """As `segments.answer_segments`."""
    out: list[Segment] = []
    try:
        top = _top(body)
        reference.add_answer_names(top, container, role, out)
        for name, value in top.items():
            if holds_text(container, name):
                _member(name, value, "", role, out, reference.IGNORED_IN_ANSWERS)
    except (ValueError, RecursionError):
        return reference.answer_segments(body, container, role=role)
    return out


def _top(body: bytes) -> _Members:
    """The members of a body. Raises `ValueError` for one that only the reference may judge."""
    if not body.isascii():
        body.decode()
    members = _members(body)
    if not _compact(members, len(body)):
        body = msgspec.json.format(body, indent=-1)
        members = _members(body)
        if not _compact(members, len(body)):
            raise ValueError
    return members


def _compact(members: _Members, size: int) -> bool:
    return sum(map(len, members)) + sum(map(len, members.values())) + 4 * len(members) + (not members) + 1 == size


def _member(name: str, value: msgspec.Raw, around: str, role: str, out: list[Segment], ignored: frozenset[str]) -> None:
    """One member of the structured object at `around`, as `segments._member`."""
    raw = bytes(value)
    first = raw[0]
    if first == _QUOTE:
        if len(raw) > 2:
            out.append(Segment(_path(around, name), role, _string(raw)))
    elif first in b"{[" and len(raw) > 2:
        if name not in CONTAINERS:
            reference.add_free(raw, _path(around, name), role, out)
        elif first == _BRACE:
            _object(raw, _path(around, name), role, out, ignored)
        else:
            _array(raw, _path(around, name), role, out, ignored)
    elif first in b"-0123456789" and len(raw) > 2 and name in SPOKEN:
        out.append(Segment(_path(around, name), role, raw.decode()))


def _path(around: str, name: str) -> str:
    if name in CONTAINERS:
        return f"{around}.{name}" if around else name
    return member_path(around, name)


def _object(raw: bytes, path: str, role: str, out: list[Segment], ignored: frozenset[str]) -> None:
    """One structured object, as `segments._structured`."""
    members = _members(raw)
    if not _compact(members, len(raw)) or not PAYLOAD.isdisjoint(members):
        return reference.add_structured(raw, path, role, out, ignored)
    role = _role(members, role)
    reference.add_names(members, path, role, out)
    for name, value in members.items():
        if name in STRUCTURAL:
            if name == "cache_control" or bytes(value)[0] == _QUOTE:
                continue
        elif name in ignored:
            continue
        if name == "input" and bytes(value)[0] == _BRACE:
            reference.add_free(bytes(value), path + ".input", role, out)
        else:
            _member(name, value, path, role, out, ignored)
    return None


def _role(members: _Members, role: str) -> str:
    named = members.get("role")
    if named is not None and bytes(named)[0] == _QUOTE:
        return ROLES.get(_string(named), role)
    kind = members.get("type")
    return role_of_kind(_string(kind), role) if kind is not None and bytes(kind)[0] == _QUOTE else role


def _array(raw: bytes, path: str, role: str, out: list[Segment], ignored: frozenset[str]) -> None:
    """A list of texts and structured objects: often messages, or parts of one, and nothing else."""
    if raw[:7] == b'[{"role' and _plain_messages(raw, path, role, out):
        return
    if raw[:8] == b'[{"index' and _plain_choices(raw, path, ignored, out):
        return
    if raw[:7] == b'[{"type' and _plain_parts(raw, path, role, out):
        return
    for at, item in enumerate(_items(raw)):
        text = bytes(item)
        first = text[0]
        if first == _QUOTE:
            if len(text) > 2:
                out.append(Segment(f"{path}[{at}]", role, _string(text)))
        elif first == _BRACE:
            _object(text, f"{path}[{at}]", role, out, ignored)
        elif first == _BRACKET:
            reference.add_structured(text, f"{path}[{at}]", role, out, ignored)


def _plain_messages(raw: bytes, path: str, role: str, out: list[Segment]) -> bool:
    """Messages of a role and a text each; False, and nothing is taken, if they are not only that."""
    found: list[Segment] = []
    size = len("[]") - 1
    at = 0
    try:
        for message in _messages(raw):
            content = message.content
            size += _MESSAGE + len(message.role) + len(content)
            whose = ROLES.get(_string(message.role)) or role
            if len(content) > 2:
                found.append(Segment(f"{path}[{at}].content", whose, _string(content)))
            at += 1
    except msgspec.ValidationError:
        return False
    if size != len(raw):
        return False
    out += found
    return True


def _plain_choices(raw: bytes, path: str, ignored: frozenset[str], out: list[Segment]) -> bool:
    """Choices of a chat answer with a text each; False, and nothing is taken, if they are not only that."""
    if "logprobs" not in ignored:
        return False
    try:
        choices = _choices(raw)
    except msgspec.ValidationError:
        return False
    size = len("[]") - 1
    for choice in choices:
        message, finish = choice.message, choice.finish_reason
        if bytes(message.content)[0] != _QUOTE:
            return False
        size += _CHOICE + len(str(choice.index)) + len(message.content)
        if message.refusal is None:
            size += _REFUSAL
        if message.annotations is not msgspec.UNSET:
            size += _ANNOTATIONS
        if len(choice.logprobs):
            size += _LOGPROBS + len(choice.logprobs)
        if finish is not msgspec.UNSET:
            size += _FINISH + (len("null") if finish is None else len(finish) + 2)
    if size != len(raw):
        return False
    for at, choice in enumerate(choices):
        if len(choice.message.content) > 2:
            out.append(Segment(f"{path}[{at}].message.content", "assistant", _string(choice.message.content)))
    return True


def _plain_parts(raw: bytes, path: str, role: str, out: list[Segment]) -> bool:
    """Parts of text; False, and nothing is taken, if they are not only that."""
    try:
        parts = _parts(raw)
    except msgspec.ValidationError:
        return False
    sizes = 0
    for part in parts:
        text = bytes(part.text)
        if bytes(part.type) not in _TEXT_PARTS or text[0] != _QUOTE:
            return False
        sizes += len(part.type) + len(text)
    if sizes + _PART * len(parts) + 1 != len(raw):
        return False
    for at, part in enumerate(parts):
        if len(part.text) > 2:
            out.append(Segment(f"{path}[{at}].text", role, _string(part.text)))
    return True
