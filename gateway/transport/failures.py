"""How a response failed, in words: what the parser, the socket and TLS say, without a byte of the peer's."""

from httptools import HttpParserUpgrade

from gateway.errors import Disconnected, TransportError
from gateway.seams import Headers
from gateway.transport import tls
from gateway.transport.response import PooledResponse


class Fault(Exception):
    """Raised inside parser callbacks to stop the parser with our own words."""


def head_size(headers: Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


def ends_with_connection(response: PooledResponse) -> bool:
    """RFC 9112 section 6.3, rule 8: a response without length is as long as its connection."""
    return all(name not in (b"content-length", b"transfer-encoding") for name, _ in response.headers)


def cut_off(response: PooledResponse, error: BaseException | None = None) -> TransportError:
    how = "closed" if error is None else "reset"
    if isinstance(error, OSError) and (words := tls.failure(error) or error.strerror):
        how = f"broken ({words.lower()})"
    when = "in the middle of the response body" if response.head_done else "before the response head was complete"
    return Disconnected(f"the connection was {how} {when}", sent=True)


def words(error: Exception) -> str:
    """The parser's reason, or ours when a callback raised. Both are fixed texts: nothing of the peer's bytes is
    repeated."""
    if isinstance(error.__context__, Fault):
        return str(error.__context__)
    if isinstance(error, HttpParserUpgrade):
        return "peer switched protocols unasked (101)"
    return f"peer broke HTTP/1.1: {error}"
