"""One worker process as the gateway sees it: started, asked, watched, ended."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from gateway.inspection.ner.protocol import Answer, Ask, Broken, Frames, Ready, Unusable, frame

_CHUNK = 1 << 16


class WorkerProcess:
    """Speaks to one child. `ask` only when it is `ready` and not `busy`."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._child: asyncio.subprocess.Process | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self.ready = False
        self.unusable = ""
        """Why it must not be started again."""

    @property
    def busy(self) -> bool:
        return self._answer is not None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Start the child and read from it until it ends. Cancelling ends it."""
        command = [sys.executable, "-m", "gateway.inspection.ner.worker", self._model]
        pipe = asyncio.subprocess.PIPE
        self._child = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await self._read(self._child, on_ready)
        finally:
            self.ready = False
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(Answer(error="WorkerDied"))
            self._answer = None
            self.kill()
            await asyncio.shield(self._child.wait())

    async def _read(self, child: asyncio.subprocess.Process, on_ready: Callable[[], None]) -> None:
        frames, out = Frames(), child.stdout
        while out is not None and (data := await out.read(_CHUNK)):
            try:
                messages = frames.feed(data)
            except Broken:
                return
            for message in messages:
                if isinstance(message, Ready):
                    self.ready = True
                    on_ready()
                elif isinstance(message, Unusable):
                    self.unusable = message.message
                elif isinstance(message, Answer) and self._answer is not None and not self._answer.done():
                    self._answer.set_result(message)

    async def ask(self, texts: Sequence[str], stuck: float) -> Answer:
        """The answer for `texts`. A child that takes longer than `stuck` seconds, dies or does not read is ended, and
        the answer is an error."""
        child = self._child
        if not self.ready or child is None or child.stdin is None:
            return Answer(error="WorkerDied")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answer = answer
        try:
            async with asyncio.timeout(stuck):
                with suppress(ConnectionError):
                    child.stdin.write(frame(Ask(list(texts))))
                    await child.stdin.drain()
                return await answer
        except TimeoutError:
            self.ready = False
            self.kill()
            return Answer(error="WorkerStuck")
        finally:
            self._answer = None

    def kill(self) -> None:
        """End the child at once. Idempotent."""
        if self._child is not None and self._child.returncode is None:
            with suppress(ProcessLookupError):
                self._child.kill()
