"""Names and places for the gateway: gate, cache, bounded queue, micro-batches, worker processes, deadline, fallback.

    check = pool.check(segments)          # starts; nothing is awaited
    report = await check.report()

Batches are made without waiting: while the workers are busy texts gather, and a worker that becomes free takes as many
as a batch holds. No model runs in this process.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from gateway.errors import ConfigError
from gateway.inspection.cache import VerdictCache
from gateway.inspection.check import Check
from gateway.inspection.ner.config import NerConfig
from gateway.inspection.ner.gate import worth
from gateway.inspection.ner.process import WorkerProcess
from gateway.inspection.ner.protocol import Answer
from gateway.inspection.ner.words import WordLists
from gateway.inspection.report import Outcome, Report
from gateway.inspection.windows import clean, merged, shifted, windows
from gateway.seams import Clock
from gateway.tasks import TaskGroup
from guardrails.detector import Match
from guardrails.interface import Finding, Segment

NAME = "ner"
_LONGEST_BACK_OFF = 30.0
_STEADY = 60.0
"""Seconds after which a worker that died counts as having been well."""
_START = 60.0
"""Seconds a worker may take to load its model."""


class _Piece:
    """A window of a text that waits for a worker."""

    __slots__ = ("answer", "text")

    def __init__(self, text: str, answer: "asyncio.Future[list[Match] | str]") -> None:
        self.text = text
        self.answer = answer


class _Failed(Exception):
    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome: Outcome = outcome


class NerPool:
    """Worker processes and what stands before them."""

    def __init__(
        self, config: NerConfig, *, clock: Clock, tasks: TaskGroup, key: bytes, lists: WordLists | None = None
    ) -> None:
        """`key`: secret under which texts are hashed for the cache, 16 to 64 bytes. Reads the word lists (a tenth of a
        second) unless they are given."""
        self.config = config
        self._clock = clock
        self._tasks = tasks
        self._lists = lists or WordLists.load()
        self._cache = VerdictCache[list[Match]](key, entries=config.cache_entries, seconds=config.cache_seconds)
        self._waiting: deque[_Piece] = deque()
        self._workers = [WorkerProcess(config.model) for _ in range(config.workers)]
        self._ended = asyncio.Event()
        self._first_ready = asyncio.Event()
        self.restarts = 0
        self.skipped = 0
        """Texts the gate let pass unread."""

    @property
    def waiting(self) -> int:
        """Pieces of text that wait for a worker."""
        return len(self._waiting)

    @property
    def ready(self) -> int:
        """Workers that have loaded their model."""
        return sum(worker.ready for worker in self._workers)

    async def start(self) -> None:
        """Start the workers and wait for the first that is ready. Raises `ConfigError` when there is no model."""
        keepers = [self._tasks.start(self._keep(worker), f"{NAME} worker") for worker in self._workers]
        waiting = self._tasks.start(self._first_ready.wait(), f"{NAME} start")
        await asyncio.wait([waiting, *keepers], timeout=_START, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not self._first_ready.is_set():
            said = next((worker.unusable for worker in self._workers if worker.unusable), "its workers do not start")
            await self.aclose()
            raise ConfigError([f"{NAME}: {said}"])

    async def aclose(self) -> None:
        """End the workers; what waits is answered as failed."""
        self._ended.set()
        for worker in self._workers:
            worker.kill()
        while self._waiting:
            _settle(self._waiting.popleft(), "closed")

    def check(self, segments: Sequence[Segment]) -> Check:
        """Start to look for names and places in `segments`."""
        return Check(self._tasks.start(self._inspect(segments), NAME))

    async def _keep(self, worker: WorkerProcess) -> None:
        """Run one worker, again and again, with a back-off that grows while it dies young."""
        back_off = self.config.back_off
        while not self._ended.is_set():
            started = self._clock.monotonic()
            await worker.run(self._on_ready)
            if worker.unusable or self._ended.is_set():
                return
            if self._clock.monotonic() - started >= _STEADY:
                back_off = self.config.back_off
            try:
                async with asyncio.timeout(back_off):
                    await self._ended.wait()
            except TimeoutError:
                back_off = min(back_off * 2, _LONGEST_BACK_OFF)
                self.restarts += 1

    def _on_ready(self) -> None:
        self._first_ready.set()
        self._pump()

    def _pump(self) -> None:
        """Give what waits to the workers that are free."""
        for worker in self._workers:
            while self._waiting and self._waiting[0].answer.done():
                self._waiting.popleft()
            if self._waiting and worker.ready and not worker.busy and not self._ended.is_set():
                batch = [self._waiting.popleft() for _ in range(min(self.config.batch, len(self._waiting)))]
                self._tasks.start(self._ask(worker, [piece for piece in batch if not piece.answer.done()]), NAME)

    async def _ask(self, worker: WorkerProcess, batch: list[_Piece]) -> None:
        if batch:
            if worker.busy or not worker.ready:
                self._waiting.extendleft(reversed(batch))
                return
            answer = Answer(error="Ended")
            try:
                answer = await worker.ask([piece.text for piece in batch], self.config.stuck)
            finally:
                self._share(answer, batch)
        self._pump()

    def _share(self, answer: Answer, batch: list[_Piece]) -> None:
        whole = not answer.error and len(answer.matches) == len(batch)
        for at, piece in enumerate(batch):
            if not piece.answer.done():
                piece.answer.set_result(answer.matches[at] if whole else answer.error or "WrongAnswer")

    async def _inspect(self, segments: Sequence[Segment]) -> Report:
        started, cached, calls = self._clock.monotonic(), 0, 0
        found: dict[int, list[Match]] = {}
        outcome: Outcome = "ok"
        error = ""
        try:
            if sum(len(segment.text) for segment in segments) > self.config.max_text:
                raise _Failed("too_large", f"more than {self.config.max_text} characters")
            wanted: list[tuple[int, int, bytes, _Piece]] = []
            for index, segment in enumerate(segments):
                for start, text in windows(clean(segment.text), self.config.window):
                    if not worth(text, self._lists):
                        self.skipped += 1
                        continue
                    digest = self._cache.digest(text)
                    known = self._cache.get(digest, started)
                    if known is not None:
                        cached += 1
                        found.setdefault(index, []).extend(shifted(match, start) for match in known)
                    else:
                        wanted.append((index, start, digest, self._enqueue(text)))
            calls = len(wanted)
            self._pump()
            await self._gather(wanted, found)
        except _Failed as failed:
            outcome, error = failed.outcome, str(failed)
        except Exception as defect:
            outcome, error = "defect", type(defect).__name__
        findings = self._findings(segments, found)
        return Report(
            detector=NAME,
            outcome=outcome,
            flagged=bool(findings),
            refused=outcome != "ok" and self.config.on_failure == "closed",
            findings=findings,
            error=error,
            calls=calls,
            cached=cached,
            seconds=self._clock.monotonic() - started,
        )

    def _enqueue(self, text: str) -> _Piece:
        if any(worker.unusable for worker in self._workers):
            raise _Failed("unavailable", next(worker.unusable for worker in self._workers if worker.unusable))
        if len(self._waiting) >= self.config.queue:
            self._waiting = deque(piece for piece in self._waiting if not piece.answer.done())
        if len(self._waiting) >= self.config.queue or self._ended.is_set():
            raise _Failed("overloaded", f"{len(self._waiting)} texts are waiting already")
        piece = _Piece(text, asyncio.get_running_loop().create_future())
        self._waiting.append(piece)
        return piece

    async def _gather(self, wanted: list[tuple[int, int, bytes, _Piece]], found: dict[int, list[Match]]) -> None:
        failed = ""
        try:
            async with asyncio.timeout(self.config.deadline):
                for index, start, digest, piece in wanted:
                    answer = await piece.answer
                    if isinstance(answer, str):
                        failed = answer
                        continue
                    self._cache.put(digest, answer, self._clock.monotonic())
                    found.setdefault(index, []).extend(shifted(match, start) for match in answer)
        except TimeoutError:
            raise _Failed("timeout", f"no answer within {self.config.deadline:g} s") from None
        finally:
            for *_, piece in wanted:
                piece.answer.cancel()
        if failed:
            raise _Failed("unavailable", failed)

    def _findings(self, segments: Sequence[Segment], found: dict[int, list[Match]]) -> tuple[Finding, ...]:
        return tuple(
            Finding(m.type, segments[index].path, m.start, m.end, m.score, m.rule, m.evidence)
            for index in sorted(found)
            for m in merged(found[index])
            if m.type in self.config.entities and m.score >= self.config.threshold
        )


def _settle(piece: _Piece, error: str) -> None:
    if not piece.answer.done():
        piece.answer.set_result(error)
