"""What is no answer of a provider's API, whatever its status says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.unserved import is_error, is_page, unserved

PAGE = b"\n<!DOCTYPE html><html>Sign in</html>"
BLANKS = st.text(" \t\r\n", max_size=8).map(str.encode)
JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(st.dictionaries(st.text(), JSON) | st.lists(JSON), BLANKS, st.sampled_from([b"", b"\xef\xbb\xbf"]), st.binary())
def test_json_is_an_answer(value: object, blanks: bytes, bom: bytes, kind: bytes) -> None:
    """RFC 8259 section 2: "ws = *( %x20 / %x09 / %x0A / %x0D )" may stand before a value."""
    assert unserved(bom + blanks + json.dumps(value).encode(), kind, b"") == ""


@given(st.binary(), st.binary(), st.sampled_from([b"", b"identity", b"br"]))
def test_any_body_is_told_in_words_of_ours(body: bytes, kind: bytes, coding: bytes) -> None:
    """What came is never repeated, and nothing raises."""
    assert unserved(body, kind, coding).isascii()
    assert isinstance(is_error(body), bool)


@pytest.mark.parametrize(
    ("body", "kind", "coding", "told"),
    [
        (PAGE, b"text/html; charset=utf-8", b"", "a body of type text/html that is no JSON"),
        (PAGE, b"application/json", b"", "a body of type application/json that is no JSON"),
        (PAGE, b"secret/kind", b"", "a body that is no JSON"),
        (b"upstream connect error", b"text/plain", b"identity", "a body of type text/plain that is no JSON"),
        (b" \n", b"application/json", b"", "an empty body"),
        (b"", b"", b"", "an empty body"),
        (b"\x1b\x01", b"text/html", b"br", "a compressed body of type text/html that is no JSON"),
        (b"\x1b\x01", b"application/json", b"br", ""),
        (b"data: {}\n\n", b"text/event-stream", b"", ""),
        (b"data: {}\n\n", b"text/plain", b"", ""),
        (b": ping\n\ndata: {}\n\n", b"application/json", b"", ""),
        (b"\xef\xbb\xbf\nevent:message\ndata: {}\n\n", b"", b"", ""),
        (b"database is down", b"text/plain", b"", "a body of type text/plain that is no JSON"),
        (b'{"id":', b"text/html", b"", ""),
    ],
)
def test_told(body: bytes, kind: bytes, coding: bytes, told: str) -> None:
    assert unserved(body, kind, coding) == told


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"code":502,"message":"Bad"},"user_id":"u"}',
        b' { "error" : "model failed" }',
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    ],
)
def test_errors(body: bytes) -> None:
    assert is_error(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":null,"choices":[{"index":0}]}',
        b'{"error":{"code":1},"choices":[{"index":0}]}',
        b'{"error":{"code":1},"usage":{"prompt_tokens":1}}',
        b'{"error":null}',
        b'{"error":',
        b'{"type":"message","content":[{"type":"text","text":"error"}]}',
        b'{"id":"resp","error":{"code":"x"},"output":[]}',
        b"",
    ],
)
def test_answers(body: bytes) -> None:
    assert not is_error(body)


def test_pages() -> None:
    assert is_page(b"Text/HTML;charset=utf-8")
    assert is_page(b"application/xhtml+xml")
    assert not is_page(b"application/json")
