"""Is a kept connection dead, and if it died under a request: did the peer ever read that request?

The retry rule (one retry, on a new connection), and why it is safe
-------------------------------------------------------------------
Servers close idle connections whenever they like,
so a request may be written into a connection whose close is already on its way. RFC 9112 section 9.3.1 lets a client
repeat such a request by itself only if the method is idempotent (RFC 9110 section 9.2.2) or if it has "some means to
detect that the original request was never applied". Nearly everything a gateway sends is a POST that costs money, so
"no response byte came" is not enough: the provider may have worked on it, then crashed. (nginx and Go stop there:
neither repeats a POST once its bytes are written.) We look for the second proof, in order:

1. Before use. A connection whose EOF the event loop has seen is gone already. One that rested longer than
   `probe_after` is peeked at (`MSG_PEEK`, about 1 µs), which also finds an EOF that the loop has not read yet.
   Nothing was sent: take another.
2. After an orderly EOF without a single response byte, on a connection that had served before, with a bytes body:
   - an idempotent method is repeated;
   - any other method is repeated only if the kernel says that the peer's TCP acknowledged not one byte since before
     the request (`TCP_INFO.tcpi_bytes_acked` equal to its value at the peek). A FIN carries the peer's
     acknowledgement number, so a peer that had our bytes in its receive buffer when it closed would have acknowledged
     them with it; one that had closed before can only answer them with a reset. Either way no application has read
     the request.
   - a reset without a FIN proves nothing (a reset's acknowledgement is not processed), nor does a connection used
     again so soon that it was not peeked at, nor a kernel that does not count: these end in
     `Disconnected(sent=True)`, and whether another target is tried is routing policy, not the transport's.

An `idempotency-key` header is no proof: not every provider honours it.
"""

import socket
import struct

_ACKED_AT = 120
"""Offset of `tcpi_bytes_acked`, a native u64, in Linux's `struct tcp_info` (include/uapi/linux/tcp.h, since 4.1)."""
_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"))


class Socket:
    """A second handle on a transport's descriptor, for the two questions transports do not answer. Never closes it."""

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno

    def has_news(self) -> bool:
        """True when the peer closed, reset, or sent something unasked: whichever it is, the connection is of no use."""
        handle = socket.socket(fileno=self._fileno)
        try:
            handle.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            handle.detach()
        return True

    def acknowledged(self) -> int:
        """Bytes the peer's TCP has acknowledged on this connection; 0 when the system does not say."""
        if not hasattr(socket, "TCP_INFO") or self._fileno < 0:
            return 0
        handle = socket.socket(fileno=self._fileno)
        try:
            info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED_AT + 8)
        except OSError:
            return 0
        finally:
            handle.detach()
        return struct.unpack_from("=Q", info, _ACKED_AT)[0] if len(info) >= _ACKED_AT + 8 else 0


def never_read(before: int, now: int) -> bool:
    """Whether equal acknowledgement counts prove that no byte of a request was received. Zero means the system keeps
    no count, and proves nothing: a connection that has served a request has acknowledged bytes."""
    return before > 0 and before == now


def may_repeat(method: str, *, bytes_body: bool, unanswered: bool, unread: bool) -> bool:
    """Whether a request that ended in an EOF may be sent once more, on a new connection.

    `unanswered`: the connection had served before, and not one response byte came. `unread`: `never_read` proved it.
    """
    return bytes_body and unanswered and (unread or method in _IDEMPOTENT)
