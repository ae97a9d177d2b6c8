"""Embeddings and moderations."""

import json

import pytest

from gateway.dialects.plain import MODERATION_MODEL, EmbeddingsDialect, ModerationsDialect
from gateway.errors import BadRequest
from gateway.facts import Reading, Usage
from gateway.operations import accept

EMBEDDINGS = accept("POST", "/v1/embeddings")
MODERATIONS = accept("POST", "/v1/moderations")


def test_a_model_is_needed_for_embeddings():
    with pytest.raises(BadRequest, match="provide a model"):
        EmbeddingsDialect().read(EMBEDDINGS, b'{"input":"a"}')


@pytest.mark.parametrize("body", [b'{"input":"a"}', b'{"model":null,"input":"a"}', b"{}"])
def test_moderations_have_a_default_model_that_is_sent_when_another_serves(body: bytes):
    dialect = ModerationsDialect()
    reading = dialect.read(MODERATIONS, body)
    assert reading == Reading(model=MODERATION_MODEL)
    assert dialect.rewrite(reading, body, MODERATION_MODEL) is body
    assert json.loads(dialect.rewrite(reading, body, "other")) == {**json.loads(body), "model": "other"}


def test_usage():
    body = b'{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}'
    assert EmbeddingsDialect().usage(body) == (Usage(input_tokens=8), None)
    assert ModerationsDialect().usage(b'{"results":[]}') == (None, None)


def test_only_strings_are_text():
    dialect = EmbeddingsDialect()
    texts = [
        (segment.path, segment.role, segment.text)
        for body in ({"input": "a"}, {"input": ["a", "b"]}, {"input": [1, 2]}, {"input": [[1], [2]]})
        for segment in dialect.prompt_segments(json.dumps({"model": "m", **body}).encode())
    ]
    assert texts == [("input", "input", "a"), ("input[0]", "input", "a"), ("input[1]", "input", "b")]
    assert dialect.answer_segments(b'{"data":[{"embedding":"AAAA"}]}') == []


def test_moderation_parts():
    body = {
        "input": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}}]
    }
    (segment,) = ModerationsDialect().prompt_segments(json.dumps(body).encode())
    assert (segment.path, segment.text) == ("input[0].text", "a")


def test_a_stream_is_passed_on():
    stream = EmbeddingsDialect().stream(Reading(model="m"))
    assert stream.event(b"", b"{}")
    assert not stream.finished
    assert stream.event(b"", b"[DONE]")
    assert stream.finished
    assert stream.text() == ""
