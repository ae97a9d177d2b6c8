"""JSON request bodies: decode narrowly, refuse clearly, replace single members without touching the rest.

A member name given twice is refused. Parsers differ in which of the two they take, so a body that names two models
would be judged by one and served by the other (RFC 8259 section 4: "the behavior of software that receives such an
object is unpredictable").

How uniqueness is known without a slow parser: msgspec gives each distinct name with the raw bytes of its value. If
names, values and the punctuation they need add up to the length of the body, nothing else is in it. That is the usual
case (official SDKs send no blanks). Otherwise the members are walked: each must stand where the one before it ended,
which also gives the place of every value.
"""

import re
from typing import TypeVar

import msgspec

from gateway.errors import BadRequest

T = TypeVar("T")
Members = dict[str, msgspec.Raw]
Span = tuple[int, int]

MAX_MODEL = 256
"""Characters of a model name; it becomes a metric label and a log field."""
MAX_TOKENS = 10**9
MAX_CHOICES = 10_000
"""Choices of one request, all prompts together."""

_members = msgspec.json.Decoder(Members).decode
_encode = msgspec.json.encode
_OPEN = re.compile(rb"[ \t\r\n]*\{")
_NAME = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_NEXT = re.compile(rb"[ \t\r\n]*([,}])")
_PLACE = re.compile(r"^(.*) - at `\$\.?(.*)`$", re.DOTALL)
_HALF_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\)(?=.)", re.DOTALL)
_SYNTAX = re.compile(r"^JSON is malformed: (.*) \(byte (\d+)\)$", re.DOTALL)


