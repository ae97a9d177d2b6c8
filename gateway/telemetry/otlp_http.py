"""OTLP over HTTP: one POST of protobuf to a collector, and what its answer means.

https://opentelemetry.io/docs/specs/otlp/#otlphttp : 200 is taken; 429, 502, 503 and 504 may be sent again, after
`retry-after` when it is given; anything else is refused for good. Redirects are not followed, and proxies of the
environment are not used: nothing is reached but what is configured.
"""

from collections.abc import Mapping
from typing import Literal, Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec

TRACES_PATH = "/v1/traces"
METRICS_PATH = "/v1/metrics"
MAX_PAUSE = 30.0
"""Seconds; a longer `retry-after` is not waited for."""
_AGAIN = frozenset((429, 502, 503, 504))


class Sent(msgspec.Struct, frozen=True):
    """What came of one export."""

    end: Literal["taken", "again", "refused"]
    reason: str = ""
    """Status, or class of the failure. Never a text of the collector's."""
    pause: float | None = None
    """Seconds the collector asks to wait before it is tried again."""


class Sender(Protocol):
    """Brings encoded exports to a collector: `HttpSender`, and doubles in tests."""

    def send(self, body: bytes, timeout: float) -> Sent:
        """Try once, for about `timeout` seconds at most. Blocks; never raises."""
        ...

    def close(self) -> None: ...


class HttpSender:
    """Posts to `endpoint` over a kept connection. Used from one thread; connects when the first export is due.

    httpx is imported here, by whoever makes one: 0.1 s that belongs to the start of a process that sends traces."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], path: str = TRACES_PATH) -> None:
        import httpx

        self._url = signal_url(endpoint, path)
        self._headers = {**headers, "content-type": "application/x-protobuf"}
        self._client = httpx.Client(trust_env=False, follow_redirects=False)

    def send(self, body: bytes, timeout: float) -> Sent:
        try:
            answer = self._client.post(self._url, content=body, headers=self._headers, timeout=timeout)
        except Exception as error:  # its text may quote the address; whatever it is, the thread goes on
            return Sent("again", type(error).__name__)
        if answer.status_code < 300:
            return Sent("taken")
        if answer.status_code in _AGAIN:
            return Sent("again", str(answer.status_code), _pause(answer.headers.get("retry-after", "")))
        return Sent("refused", str(answer.status_code))

    def close(self) -> None:
        self._client.close()


def signal_url(endpoint: str, path: str = TRACES_PATH) -> str:
    """Where a signal goes: `endpoint` is the base of all, as in OTEL_EXPORTER_OTLP_ENDPOINT, or the whole address of
    traces when it ends in /v1/traces."""
    parts = urlsplit(endpoint)
    base = parts.path.rstrip("/").removesuffix(TRACES_PATH)
    return urlunsplit(parts._replace(path=base + path))


def _pause(value: str) -> float | None:
    """`retry-after` in seconds; its other form, a date, is left to our own back-off."""
    return min(float(value), MAX_PAUSE) if value.isascii() and value.isdigit() else None
