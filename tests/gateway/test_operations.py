"""Accept: first-class paths, pass-through, and the spellings that must not slip through."""

import string
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, MethodNotAllowed, NotFound, Refusal
from gateway.operations import accept, model_of, upgrade, wire_of

FIRST_CLASS = {
    "/v1/chat/completions": "chat.completions",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
    "/v1/moderations": "moderations",
    "/v1/messages": "messages",
    "/v1/messages/count_tokens": "messages.count_tokens",
}


@pytest.mark.parametrize(("path", "name"), FIRST_CLASS.items())
def test_first_class_operations(path: str, name: str):
    operation = accept("POST", path)
    assert operation.name == name
    assert operation.reads_body
    assert "/v1" + operation.path == path
    assert operation.generates == (name in ("chat.completions", "completions", "responses", "messages"))
    assert operation.wire == ("anthropic" if "messages" in path else "openai") == wire_of(path)
    assert accept("POST", path) is operation
    lists = ("GET",) if path == "/v1/chat/completions" else ()
    for method in lists:
        assert accept(method, path).name == "passthrough"
    for method in {"GET", "PUT", "DELETE", "post", "OPTIONS"}.difference(lists):
        with pytest.raises(MethodNotAllowed, match="allowed: POST") as caught:
            accept(method, path)
        assert caught.value.headers == ((b"allow", b"POST"),)


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/models", ""),
        ("/v1/models/gpt-4o", "gpt-4o"),
        ("/v1/models/local/llama-3/8b", "local/llama-3/8b"),
        ("/v1/models/local%2Fllama", "local/llama"),
        ("/v1/models/ft:gpt-4o:org::id", "ft:gpt-4o:org::id"),
    ],
)
def test_models(path: str, model: str):
    assert accept("HEAD", path) is accept("GET", path), "RFC 9110 section 9.3.2: HEAD is identical to GET"
    operation = accept("GET", path)
    assert operation.name == "models"
    assert not operation.reads_body
    assert model_of(path) == model
    with pytest.raises(MethodNotAllowed, match="allowed: GET, HEAD"):
        accept("DELETE", path)


@pytest.mark.parametrize(
    ("method", "path", "wire"),
    [
        ("POST", "/v1/images/generations", "openai"),
        ("POST", "/v1/audio/transcriptions", "openai"),
        ("GET", "/v1/files/file-abc/content", "openai"),
        ("GET", "/v1/files/na%20me%C3%A9", "openai"),
        ("GET", "/v1/responses/resp_1", "openai"),
        ("DELETE", "/v1/responses/resp_1", "openai"),
        ("GET", "/v1/chat/completions/chatcmpl-1/messages", "openai"),
        ("POST", "/v1/messages/batches", "anthropic"),
        ("GET", "/v1/messages_extra", "openai"),
        ("GET", "/v1/.well-known", "openai"),
        ("GET", "/v1/a..b", "openai"),
        ("GET", "/v1/files/a b é", "openai"),
    ],
)
def test_everything_else_passes_through(method: str, path: str, wire: str):
    operation = accept(method, path)
    assert (operation.name, operation.wire, operation.path) == ("passthrough", wire, "")
    assert not operation.reads_body
    assert not operation.generates


SLY = """
/ /v1 /v1/ /v2/chat/completions /chat/completions v1/chat/completions /v1x/y //v1/files /v1/../admin
/v1/files/.. /v1/./files /v1/files/. /v1/a/../chat/completions /v1/files//x /v1/%2e%2e/admin /v1/x/%2E%2E/y
/v1/chat%2Fcompletions /v1/chat%2fcompletions /v1/chat%5ccompletions /v1/%63hat/completions
/v1/chat/completion%73 /v1/files/%252e%252e /v1/files/%00 /v1/files/a%0d%0a /v1/chat/completions/
/v1/chat/completions;v=1 /v1/Chat/Completions /v1/CHAT/completions /v1/models/ /v1/Models/x /v1/files?x
/v1/files#x /v1/files/% /v1/files/%g0 /v1/models/%0a
"""


@pytest.mark.parametrize(
    "path",
    [
        *SLY.split(),
        "",
        "/v1/chat\\completions",
        "/v1/files/\x00",
        "/v1/files/\u202ea",
        "/v1/files/\u2028",
        "/v1/models/a\nb",
    ],
)
def test_two_way_spellings_are_not_found(path: str):
    for method in ("POST", "GET"):
        with pytest.raises(NotFound) as caught:
            accept(method, path)
        assert caught.value.message.isprintable()
        assert caught.value.code == "path_not_found"


def test_a_long_path_is_not_echoed_whole():
    with pytest.raises(NotFound) as caught:
        accept("GET", "/v1//" + "é" * 10_000)
    assert len(caught.value.message) < 2000


alphabet = st.text(string.ascii_letters + "/%.;\\?2feE5cC0_-: é", max_size=30)


@given(st.sampled_from(["GET", "POST", "DELETE"]), alphabet.map(lambda tail: "/v1/" + tail) | st.text(max_size=30))
def test_whatever_passes_through_is_not_another_spelling_of_a_first_class_path(method: str, path: str):
    try:
        operation = accept(method, path)
    except Refusal:
        return
    if operation.name == "passthrough":
        read_again = unquote(unquote(path)).replace("\\", "/").split(";")[0].rstrip("/").lower()
        assert read_again not in FIRST_CLASS
        assert ".." not in read_again.split("/")
        assert "//" not in read_again
        assert read_again.startswith("/v1/")


@given(st.text(min_size=1, max_size=40).filter(str.isprintable))
def test_model_ids_survive_quoting(model: str):
    path = "/v1/models/" + quote(model, safe="")
    assert accept("GET", path).name == "models"
    assert model_of(path) == model


@pytest.mark.parametrize("asked", [b"websocket", b"WebSocket", b"h2c, websocket", b" websocket "])
@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1/realtime", "The Realtime API has no such form"),
        ("/v1/realtime/calls", "The Realtime API has no such form"),
        ("/v1/responses", "Send the request to /v1/responses as a POST."),
    ],
)
def test_a_websocket_is_refused_with_what_is_served(asked: bytes, path: str, hint: str):
    with pytest.raises(BadRequest, match="server-sent events") as caught:
        upgrade(path, asked)
    assert (caught.value.status, caught.value.code) == (400, "websocket_not_supported")
    assert hint in caught.value.message


@given(st.lists(st.sampled_from([b"h2c", b"TLS/1.0", b"websockets", b"x", b""])))
def test_any_other_upgrade_is_ignored(protocols: list[bytes]):
    """RFC 9110 section 7.8: "A server MAY ignore a received Upgrade header field"."""
    upgrade("/v1/models", b", ".join(protocols))


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PURGE", "get", ""])
def test_methods_that_could_show_a_credential_are_not_passed_through(method: str):
    """RFC 9110, 9.3.8: a server reflects a TRACE request, with the fields a proxy has added."""
    with pytest.raises(MethodNotAllowed, match="allowed: GET, HEAD"):
        accept(method, "/v1/files")


@pytest.mark.parametrize("path", ["/v1/v1/messages", "/v1/v1/chat/completions", "/v1/v1/files"])
def test_a_base_url_that_says_v1_where_the_sdk_does_too_is_explained(path: str):
    """No provider has such a path: passed through, it would be the provider's bare 404, and unread by guardrails."""
    with pytest.raises(NotFound, match="ends without it"):
        accept("POST", path)