def decode_request(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """The fields a dialect needs. Raises `BadRequest` with `param` for a field of the wrong type, and with the byte
    offset for malformed JSON; no message repeats content."""
    try:
        fields = decoder.decode(body)
        members = _members(body)
        if not body.isascii():
            body.decode()
    except msgspec.ValidationError as error:
        raise _wrong_type(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error, body) from None
    if _compact_size(members) != len(body) and not _is_spaced(body, members) and _walk(body, members) is None:
        raise _twice()
    return fields


def checked_model(model: str) -> str:
    """The model name, if it is one. Raises `BadRequest`."""
    if not model:
        raise BadRequest("You must provide a model: the string field 'model' is missing or empty.", param="model")
    if len(model) > MAX_MODEL or not model.isprintable():
        has = f"has {len(model)}" if len(model) > MAX_MODEL else "holds one that is not printable"
        raise BadRequest(
            f"The field 'model' must be at most {MAX_MODEL} printable characters; this one {has}.", param="model"
        )
    return model


def token_limit(value: int | None, param: str) -> int | None:
    """A limit of tokens, if absent or between 0 and `MAX_TOKENS`: a negative one would shrink what is held for a
    request, an absurd one would not fit the ledger."""
    if value is not None and not 0 <= value <= MAX_TOKENS:
        raise BadRequest(f"The field '{param}' must be between 0 and {MAX_TOKENS}.", param=param)
    return value


def count(value: int | None, param: str) -> int:
    """A number of choices, 1 if absent, between 1 and `MAX_CHOICES`."""
    if value is None:
        return 1
    if not 1 <= value <= MAX_CHOICES:
        raise BadRequest(f"The field '{param}' must be between 1 and {MAX_CHOICES}.", param=param)
    return value


def replace_model(body: bytes, asked: str, model: str) -> bytes:
    """`body` naming `model` in place of `asked`; `body` itself if they are the same."""
    return body if asked == model else replace_members(body, {"model": _encode(model)})


def replace_members(body: bytes, values: dict[str, bytes], merge: dict[str, dict[str, bytes]] | None = None) -> bytes:
    """`body` with top-level members set to JSON texts: whole (`values`) or member by member (`merge`: an object that is
    absent or null is made). New members come first; all else keeps its bytes."""
    members = _members(body)
    spans = _compact_spans(members) if _compact_size(members) == len(body) else _walk(body, members)
    if spans is None:
        raise _twice()
    if merge:
        values = values | {name: _merged(members.get(name), inner) for name, inner in merge.items()}
    added = b""
    edits: list[tuple[int, int, bytes]] = []
    for name, value in values.items():
        span = spans.get(name)
        if span is None:
            added += b"%b:%b," % (_encode(name), value)
        else:
            edits.append((*span, value))
    edits.sort(reverse=True)
    for start, end, value in edits:
        body = body[:start] + value + body[end:]
    if added:
        at = body.index(b"{") + 1
        body = body[:at] + (added if members else added[:-1]) + body[at:]
    return body


def _merged(raw: msgspec.Raw | None, values: dict[str, bytes]) -> bytes:
    inner = _members(raw) if raw is not None and bytes(raw) != b"null" else {}
    return _encode({**inner, **{name: msgspec.Raw(value) for name, value in values.items()}})


def _twice() -> BadRequest:
    return BadRequest("A member of the request body is given twice; each name may occur once.")


def _compact_size(members: Members) -> int:
    """Bytes of an object with these members, unescaped ASCII names and no blanks. A body that is longer has blanks,
    escapes or a name twice; none is shorter, since a name has at least one byte for each of its characters."""
    return sum(map(len, members)) + sum(map(len, members.values())) + 4 * len(members) + (1 if members else 2)


def _is_spaced(body: bytes, members: Members) -> bool:
    """Whether the body is exactly these members, with a blank after each colon and comma of theirs (as `json.dumps` of
    Python writes)."""
    names = "".join(members)
    if '"' in names or "\\" in names:
        return False
    written = b", ".join([b'"%b": %b' % (name.encode(), raw) for name, raw in members.items()])
    return len(written) + 2 == len(body) and body == b"{%b}" % written


def _compact_spans(members: Members) -> dict[str, Span]:
    spans: dict[str, Span] = {}
    at = 1
    for name, raw in members.items():
        start = at + len(name) + 3
        end = start + len(raw)
        spans[name] = (start, end)
        at = end + 1
    return spans


def _walk(body: bytes, members: Members) -> dict[str, Span] | None:
    """Where each value stands; None if a name is given twice.

    Every step stands on a proof: at the true place of a member, its name is compared, and its value is compared with
    the value known for that name. JSON texts are self-delimiting (numbers end at what `_NEXT` wants), so equality puts
    the next step at the true place of the next member. The first repeated name fails one of the comparisons, or is
    what is left when all names are used up.
    """
    spans: dict[str, Span] = {}
    opened = _OPEN.match(body)
    at = opened.end() if opened else 0
    closed = not members
    for name, raw in members.items():
        value = bytes(raw)
        usual = b'"%b": ' % name.encode()
        start = at + len(usual)
        plain = '"' not in name and "\\" not in name
        if not (plain and body.startswith(usual, at) and body.startswith(value, start)):
            found = _NAME.match(body, at)
            if found is None or closed or msgspec.json.decode(found[1]) != name:
                return None
            start = found.end()
            if not body.startswith(value, start):
                return None
        end = start + len(value)
        spans[name] = (start, end)
        if body.startswith(b", ", end):
            at = end + 2
            continue
        following = _NEXT.match(body, end)
        if following is None:
            return None
        closed = following[1] == b"}"
        at = following.end()
    return spans if closed else None


def _wrong_type(message: str) -> BadRequest:
    place = _PLACE.match(message)
    if place is None:
        return BadRequest(f"The request body must be a JSON object: {_plain(message)}.")
    problem, param = place.groups()
    return BadRequest(f"Invalid value for '{param}': {_plain(problem)}.", param=param or None)


def _plain(problem: str) -> str:
    """msgspec's "Expected `int | null`, got `str`" as prose."""
    problem = problem.replace("`", "").replace(" | null", " or null")
    return problem[:1].lower() + problem[1:]


def _malformed(error: Exception, body: bytes) -> BadRequest:
    if isinstance(error, RecursionError):
        return BadRequest("The request body is nested too deeply.")
    if isinstance(error, UnicodeDecodeError):
        return BadRequest("The request body is not valid UTF-8.")
    if not body.strip():
        return BadRequest("The request body is empty; a JSON object is expected.")
    if body[:2] == b"\x1f\x8b":
        return BadRequest("The request body is compressed; its content-encoding does not say so.")
    found = _SYNTAX.match(str(error))
    what, at = found.groups() if found else ("it ends too early", str(len(body)))
    if found is None and (half := _HALF_PAIR.search(body, max(0, len(body) - 12))):
        # msgspec looks for the other half before it looks for the end.
        what, at = "unexpected end of escaped utf-16 surrogate pair", str(half.end())
    return BadRequest(f"The request body is not valid JSON: {what} at byte {at}.")
