"""The request head, looked up once."""

import pytest

from gateway.errors import BadRequest
from gateway.facts import Caller
from gateway.seams import Headers
from gateway.wire.head import Head


def test_what_the_client_tells():
    head = Head(
        [
            (b"authorization", b"Bearer key "),
            (b"x-request-id", b"abc"),
            (b"content-type", b"application/json"),
            (b"x-tollway-tags", b"a=b"),
        ]
    )
    assert (head.key, head.request_id) == (b"key", "abc")
    assert (head.content_type, head.tags()) == (b"application/json", {"a": "b"})


def test_what_it_does_not_tell():
    head = Head([])
    assert (head.key, head.request_id, head.content_type, head.tags()) == (None, None, b"", None)


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


def test_a_bad_id_is_none():
    assert Head([(b"x-request-id", b"\xff")]).request_id is None


def test_another_configuration_forgets_what_was_made_under_the_last():
    head, first, second = Head([(b"accept", b"*/*")]), object(), object()
    head.bind(first)
    head.caller = Caller(key_id="k", team="t")
    head.openings["p"] = (first, b"/", b"x")
    head.bind(first)
    assert (head.caller is not None, len(head.openings)) == (True, 1)
    head.bind(second)
    assert (head.caller, head.openings) == (None, {})


def test_what_goes_to_a_provider_leaves_the_credential_and_the_id():
    head = Head([(b"authorization", b"Bearer k"), (b"x-request-id", b"a"), (b"accept", b"*/*")])
    assert head.forward == [(b"accept", b"*/*"), (b"accept-encoding", b"identity")]


def test_malformed_tags_are_refused():
    with pytest.raises(BadRequest, match="x-tollway-tags"):
        Head([(b"x-tollway-tags", b"a")]).tags()


PARENT = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
JSON = (b"content-type", b"application/json")
IDENTITY = (b"accept-encoding", b"identity")


def test_the_callers_span():
    head = Head([PARENT, JSON, (b"tracestate", b"a=1 , b=2")])
    assert head.parent is not None
    assert head.parent is head.parent
    assert (head.parent.span_id, head.parent.state) == ("b7ad6b7169203331", "a=1,b=2")
    assert head.untraced == [JSON, (b"tracestate", b"a=1,b=2")]
    assert head.forward_traced == [JSON, (b"tracestate", b"a=1,b=2"), IDENTITY]
    assert head.forward == [PARENT, JSON, (b"tracestate", b"a=1 , b=2"), IDENTITY]


@pytest.mark.parametrize("headers", [[PARENT, PARENT], [(b"traceparent", b"no")], [(b"tracestate", b"a=1")]])
def test_a_span_that_is_not_valid_goes_nowhere(headers: Headers):
    head = Head([*headers, JSON, (b"tracestate", b"a=1")])
    assert head.parent is None
    assert head.untraced == [JSON]
    assert head.forward_traced == [JSON, IDENTITY]


def test_without_a_span_nothing_is_copied():
    head = Head([JSON])
    assert head.parent is None
    assert head.untraced is head.headers
