"""Where the texts of an answer may stand."""

import pytest

from gateway.wire.answers import holds_text, texts_from


@pytest.mark.parametrize("container", ["choices", "content"])
def test_what_is_not_known_may_be_text(container: str):
    for name in (container, "citations", "search_results", "error", "new"):
        assert holds_text(container, name)
    for name in ("id", "model", "usage", "created"):
        assert not holds_text(container, name)


def test_a_response_repeats_what_the_client_sent():
    names = ("output", "output_text", "error", "instructions", "metadata")
    assert [holds_text("output", name) for name in names] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("operation", "body", "name"),
    [
        ("chat.completions", b'{"id":"a","object":"b","created":1,"model":"m:\\"x","choices":[]}', b'"choices"'),
        ("chat.completions", b'{"id":"a","citations":["x"],"choices":[]}', b""),
        ("chat.completions", b'{ "citations" : ["x"], "choices":[]}', b""),
        ("chat.completions", b'{"choices":[],"citations":["x"]}', b'"choices"'),
        ("chat.completions", b'{"id":"a","created":1,"service_tier":null,"choices":[]}', b'"choices"'),
        ("chat.completions", b'{"id":"a","content":"x","choices":[]}', b""),
        ("chat.completions", b'{"id":["x"],"choices":[]}', b'"choices"'),
        ("messages", b'{"id":"a","choices":["x"],"content":[]}', b""),
        ("responses", b'{"instructions":"a","error":null,"output":[]}', b'"output"'),
        ("responses", b'{"output_text":"a","output":[]}', b""),
        ("responses", b'{"error":{"message":"a"},"output":[]}', b""),
        ("messages", b'{"id":"a","type":"message","role":"assistant","content":[]}', b'"content"'),
        ("embeddings", b"{}", b""),
    ],
)
def test_only_what_holds_no_text_is_passed_over(operation: str, body: bytes, name: bytes):
    assert texts_from(operation, body) == name
