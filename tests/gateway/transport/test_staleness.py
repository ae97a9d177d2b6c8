"""What the kernel can prove about a request that got no answer. Real sockets: the proof is TCP's, not ours."""

import socket
import struct
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transport.staleness import Socket, may_repeat, never_read

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A client and a server socket that have exchanged something before."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    listener.close()
    client.sendall(b"first")
    server.recv(100)
    server.sendall(b"answer")
    client.recv(100)
    client.settimeout(60)
    yield client, server
    client.close()
    server.close()


def until_eof(client: socket.socket) -> str:
    try:
        return "data" if client.recv(1) else "eof"
    except ConnectionResetError:
        return "reset"


def test_closed_before_the_request_came(pair: Pair) -> None:
    """The peer had closed already: its kernel answers our bytes with a reset and acknowledges none of them."""
    client, server = pair
    before = Socket(client.fileno()).acknowledged()
    server.close()
    client.sendall(b"POST / HTTP/1.1\r\n\r\n")
    assert until_eof(client) == "eof"
    # Only Linux counts for us; elsewhere nothing is proven, and nothing is repeated.
    assert never_read(before, Socket(client.fileno()).acknowledged()) == (sys.platform == "linux")


def test_read_and_closed(pair: Pair) -> None:
    """The peer read the request and closed without a word."""
    client, server = pair
    before = Socket(client.fileno()).acknowledged()
    client.sendall(b"POST / HTTP/1.1\r\n\r\n")
    assert server.recv(100)
    server.close()
    assert until_eof(client) == "eof"
    assert not never_read(before, Socket(client.fileno()).acknowledged())


def test_taken_by_the_kernel_and_shut_down(pair: Pair) -> None:
    """Nobody called `recv`, but the bytes were in the peer's buffer: that proves nothing."""
    client, server = pair
    before = Socket(client.fileno()).acknowledged()
    client.sendall(b"POST / HTTP/1.1\r\n\r\n")
    server.shutdown(socket.SHUT_WR)
    assert until_eof(client) == "eof"
    assert not never_read(before, Socket(client.fileno()).acknowledged())


def test_news() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    for event in ("nothing", "data", "eof", "reset"):
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        assert not Socket(client.fileno()).has_news()
        if event == "data":
            server.sendall(b"x")
        elif event == "eof":
            server.close()
        elif event == "reset":
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            server.close()
        assert Socket(client.fileno()).has_news() == (event != "nothing")
        assert client.fileno() > 0
        client.getsockname()  # raises if the descriptor had been closed with the look
        client.close()
        server.close()
    listener.close()


def test_a_closed_descriptor_proves_nothing() -> None:
    assert Socket(-1).acknowledged() == 0
    assert not never_read(0, 0)


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_only_equal_counts_prove(before: int, now: int) -> None:
    assert never_read(before, now) == (before == now and before > 0)


@given(st.sampled_from(["GET", "POST", "PATCH", "PUT"]), st.booleans(), st.booleans(), st.booleans())
def test_rule(method: str, bytes_body: bool, unanswered: bool, unread: bool) -> None:
    """RFC 9110 section 9.2.2: "A client SHOULD NOT automatically retry a request with a non-idempotent method unless it
    has some means to know that the request semantics are actually idempotent [...] or some means to detect that the
    original request was never applied."
    """
    allowed = may_repeat(method, bytes_body=bytes_body, unanswered=unanswered, unread=unread)
    if allowed:
        assert bytes_body
        assert unanswered
        assert unread or method in ("GET", "PUT")
    else:
        assert not (bytes_body and unanswered and unread)
