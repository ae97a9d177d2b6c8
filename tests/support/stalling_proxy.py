"""A TCP proxy in a test's own loop that can stall, and cut, what goes through it: a network that is partitioned."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class StallingProxy:
    """Passes bytes on between its port and a server's, while it is told to."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.refusing = False
        self.connections = 0

    @property
    def open(self) -> int:
        """Connections that neither side has closed."""
        return (len(self._writers) + 1) // 2

    def stall(self) -> None:
        """From now on nothing passes; connections stay, and new ones are taken but not served."""
        self._open.clear()

    def flow(self) -> None:
        self._open.set()

    def cut(self) -> None:
        """Break every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refusing:
            return writer.transport.abort()
        await self._open.wait()
        there, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, to_server}
        for source, sink in ((reader, to_server), (there, writer)):
            task = asyncio.get_running_loop().create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
        self._writers.discard(sink)


@contextlib.asynccontextmanager
async def stalling(target: int) -> AsyncIterator[StallingProxy]:
    proxy = StallingProxy(target)
    await proxy.start()
    yield proxy
    proxy.flow()
    await proxy.stop()
