"""TLS contexts: verification always on, one context per options and file state."""

import os
import ssl

from gateway.errors import ConnectFailed
from gateway.seams import Tls

SYSTEM = Tls()
_NO_BYTES = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLSyscallError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""Ends of a connection, or waits for it, that TLS has no part in."""


class Contexts:
    """Builds and keeps `ssl.SSLContext`s.

    A context costs 10 to 30 ms (it reads a trust store), so it is kept; the files' modification times are part of its
    key, so that a rotated certificate serves the next new connection without a restart.
    """

    def __init__(self) -> None:
        self._kept: dict[Tls, tuple[tuple[int, ...], ssl.SSLContext]] = {}

    def get(self, tls: Tls | None) -> ssl.SSLContext:
        """Blocking. Raises `ConnectFailed` naming the option that cannot be used, never a file's content."""
        tls = tls or SYSTEM
        state = _file_state(tls)
        kept = self._kept.get(tls)
        if kept is not None and kept[0] == state:
            return kept[1]
        context = build(tls)
        self._kept[tls] = (state, context)
        return context

    def has(self, tls: Tls | None) -> bool:
        """Whether `get` would return at once."""
        tls = tls or SYSTEM
        kept = self._kept.get(tls)
        return kept is not None and kept[0] == _file_state(tls)


def _file_state(tls: Tls) -> tuple[int, ...]:
    return tuple(_modified(path) for path in (tls.ca_file, tls.cert_file, tls.key_file) if path is not None)


def _modified(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1


def build(tls: Tls) -> ssl.SSLContext:
    """A fresh context. Blocking. Raises as `Contexts.get`."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConnectFailed(f"TLS: cannot use ca_file: {_reason(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if tls.cert_file is not None:
        try:
            # An encrypted key must fail here, not ask for its pass phrase on the terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")
        except (OSError, ssl.SSLError) as error:
            raise ConnectFailed(f"TLS: cannot use cert_file or key_file: {_reason(error)}") from None
    return context


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        # Not every SSLError has a reason, whatever its stubs say.
        reason: str | None = getattr(error, "reason", None)
        return (reason or "not valid PEM or not TLS").lower().replace("_", " ")
    return error.strerror or type(error).__name__


def failure(error: BaseException) -> str | None:
    """What went wrong in a TLS handshake, in words for an operator; None when `error` is not TLS's, or TLS only says
    that bytes did not come."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and not isinstance(error, _NO_BYTES):
        return f"TLS failed: {_reason(error)}"
    return None
