"""The mock provider as a listening server: in a test (`async with MockProvider()`), or on its own until interrupted."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any

from loadtest.mock.protocol import MockProtocol
from loadtest.mock.provider import Provider
from loadtest.mock.scenario import ScenarioFile, load_scenario
from loadtest.mock.stats import Record, Stats


class MockProvider:
    """A provider on a loopback socket of the running event loop.

    `scenario`: a YAML file (Path), YAML text, the name of a bundled scenario, a ScenarioFile, or None for plain
    answers. Raises ScenarioError for a scenario that cannot be used, OSError if the port is taken.
    """

    def __init__(
        self, scenario: Path | str | ScenarioFile | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._provider = Provider(load_scenario(scenario))
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: set[MockProtocol] = set()

    @property
    def base_url(self) -> str:
        """`http://host:port/v1`, for OpenAI clients; Anthropic clients want `origin`."""
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        """`http://host:port`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def stats(self) -> Stats:
        """The live counters, the same that `GET /stats` shows."""
        return self._provider.stats

    @property
    def requests(self) -> list[Record]:
        """The last counted requests, oldest first."""
        return self._provider.stats.since(0)

    @property
    def connections(self) -> int:
        """Open client connections."""
        return len(self._connections)

    async def start(self) -> None:
        """Bind and listen."""
        loop = asyncio.get_running_loop()
        provider, connections = self._provider, self._connections
        self._server = await loop.create_server(
            lambda: MockProtocol(provider, connections, loop), self._host, self._port, backlog=4096, reuse_address=True
        )
        sock: socket.socket = self._server.sockets[0]
        self._port = int(sock.getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and drop what is open."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                if connection.transport is not None:
                    connection.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> "MockProvider":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


async def _serve(mock: MockProvider, started: Callable[[str], None]) -> None:
    await mock.start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    started(mock.origin)
    await stop.wait()
    await mock.stop()


def run_mock(port: int, scenario: Path | None, host: str, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `started` is called with the origin. Raises ScenarioError, OSError."""
    mock = MockProvider(scenario, host, port)
    # What start-up made lives for ever: keep the collector from walking it.
    gc.collect()
    gc.freeze()
    run_fast(_serve(mock, started))


def run_fast(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it is installed, else on asyncio."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
        return
    uvloop.run(main)
