"""Accept: which operation a request line asks for.

A path that is not a first-class operation passes through to a provider, so the grammar of paths is strict: a spelling
that a provider might resolve to a first-class operation (`//`, `..`, `%2F`, `%63hat`, another case) would walk past
key scopes and guardrails, and is refused here. Escapes of other octets (RFC 3986 section 2.1) are left alone.
"""

import re
from urllib.parse import unquote

from gateway.errors import BadRequest, MethodNotAllowed, NotFound
from gateway.facts import Operation, Wire

JUDGEMENT = "guardrail"
"""Operation of a call to a model that judges a request or its answer, in the books."""
FREE = frozenset({"models", "messages.count_tokens", "moderations"})
"""Names of operations that providers do not charge for."""

_MODELS = Operation("models", "openai", reads_body=False, generates=False, path="/models")
_PASSTHROUGH = Operation("passthrough", "openai", reads_body=False, generates=False)
_PASSTHROUGH_ANTHROPIC = Operation("passthrough", "anthropic", reads_body=False, generates=False)

_TABLE: dict[str, tuple[str, Operation]] = {
    "/v1/chat/completions": ("POST", Operation("chat.completions", "openai", path="/chat/completions")),
    "/v1/completions": ("POST", Operation("completions", "openai", path="/completions")),
    "/v1/responses": ("POST", Operation("responses", "openai", path="/responses")),
    "/v1/embeddings": ("POST", Operation("embeddings", "openai", generates=False, path="/embeddings")),
    "/v1/moderations": ("POST", Operation("moderations", "openai", generates=False, path="/moderations")),
    "/v1/models": ("GET", _MODELS),
    "/v1/messages": ("POST", Operation("messages", "anthropic", path="/messages")),
    "/v1/messages/count_tokens": (
        "POST",
        Operation("messages.count_tokens", "anthropic", generates=False, path="/messages/count_tokens"),
    ),
}

FIRST_CLASS = ", ".join(f"{method} {path}" for path, (method, _) in _TABLE.items())
"""What the gateway reads itself, in words."""
_READING = ("GET", "HEAD")
"""HEAD is answered wherever GET is, with the same fields and no content (RFC 9110, 9.3.2)."""
_PASSED = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Methods that are passed through. Not TRACE: whoever answers it shows the provider's credential (RFC 9110, 9.3.8)."""
_MODEL_PREFIX = "/v1/models/"
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\?#;]|//|/\.{1,2}(?:/|$)")
"""Control characters, back-slash, delimiters that end or parametrise a segment, empty and dot segments."""
_SLY_ESCAPE = re.compile(
    r"%(?![0-9A-Fa-f]{2})|"
    r"%(?:[01][0-9A-Fa-f]|2[5DEFdef]|3[0-9BFbf]|[46][1-9A-Fa-f]|5[0-9ACFacf]|7[0-9AEFaef])"
)
"""Percent-escapes nobody needs: of letters, digits, `-._~`, of `/ \\ % ; ?`, of control characters, and broken ones."""


NAMES = (
    "chat.completions",
    "completions",
    "responses",
    "embeddings",
    "moderations",
    "models",
    "messages",
    "messages.count_tokens",
    "passthrough",
)
"""Of all operations."""


def accept(method: str, path: str) -> Operation:
    """The operation that `method` (upper case) on `path` (no query; percent-decoded or as sent) asks for.

    Raises `NotFound` for anything not below `/v1/` and for paths that could be read in two ways, `MethodNotAllowed`
    (with an `allow` header) for a first-class path with another method.
    """
    entry = _TABLE.get(path)
    if entry is not None:
        if method == entry[0] or (method == "HEAD" and entry[0] == "GET"):
            return entry[1]
        if method in _READING and path == "/v1/chat/completions":
            return _PASSTHROUGH  # lists what was stored
        raise _wrong_method(method, path, ", ".join(_READING) if entry[0] == "GET" else entry[0])
    return _accept_other(method, path)


