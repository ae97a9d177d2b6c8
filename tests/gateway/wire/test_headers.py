"""Headers: what crosses the gateway in each direction, and what clients tell it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.seams import Headers
from gateway.wire.headers import (
    bearer,
    content_length,
    header,
    parse_tags,
    request_headers,
    request_id,
    response_headers,
    sound,
)

SECRET: Headers = [
    (b"authorization", b"Bearer tw-secret"),
    (b"x-api-key", b"tw-secret"),
    (b"cookie", b"a=tw-secret"),
    (b"proxy-authorization", b"Basic tw-secret"),
]
PRIVATE: Headers = [
    (b"host", b"gateway"),
    (b"forwarded", b"for=10.0.0.1"),
    (b"x-forwarded-for", b"10.0.0.1"),
    (b"x-real-ip", b"10.0.0.1"),
    (b"openai-organization", b"org-client"),
    (b"openai-project", b"proj-client"),
    (b"content-length", b"2"),
    (b"transfer-encoding", b"chunked"),
    (b"te", b"trailers"),
    (b"upgrade", b"h2c"),
    (b"keep-alive", b"timeout=5"),
    (b"expect", b"100-continue"),
    (b"x-tollway-tags", b"a=b"),
    (b"x-request-id", b"abc"),
    (b"x-unknown", b"1"),
]
GOES: Headers = [
    (b"content-type", b"application/json"),
    (b"accept", b"*/*"),
    (b"user-agent", b"OpenAI/Python"),
    (b"openai-beta", b"assistants=v2"),
    (b"anthropic-version", b"2023-06-01"),
    (b"anthropic-beta", b"a"),
    (b"anthropic-beta", b"b"),
    (b"idempotency-key", b"k"),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (b"tracestate", b"x=y"),
    (b"x-stainless-lang", b"python"),
    (b"x-stainless-retry-count", b"0"),
]


def test_request_allow_list():
    mixed = [pair for three in zip(SECRET * 3, GOES, PRIVATE, strict=False) for pair in three] + PRIVATE
    assert request_headers(mixed, readable=True) == [*GOES, (b"accept-encoding", b"identity")]


def test_encodings_go_along_only_when_nobody_must_read():
    headers: Headers = [(b"accept-encoding", b"br"), (b"content-encoding", b"gzip"), (b"content-type", b"x/y")]
    assert request_headers(headers, readable=False) == headers
    assert request_headers(headers, readable=True) == [(b"content-type", b"x/y"), (b"accept-encoding", b"identity")]


def test_extra_replaces_the_clients_fields():
    headers: Headers = [(b"content-type", b"a/b"), (b"anthropic-version", b"old")]
    extra: Headers = [(b"x-api-key", b"provider"), (b"anthropic-version", b"new")]
    assert request_headers(headers, readable=False, extra=extra) == [(b"content-type", b"a/b"), *extra]


@pytest.mark.parametrize("value", [b"traceparent", b"close, TraceParent", b"keep-alive ,traceparent, x"])
def test_fields_nominated_by_connection_stay(value: bytes):
    headers: Headers = [(b"traceparent", b"x"), (b"connection", value), (b"accept", b"a")]
    assert request_headers(headers, readable=False) == [(b"accept", b"a")]
    answer: Headers = [(b"connection", b"etag"), (b"etag", b"x"), (b"content-type", b"a/b"), (b"connection", b"close")]
    assert response_headers(answer) == [(b"content-type", b"a/b")]


def test_response_allow_list():
    goes: Headers = [
        (b"content-type", b"text/event-stream"),
        (b"retry-after", b"3"),
        (b"openai-processing-ms", b"12"),
        (b"openai-version", b"2020-10-01"),
        (b"content-encoding", b"gzip"),
        (b"x-should-retry", b"false"),
    ]
    stays: Headers = [
        (b"set-cookie", b"a=b"),
        (b"server", b"cloudflare"),
        (b"date", b"now"),
        (b"connection", b"keep-alive"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"5"),
        (b"x-ratelimit-remaining-requests", b"1"),
        (b"anthropic-ratelimit-requests-limit", b"1"),
        (b"openai-organization", b"org"),
        (b"anthropic-organization-id", b"org"),
        (b"x-request-id", b"req"),
        (b"x-tollway-cost-usd", b"0"),
        (b"location", b"http://internal/"),
        (b"strict-transport-security", b"x"),
        (b"alt-svc", b"h3"),
    ]
    assert response_headers([*stays[:8], *goes, *stays]) == goes


names = st.sampled_from([name for name, _ in [*SECRET, *PRIVATE, *GOES]] + [b"set-cookie", b"connection"]) | st.binary(
    max_size=20
).map(bytes.lower)
any_headers = st.lists(st.tuples(names, st.binary(max_size=20)), max_size=30)


@given(any_headers, st.booleans())
def test_filters_only_drop_and_never_let_a_secret_by(headers: Headers, readable: bool):
    for out in (request_headers(headers, readable=readable), response_headers(headers)):
        for pair in out:
            assert pair in headers or pair == (b"accept-encoding", b"identity")
            assert pair[0] not in {name for name, _ in [*SECRET, *PRIVATE]} | {b"set-cookie", b"connection"}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"abc-123", "abc-123"),
        (b"a b", "a b"),
        (b"x" * 128, "x" * 128),
        (b"x" * 129, None),
        (b"", None),
        (b" ", None),
        (b"a\n", None),
        (b"a\x00", None),
        ("é".encode(), None),
    ],
)
def test_request_id(value: bytes, kept: str | None):
    assert request_id([(b"a", b"b"), (b"x-request-id", value)]) == kept


def test_no_request_id():
    assert request_id([]) is None


@given(st.binary(max_size=140))
def test_a_request_id_is_printable_ascii_up_to_128(value: bytes):
    taken = request_id([(b"x-request-id", value)])
    assert taken is None or (taken.isascii() and taken.isprintable() and 1 <= len(taken) <= 128)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([(b"authorization", b"Bearer k")], b"k"),
        ([(b"authorization", b"bEARER   k ")], b"k"),
        ([(b"x-api-key", b"k")], b"k"),
        ([(b"x-api-key", b"a"), (b"authorization", b"Bearer b")], b"b"),
        ([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")], b"a"),
        ([(b"authorization", b"Basic k"), (b"x-api-key", b"a")], None),
        ([(b"authorization", b"Bearer ")], None),
        ([(b"authorization", b"Bearerk")], None),
        ([(b"x-api-key", b" ")], None),
        ([], None),
    ],
)
def test_bearer(headers: Headers, key: bytes | None):
    assert bearer(headers) == key


def test_tags():
    assert parse_tags(b"feature=search, env = prod ,url=a=b") == {"feature": "search", "env": "prod", "url": "a=b"}
    assert parse_tags(b" ") == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"a", "tag 1 has no '='"),
        (b"a=1,,b=2", "tag 2 has no '='"),
        (b"a=1,=2", "the key of tag 2"),
        (b"a b=1", "the key of tag 1"),
        (b"k" * 65 + b"=1", "1 to 64"),
        (b"a=", "the value of tag 'a'"),
        (b"a=" + b"v" * 129, "1 to 128"),
        ("a=é".encode(), "printable ASCII"),
        (b"a=1,a=2", "tag 'a' is given twice"),
        (b",".join(b"k%d=1" % i for i in range(17)), "17 tags; at most 16"),
    ],
)
def test_wrong_tags_say_which_and_what_is_allowed(value: bytes, message: str):
    with pytest.raises(BadRequest, match=message) as caught:
        parse_tags(value)
    assert caught.value.param == "x-tollway-tags"


@given(st.binary(max_size=200))
def test_tags_of_any_bytes_are_bounded_or_refused(value: bytes):
    try:
        tags = parse_tags(value)
    except BadRequest:
        return
    assert len(tags) <= 16
    assert all(key.isascii() and tag.isascii() and len(key) <= 64 and len(tag) <= 128 for key, tag in tags.items())


@pytest.mark.parametrize(
    ("values", "length"),
    [([], None), ([b"5"], 5), ([b"5", b"5"], 5), ([b"5", b"6"], None), ([b"-1"], None), ([b"1 "], None)],
)
def test_content_length(values: list[bytes], length: int | None):
    assert content_length([(b"content-length", value) for value in values]) == length


def test_header_gives_the_first():
    assert header([(b"a", b"1"), (b"a", b"2")], b"a") == b"1"
    assert header([], b"a") is None


@pytest.mark.parametrize(
    "injected",
    [
        b"x: a\r\rb\r\n",
        b"x: a\nb: c\r\n",
        b"x: a\rb: c\r\n",
        b"x: a\x00\r\n",
        b"x: a\n",
        b"x: a\n\r\n",
        b"\n",
        b"x: a\r",
    ],
)
def test_a_field_that_holds_a_line_end_is_not_sound(injected: bytes):
    """RFC 9110 section 5.5: CR, LF and NUL in field values are "invalid and dangerous"."""
    with pytest.raises(ValueError, match="line end or NUL"):
        sound(b"content-type: a\r\n" + injected)


@given(st.lists(st.tuples(st.sampled_from([b"x-a", b"via"]), st.binary(max_size=4)), max_size=3))
def test_sound_fields_have_as_many_lines_as_there_are_fields(fields: Headers):
    """Whatever bytes values hold. (A CRLF within a value cannot be told from the end of a field any more; the parsers
    values come from let none through.)"""
    block = b"".join(b"%b: %b\r\n" % field for field in fields)
    try:
        head = sound(block)
    except ValueError:
        assert any(set(value) & set(b"\r\n\0") for _, value in fields)
        return
    assert head == block
    if not any(b"\r\n" in value for _, value in fields):
        assert len(head.split(b"\r\n")) == 1 + len(fields)
    assert b"\0" not in head


def test_an_accept_encoding_of_the_gateway_s_own_stands_alone() -> None:
    """RFC 9110, 5.3: fields of one name are a list, so `gzip` beside `identity` would still ask for gzip."""
    sent = request_headers([(b"accept-encoding", b"gzip")], readable=False, extra=[(b"accept-encoding", b"identity")])
    assert sent == [(b"accept-encoding", b"identity")]


def test_anthropic_s_own_request_id_reaches_its_client() -> None:
    assert response_headers([(b"request-id", b"req_1"), (b"x-request-id", b"1")]) == [(b"request-id", b"req_1")]
