"""Request heads: what is written is exactly one request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConnectFailed, ProtocolBroken
from gateway.seams import Origin, UpstreamRequest
from gateway.transport.head import JOIN_BELOW, BodyFraming, Heads, host_of

ORIGIN = Origin("http", "provider.test", 8080)
TOKENS = st.text("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=20).map(str.encode)
OURS = {b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"proxy-connection"}
OURS |= {b"upgrade", b"te", b"trailer"}


async def nothing():
    return
    yield b""


def request(**fields: object) -> UpstreamRequest:
    base: dict[str, object] = {"origin": ORIGIN, "method": "POST", "target": b"/v1/x", "headers": []}
    return UpstreamRequest(**{**base, **fields})


@pytest.mark.parametrize(
    ("scheme", "host", "port", "expected"),
    [
        ("http", "a.test", 80, b"a.test"),
        ("https", "a.test", 443, b"a.test"),
        ("https", "a.test", 80, b"a.test:80"),
        ("http", "a.test", 8080, b"a.test:8080"),
        ("http", "::1", 80, b"[::1]"),
        ("https", "2001:db8::1", 8443, b"[2001:db8::1]:8443"),
        ("https", "bücher.test", 443, b"xn--bcher-kva.test"),
    ],
)
def test_host(scheme: str, host: str, port: int, expected: bytes) -> None:
    assert host_of(Origin(scheme, host, port)) == expected


@pytest.mark.parametrize("host", ["a b", "a\r\nx-evil: 1", "", "ü" * 80, "ü..x"])
def test_host_that_is_none(host: str) -> None:
    with pytest.raises(ConnectFailed):
        host_of(Origin("http", host, 80))


def test_small_requests_are_one_write() -> None:
    assert len(Heads().encode(request(body=b"x" * JOIN_BELOW), b"h")) == 1
    head, body = Heads().encode(request(body=b"x" * (JOIN_BELOW + 1)), b"h")
    assert head.endswith(b"\r\n\r\n")
    assert len(body) == JOIN_BELOW + 1


def test_bytes() -> None:
    encoded = Heads().encode(request(headers=[(b"x-b", b"2"), (b"x-a", b"")], body=b"hi"), b"h:1")
    assert encoded == [b"POST /v1/x HTTP/1.1\r\nhost: h:1\r\nx-b: 2\r\nx-a: \r\ncontent-length: 2\r\n\r\nhi"]
    assert Heads().encode(request(method="GET"), b"h") == [b"GET /v1/x HTTP/1.1\r\nhost: h\r\n\r\n"]
    streamed = Heads().encode(request(body=nothing()), b"h")
    assert streamed == [b"POST /v1/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"]
    declared = Heads().encode(request(body=nothing(), content_length=7), b"h")
    assert declared == [b"POST /v1/x HTTP/1.1\r\nhost: h\r\ncontent-length: 7\r\n\r\n"]
    with pytest.raises(ProtocolBroken):
        Heads().encode(request(body=nothing(), content_length=-7), b"h")


@given(
    st.lists(st.tuples(TOKENS, st.binary(max_size=20)), max_size=8),
    st.binary(min_size=1, max_size=30),
    st.binary(max_size=50),
)
def test_one_request_or_none(headers: list[tuple[bytes, bytes]], target: bytes, body: bytes) -> None:
    """RFC 9110 section 5.5: "Field values containing CR, LF, or NUL characters are invalid and dangerous". Whatever
    comes in, either it is refused, or what goes out splits into exactly the lines meant."""
    heads = Heads()
    for _ in range(2):  # the second time the names are remembered
        try:
            (out,) = heads.encode(request(headers=headers, target=target, body=body), b"h")
        except ProtocolBroken:
            dangerous = any(byte in value for _, value in headers for byte in b"\r\n\0")
            assert dangerous or not all(33 <= byte <= 126 for byte in target) or any(n in OURS for n, _ in headers)
            continue
        block, _, rest = out.partition(b"\r\n\r\n")
        assert rest == body
        line, host, *fields, length = block.split(b"\r\n")
        assert line == b"POST " + target + b" HTTP/1.1"
        assert host == b"host: h"
        assert length == b"content-length: %d" % len(body)
        assert fields == [name + b": " + value for name, value in headers]
        assert b"\n" not in block.replace(b"\r\n", b"")


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_chunked_body(chunks: list[bytes]) -> None:
    """RFC 9112 section 7.1: a zero-size chunk is the last one, so an empty piece must not be written as a chunk."""
    framing = BodyFraming(None)
    wire = b"".join([framing.chunk(chunk) for chunk in chunks] + [framing.end()])
    decoded = b""
    while True:
        size, _, wire = wire.partition(b"\r\n")
        if not int(size, 16):
            break
        decoded, wire = decoded + wire[: int(size, 16)], wire[int(size, 16) + 2 :]
    assert decoded == b"".join(chunks)
    assert wire == b"\r\n"


@given(st.lists(st.binary(max_size=10), max_size=8), st.integers(0, 60))
def test_declared_body(chunks: list[bytes], declared: int) -> None:
    """RFC 9112 section 6.2: never more bytes than the length announced, never an end before it."""
    framing = BodyFraming(declared)
    written = b""
    try:
        for chunk in chunks:
            written += framing.chunk(chunk)
        written += framing.end()
    except ProtocolBroken:
        assert len(written) <= declared
        assert len(b"".join(chunks)) != declared
    else:
        assert written == b"".join(chunks)
        assert len(written) == declared


def test_memory_of_names_is_bounded() -> None:
    heads = Heads()
    for number in range(3000):
        heads.encode(request(headers=[(b"x-%d" % number, b"1")], method=f"M{number}"), b"h")
    assert len(heads._names) <= 1024
    assert len(heads._methods) <= 1024
