"""Shared fixtures: a mock provider on a free port, and a raw socket to see exactly what it writes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest

from loadtest.mock import MockProvider

StartMock = Callable[..., Coroutine[Any, Any, MockProvider]]


@pytest.fixture
async def start_mock() -> AsyncIterator[StartMock]:
    """Starts mock providers that end with the test."""
    async with AsyncExitStack() as stack:

        async def start(scenario: Any = None) -> MockProvider:
            return await stack.enter_async_context(MockProvider(scenario))

        yield start


@pytest.fixture
async def mock(start_mock: StartMock) -> MockProvider:
    """A mock provider without a scenario."""
    return await start_mock()


class Raw:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        lines = [f"{method} {path} HTTP/1.1", "host: mock", f"content-length: {len(body)}"]
        lines += ["content-type: application/json"] if body else []
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    async def until(self, mark: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(mark), 60)

    async def rest(self) -> bytes:
        """Everything until FIN; a reset raises ConnectionResetError."""
        return await asyncio.wait_for(self.reader.read(), 60)

    async def head(self) -> tuple[bytes, dict[bytes, bytes]]:
        lines = (await self.until(b"\r\n\r\n")).split(b"\r\n")
        return lines[0], {
            k.strip().lower(): v.strip() for k, _, v in (line.partition(b":") for line in lines[1:] if line)
        }

    async def body(self, headers: dict[bytes, bytes]) -> bytes:
        if b"content-length" in headers:
            return await asyncio.wait_for(self.reader.readexactly(int(headers[b"content-length"])), 60)
        return b"".join(await self.chunks())

    async def chunks(self) -> list[bytes]:
        """The chunks of a chunked body up to its end; trailers are returned as a last chunk."""
        found: list[bytes] = []
        while True:
            size = int((await self.until(b"\r\n")).strip(), 16)
            if size == 0:
                trailer = b""
                while (line := await self.until(b"\r\n")) != b"\r\n":
                    trailer += line
                return [*found, trailer] if trailer else found
            found.append(await asyncio.wait_for(self.reader.readexactly(size), 60))
            await self.until(b"\r\n")


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[MockProvider], Coroutine[Any, Any, Raw]]]:
    """Opens raw connections that end with the test."""
    opened: list[Raw] = []

    async def open_one(mock: MockProvider) -> Raw:
        raw = Raw(*await asyncio.open_connection("127.0.0.1", mock.port, limit=1 << 24))
        opened.append(raw)
        return raw

    yield open_one
    for raw in opened:
        raw.writer.close()


async def settled(mock: MockProvider) -> None:
    """Waits until no request is under way."""
    async with asyncio.timeout(60):
        while mock.stats.totals.requests != mock.stats.totals.completed + mock.stats.totals.aborted:
            await asyncio.sleep(0.001)


@pytest.fixture(name="settled")
def settled_fixture() -> Callable[[MockProvider], Coroutine[Any, Any, None]]:
    return settled
