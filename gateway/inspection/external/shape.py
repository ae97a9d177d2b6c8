"""The wire shape seam: texts in, one HTTP request out; status and body in, findings out. No I/O, no clock.

A shape says how its service judges. `alone`: each text by itself, so that verdicts can be remembered by text, texts
can be asked for in batches and long ones by overlapping windows. Otherwise all texts are judged together, as the
conversation they are.

Offsets in replies are characters (code points) of the text that was asked about, whatever unit the service counts in.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from gateway.inspection.report import Spent
from guardrails.detector import Match
from guardrails.interface import Direction

TOGETHER = -1
"""Index of a finding that is about all texts together; its span is 0 to 0."""

_T = TypeVar("_T")


class WrongAnswer(Exception):
    """The service did not answer as its interface says. The message never holds anything of the answer's text."""

    def __init__(
        self, message: str, *, fault: bool = True, retry_after: float | None = None, spent: Spent | None = None
    ) -> None:
        super().__init__(message)
        self.spent = spent
        """What it used all the same."""
        self.fault = fault
        """The service is at fault (or its credential), not this one text: counts towards opening the circuit."""
        self.retry_after = retry_after
        """Seconds the service asked to be left alone."""


class Text(msgspec.Struct, frozen=True):
    """One text to be judged. Holds no lone surrogates: see `windows.clean`."""

    role: str
    """system, user, assistant, tool, input or output."""
    text: str
    path: str = ""
    """JSON path in the body it came from."""


class Context(msgspec.Struct, frozen=True):
    """What a service may be told of the exchange. Ids and names only, never credentials."""

    direction: Direction = "request"
    request_id: str = ""
    team: str = ""
    key_id: str = ""
    model: str = ""
    operation: str = ""


class Stamp(msgspec.Struct, frozen=True):
    """When and under which id a request is sent; signatures need both."""

    now_ns: int
    """Wall clock, nanoseconds since the epoch."""
    id: str
    """Unique for each request sent."""


class Outgoing(NamedTuple):
    """One HTTP request, but for `host` and framing."""

    method: str
    path: str
    """Appended to the base URL; with its query, percent-encoded."""
    headers: list[tuple[str, str]]
    body: bytes


class Reply(msgspec.Struct, frozen=True):
    """What a service concluded about the texts of one request."""

    flagged: bool = False
    """The service's own decision."""
    matches: tuple[tuple[int, Match], ...] = ()
    """Index of the text (or `TOGETHER`) and what was found in it."""
    rewrites: tuple[tuple[int, str], ...] = ()
    """Index of the text and what the service would have instead."""
    message: str = ""
    """Reason or canned answer meant for the client. May quote the text: never logged."""
    spent: Spent | None = None


class Shape(Protocol):
    """One service's interface."""

    alone: bool
    """Every text is judged by itself."""
    batch: int
    """Texts one request may hold; only for those that judge alone."""
    window: int
    """Characters one text may have, 0: no limit. Only for those that judge alone."""
    charged: str
    """The model whose tokens are paid for, also of a call that is cut off; "": none are."""

    def request(self, texts: Sequence[Text], context: Context, stamp: Stamp) -> Outgoing: ...

    def reply(self, texts: Sequence[Text], status: int, body: bytes) -> Reply:
        """Raises `WrongAnswer` when the answer is not what the interface promises."""
        ...


JSON = ("content-type", "application/json")


def decoded(status: int, body: bytes, kind: type[_T]) -> _T:
    """The body of a 200 answer as `kind`. Raises `WrongAnswer`, which names status or field but quotes nothing.

    400, 413 and 422 speak of the request and are no fault of the service: one client's text must not open the circuit
    for all others.
    """
    if status != 200:
        raise WrongAnswer(f"answered with status {status}", fault=status not in (400, 413, 422))
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise WrongAnswer(f"answered in another form: {_where(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WrongAnswer("did not answer in JSON") from None


def _where(error: msgspec.ValidationError) -> str:
    """The place of a validation error, without the message before it, which may quote a value."""
    return str(error).rpartition(" - at ")[2].strip("`") if " - at " in str(error) else "unexpected"


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


def bearer(key: str) -> list[tuple[str, str]]:
    """An `authorization` header, if there is a key."""
    return [("authorization", f"Bearer {key}")] if key else []


def upper(name: str) -> str:
    """A category's name as a finding's type: `hate/threatening` → HATE_THREATENING, `SelfHarm` → SELF_HARM."""
    out: list[str] = []
    for before, c in zip("_" + name, name, strict=False):
        if c.isupper() and before.islower():
            out.append("_")
        out.append(c.upper() if c.isalnum() else "_")
    return "".join(out)
