"""Carries one request to a detector's service over httpx: bounded in size, never redirected, nothing logged.

It stands on `httpx.AsyncHTTPTransport`, the layer below `AsyncClient`: the client logs the address of every request,
and a webhook's address may be a secret; it would also keep cookies and follow the environment's proxies.
"""

from collections.abc import Callable
from typing import cast

import httpx

from gateway.inspection.external.shape import Outgoing, WrongAnswer

_OURS = [("accept", "application/json"), ("accept-encoding", "identity"), ("user-agent", "tollway")]


class Unreachable(Exception):
    """No answer, for a reason below HTTP. The message is free of addresses."""


class Wire:
    """Kept-alive connections to one service. Its caller keeps the time."""

    def __init__(
        self, base_url: str, headers: dict[str, str], *, connections: int, max_answer: int, ca_file: str | None = None
    ) -> None:
        """`max_answer` in bytes."""
        self._base = base_url.rstrip("/")
        self._headers = [*_OURS, *((name.lower(), value) for name, value in headers.items())]
        self._max_answer = max_answer
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30)
        context = httpx.create_ssl_context(verify=ca_file or True, trust_env=False)
        self._transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits, retries=0)

    async def send(self, outgoing: Outgoing, sent: Callable[[], None] | None = None) -> tuple[int, bytes, float | None]:
        """Status, whole body, and `retry-after` in seconds if the service named some. `sent` is called when the service
        has the whole request, and may be at work on it.

        Raises `Unreachable`, and `WrongAnswer` for a redirect, an encoded or an oversized body. Cancelling closes the
        connection.
        """
        request = httpx.Request(
            outgoing.method,
            self._base + outgoing.path,
            headers=[*self._headers, *outgoing.headers],
            content=outgoing.body,
        )
        try:
            response = await self._head(request, sent)
            try:
                return response.status_code, await self._body(response), _seconds(response.headers.get("retry-after"))
            finally:
                await response.aclose()
        except httpx.ConnectError:
            raise Unreachable("could not connect") from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Unreachable(f"connection failed ({type(error).__name__})") from None

    async def _head(self, request: httpx.Request, sent: Callable[[], None] | None) -> httpx.Response:
        """The response's head. Sends once more on a new connection if a kept one turned out to have been closed."""
        is_new = False

        async def trace(event: str, info: dict[str, object]) -> None:
            nonlocal is_new
            is_new = is_new or event == "connection.connect_tcp.started"
            if sent is not None and event == "http11.send_request_body.complete":
                sent()

        request.extensions = {**request.extensions, "trace": trace}
        try:
            return await self._transport.handle_async_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if is_new:
                raise
        return await self._transport.handle_async_request(request)

    async def _body(self, response: httpx.Response) -> bytes:
        if 300 <= response.status_code < 400:
            raise WrongAnswer(f"redirected with status {response.status_code}, which is never followed")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise WrongAnswer("encoded its answer unasked")
        body = bytearray()
        async for chunk in cast(httpx.AsyncByteStream, response.stream):
            body += chunk
            if len(body) > self._max_answer:
                raise WrongAnswer(f"answered more than {self._max_answer} bytes")
        return bytes(body)

    async def aclose(self) -> None:
        await self._transport.aclose()


def _seconds(value: str | None) -> float | None:
    """A `retry-after` in seconds; the date form is not worth a calendar here."""
    return float(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 7 else None
