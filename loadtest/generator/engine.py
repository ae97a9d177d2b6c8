"""One process's share of the stages: closed loop by users, open loop by a schedule that never waits for answers."""

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Callable
from time import perf_counter, process_time
from urllib.parse import SplitResult

from loadtest.generator.connection import Call, ClientConnection
from loadtest.generator.payload import Payloads
from loadtest.generator.scenario import LoadScenario, RequestMix, Stage
from loadtest.generator.tally import Tally

_SWEEP = 0.05


class Engine:
    """One process of the generator. `share` of `shares` is which part of users and arrivals it carries."""

    def __init__(
        self, scenario: LoadScenario, base: SplitResult, keys: list[str], share: int, shares: int, run_id: str
    ) -> None:
        self._scenario = scenario
        self._base = base
        self._keys = keys
        self._share, self._shares = share, shares
        self._rng = random.Random(scenario.seed * 1000 + share)
        self._prefix = f"lt-{run_id}-{share}-".encode()
        self._sequence = 0
        self._tls = ssl.create_default_context() if base.scheme == "https" else None
        self.tally = Tally()

    async def run(self, stage: Stage, start: float) -> Tally:
        """Run one stage that starts at `start` (`perf_counter` seconds) and return what it measured."""
        run = _StageRun(self, stage, stage.request or self._scenario.request, start)
        self.tally = run.tally
        return await run.run()

    def payloads(self, mix: RequestMix) -> Payloads:
        """Ready requests of a mix."""
        return Payloads(mix, self._base, self._keys, self._rng)

    def next_id(self) -> bytes:
        """A request id that is unique in the run."""
        self._sequence += 1
        return b"%b%d" % (self._prefix, self._sequence)

    async def connect(self, factory: Callable[[], ClientConnection]) -> ClientConnection:
        """A new connection. Raises OSError."""
        host = self._base.hostname or "127.0.0.1"
        port = self._base.port or (443 if self._tls else 80)
        _, made = await asyncio.get_running_loop().create_connection(factory, host, port, ssl=self._tls)
        return made

    @property
    def timeout(self) -> float:
        """Seconds one request may take."""
        return self._scenario.timeout

    def users(self, concurrency: int) -> int:
        """This process's share of the users."""
        return concurrency // self._shares + (self._share < concurrency % self._shares)

    def arrivals(self, total: int) -> range:
        """Which of `total` arrivals this process sends: processes interleave."""
        return range(self._share, total, self._shares)


class _StageRun:
    """The moving parts of one stage."""

    def __init__(self, engine: Engine, stage: Stage, mix: RequestMix, start: float) -> None:
        self._engine = engine
        self._stage = stage
        self._payloads = engine.payloads(mix)
        self._start = start
        self._end = start + stage.duration
        self.tally = Tally()
        self._busy: set[ClientConnection] = set()
        self._idle: list[ClientConnection] = []
        self._queue: deque[Call] = deque()  # open loop: due, but no connection is free
        self._connecting: set[asyncio.Task[None]] = set()
        self._open = 0
        self._loop = asyncio.get_running_loop()

    async def run(self) -> Tally:
        cpu = process_time()
        await _until(self._start)
        if self._stage.concurrency is not None:
            for _ in range(self._engine.users(self._stage.concurrency)):
                self._issue(perf_counter())
            await self._sweep_until(self._end)
        else:
            await self._arrive(self._stage.rate or 1.0)
        self.tally.cpu_seconds = process_time() - cpu
        while self._busy or self._queue or self._connecting:
            self._sweep()
            await asyncio.sleep(0.005)
        for connection in self._idle:
            connection.close()
        return self.tally

    async def _arrive(self, rate: float) -> None:
        # Every due time is computed from the start: adding up steps would drift.
        mine = self._engine.arrivals(round(rate * self._stage.duration))
        swept, index = self._start, 0
        while index < len(mine):
            now = perf_counter()
            while index < len(mine) and (due := self._start + mine[index] / rate) <= now:
                self._issue(due)
                index += 1
            if index == len(mine):
                break
            due = self._start + mine[index] / rate
            if now - swept > _SWEEP:
                self._sweep()
                swept = now
            await asyncio.sleep(max(0.0, due - perf_counter()))
        await self._sweep_until(self._end)

    async def _sweep_until(self, end: float) -> None:
        while (left := end - perf_counter()) > 0:
            await asyncio.sleep(min(left, _SWEEP))
            self._sweep()

    def _sweep(self) -> None:
        """Fail what is over its time; cheaper than a timer per request."""
        now = perf_counter()
        for connection in [c for c in self._busy if c.call is not None and c.call.deadline < now]:
            connection.fail("timeout")
        while self._queue and self._queue[0].deadline < now:
            call = self._queue.popleft()
            call.error, call.sent = "timeout", call.due
            self._count(call)

    def _issue(self, due: float) -> None:
        """Start a request that is due."""
        self.tally.started += 1
        self._place(Call(due, due + self._engine.timeout))

    def _place(self, call: Call) -> None:
        """Send on an idle connection or a new one; queue where the open loop may not open more."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                self._send(connection, call)
                return
            self._open -= 1
        if self._stage.rate is not None and self._open >= self._stage.max_connections:
            self._queue.append(call)
            return
        self._open += 1
        task = self._loop.create_task(self._send_on_new(call))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _send_on_new(self, call: Call) -> None:
        try:
            async with asyncio.timeout(max(0.01, call.deadline - perf_counter())):
                connection = await self._engine.connect(lambda: ClientConnection(self._done, self.tally.gap))
        except (OSError, TimeoutError):
            self._open -= 1
            call.error, call.sent = "connect", call.due
            self._count(call)
            # A refusal comes at once: without a pause a closed loop would spin.
            await asyncio.sleep(0.01)
            self._next()
            return
        self.tally.connections += 1
        self._send(connection, call)

    def _send(self, connection: ClientConnection, call: Call) -> None:
        self._busy.add(connection)
        connection.send(self._payloads.draw(self._engine.next_id()), call)

    def _done(self, connection: ClientConnection, call: Call) -> None:
        self._busy.discard(connection)
        self._count(call)
        if connection.usable:
            self._idle.append(connection)
        else:
            self._open -= 1
        # Through the loop, not by recursion: an answer may have come in one read with the previous one's end.
        if self._stage.think:
            self._loop.call_later(self._stage.think, self._next)
        elif self._queue or self._stage.concurrency is not None:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        """Closed loop: the user asks again. Open loop: a queued request takes the free connection."""
        now = perf_counter()
        if self._stage.concurrency is not None:
            if now < self._end:
                self._issue(now)
        elif self._queue:
            self._place(self._queue.popleft())

    def _count(self, call: Call) -> None:
        now = perf_counter()
        tally = self.tally
        latency = now - call.due
        second = tally.second(max(0, int(now - self._start)))
        if call.status:
            tally.statuses[call.status] = tally.statuses.get(call.status, 0) + 1
        tally.bytes += call.bytes
        tally.events += call.events
        if call.error:
            tally.errors[call.error] = tally.errors.get(call.error, 0) + 1
            second.errors += 1
            return
        tally.ok += 1
        tally.in_time += now <= self._end
        tally.input_tokens += call.input_tokens
        tally.output_tokens += call.output_tokens
        tally.latency.record(latency)
        tally.service.record(now - call.sent)
        tally.lag.record(call.sent - call.due)
        if call.first:
            tally.ttft.record(call.first - call.due)
        second.done += 1
        second.latency.record(latency)


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - perf_counter()))