def upgrade(path: str, asked: bytes) -> None:
    """Raises `BadRequest` where the `upgrade` field of a GET asks for a WebSocket (RFC 6455 section 4.1). Any other may
    be ignored (RFC 9110 section 7.8), and is: some clients offer h2c with every request."""
    if not any(protocol.strip().lower() == b"websocket" for protocol in asked.split(b",")):
        return
    if path == "/v1/realtime" or path.startswith("/v1/realtime/"):
        hint = "The Realtime API has no such form and cannot be used through it."
    else:
        hint = f"Send the request to {_shown(path)} as a POST."
    raise BadRequest(
        "This gateway does not speak WebSocket. It serves HTTP, and streams as server-sent events "
        f"(POST with '\"stream\": true' in the body). {hint}",
        code="websocket_not_supported",
    )


def anthropic_passthrough(operation: Operation | None, says_so: bool) -> Operation:
    """`operation`, which is passed through, as Anthropic's if its client `says_so`: both APIs have `/v1/files`."""
    return _PASSTHROUGH_ANTHROPIC if says_so or operation is None else operation


def wire_of(path: str) -> Wire:
    """Whose envelope a refusal on `path` takes, for refusals that come before or out of `accept`."""
    return "anthropic" if path.startswith("/v1/messages") and path[12:13] in ("", "/") else "openai"


def model_of(path: str) -> str:
    """The model id of a `/v1/models/{id}` path, decoded; empty for `/v1/models`."""
    return unquote(path[len(_MODEL_PREFIX) :])


def _accept_other(method: str, path: str) -> Operation:
    if path != "/v1" and not path.startswith("/v1/"):
        raise _not_found(path, "the API is below /v1/, such as /v1/chat/completions")
    if path.startswith(_MODEL_PREFIX):
        return _accept_model(method, path)
    if _UNSAFE.search(path) or _SLY_ESCAPE.search(path) or not path.isprintable():
        if path.rstrip("/") in _TABLE:
            raise _not_found(path, "without the trailing slash it exists")
        raise _not_found(path, "empty, '.' and '..' segments, encoded letters or slashes and ';' are not accepted")
    if path == "/v1" or path.endswith("/"):
        raise _not_found(path, "a path below /v1/ ends without a slash, such as /v1/chat/completions")
    if path.startswith("/v1/v1/"):
        raise _not_found(path, "/v1 is in it twice: with Anthropic's SDKs the base URL ends without it")
    if method not in _PASSED:
        raise _wrong_method(method, path, ", ".join(_PASSED))
    lower = path.lower()
    if lower != path and (lower in _TABLE or lower.startswith(_MODEL_PREFIX)):
        raise _not_found(path, "paths are in lower case")
    return _PASSTHROUGH_ANTHROPIC if wire_of(path) == "anthropic" else _PASSTHROUGH


def _accept_model(method: str, path: str) -> Operation:
    """Model ids may hold slashes and escapes: this path is answered here and never goes to a provider."""
    model = model_of(path)
    if not model or not model.isprintable():
        raise _not_found(path, "a model id follows /v1/models/, or nothing and no slash to list all")
    if method not in _READING:
        raise _wrong_method(method, "/v1/models/{id}", ", ".join(_READING))
    return _MODELS


def _wrong_method(method: str, path: str, allowed: str) -> MethodNotAllowed:
    return MethodNotAllowed(
        f"{_shown(method)} is not allowed on {path}; allowed: {allowed}.", headers=((b"allow", allowed.encode()),)
    )


def _not_found(path: str, hint: str) -> NotFound:
    return NotFound(f"No such path: {_shown(path)} ({hint}).", code="path_not_found")


def _shown(text: str) -> str:
    """Client text as it may stand in a message: printable ASCII, bounded."""
    return ascii(text[:200])[1:-1]
