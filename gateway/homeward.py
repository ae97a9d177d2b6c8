"""Addresses in a provider's answers that a client follows: led back to the gateway.

A message batch names in `results_url` where its results are (docs.anthropic.com/en/api/creating-message-batches), with
the provider's host. Anthropic's SDKs ask that address with the key they have: a Tollway key, which the provider refuses
and should never see, for money that would never be booked. What the client is told instead is a path: SDKs join it to
their base URL, whatever TLS or proxy stands before the gateway.
"""

import re

from gateway.seams import Relay, UpstreamResponse
from gateway.wire.headers import header

BATCHES = "/v1/messages/batches"
MOST = 8 * 1024 * 1024
"""Bytes of an answer that are looked into: eight times a page of a thousand batches."""
_ADDRESS = re.compile(
    rb'("results_url"\s*:\s*")https?:(?:\\?/){2}[^"]*?(\\?/messages\\?/batches\\?/[^"/\\]+\\?/results")'
)


def led_home(path: str, response: UpstreamResponse) -> UpstreamResponse:
    """`response`, or what reads it with its addresses changed where the request was for message batches."""
    if path != BATCHES and not path.startswith(BATCHES + "/"):
        return response
    kind = header(response.headers, b"content-type") or b""
    coding = header(response.headers, b"content-encoding")
    if response.status >= 400 or b"json" not in kind or b"jsonl" in kind or coding not in (None, b"identity"):
        return response
    return _Homeward(response)


def changed(body: bytes) -> bytes:
    """A JSON text whose members `results_url` are paths below the gateway's /v1. Texts in it cannot look like one, for
    their quotes are escaped."""
    return _ADDRESS.sub(rb"\1/v1\2", body)


class _Homeward:
    """Holds the answer, which is small, and gives it changed; one that is too large goes on as it is."""

    def __init__(self, response: UpstreamResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = [pair for pair in response.headers if pair[0] != b"content-length"]
        self.complete = False

    async def chunk(self, before: float | None = None) -> bytes:
        if self.complete:
            return b""
        held = bytearray()
        while piece := await self._response.chunk(before):
            held += piece
            if len(held) > MOST:
                return bytes(held)
        self.complete = True
        return changed(bytes(held))

    def whole(self) -> bytes | None:
        return None

    def offer(self, relay: Relay | None) -> None:
        pass

    def close(self) -> None:
        self._response.close()
