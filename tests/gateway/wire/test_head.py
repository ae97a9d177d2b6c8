"""The request head, looked up once."""

import pytest

from gateway.errors import BadRequest
from gateway.seams import Headers
from gateway.wire.head import Head


def test_what_the_client_tells():
    head = Head(
        [
            (b"authorization", b"Bearer key "),
            (b"x-request-id", b"abc"),
            (b"content-length", b"12"),
            (b"content-type", b"application/json"),
            (b"x-tollway-tags", b"a=b"),
        ]
    )
    assert (head.key, head.request_id, head.content_length) == (b"key", "abc", 12)
    assert (head.content_type, head.tags()) == (b"application/json", {"a": "b"})


def test_what_it_does_not_tell():
    head = Head([])
    assert (head.key, head.request_id, head.content_length, head.content_type, head.tags()) == (
        None,
        None,
        None,
        b"",
        None,
    )


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([(b"x-api-key", b"k")], b"k"),
        ([(b"authorization", b"bearer k")], b"k"),
        ([(b"authorization", b"Bearer ")], None),
        ([(b"authorization", b"Basic x"), (b"x-api-key", b"k")], None),
    ],
)
def test_key(headers: Headers, key: bytes | None):
    assert Head(headers).key == key


def test_bad_lengths_and_ids_are_none():
    head = Head([(b"content-length", b"-1"), (b"x-request-id", b"\xff")])
    assert (head.content_length, head.request_id) == (None, None)


def test_malformed_tags_are_refused():
    with pytest.raises(BadRequest, match="x-tollway-tags"):
        Head([(b"x-tollway-tags", b"a")]).tags()
