"""Runs a load scenario: starts the worker processes, has them begin together, merges what they measured."""

import asyncio
import ipaddress
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import msgspec

from loadtest.generator.messages import Done, Job, Progress, Start, enc_hook, stages_of
from loadtest.generator.result import Result, result_of
from loadtest.generator.scenario import LoadScenario
from loadtest.generator.tally import Tally

_LEAD = 0.3  # seconds between "go" and the first request
_ROOT = Path(__file__).resolve().parents[2]  # so that an uninstalled checkout works from any directory
_LINE = 256 * 1024 * 1024


class LoadError(Exception):
    """A run that cannot start or did not end; the message is for the person at the terminal."""


def check_target(base_url: str, allow_remote: bool) -> None:
    """Raises LoadError for what is no HTTP URL, or not on this machine unless that was allowed."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LoadError(f"{base_url!r} is not a base URL; write http://127.0.0.1:8080/v1")
    if allow_remote or parts.hostname == "localhost":
        return
    try:
        local = ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        local = False
    if not local:
        raise LoadError(
            f"{parts.hostname} is not this machine. Load on someone else's service is an attack, and providers "
            "bill for it; if it is yours to load, say --allow-remote."
        )


class Run:
    """One run of a scenario. `on_progress(stage, started, ok, failed)` gets sums over all processes."""

    def __init__(
        self,
        scenario: LoadScenario,
        base_url: str,
        keys: list[str],
        on_progress: Callable[[int, int, int, int], None] | None = None,
        allow_remote: bool = False,
    ) -> None:
        check_target(base_url, allow_remote)
        for stage in scenario.stages:
            weights = (stage.request or scenario.request).key_weights
            if weights and len(weights) != len(keys):
                raise LoadError(f"{stage.label}: `key_weights` has {len(weights)} entries for {len(keys)} keys")
        self.run_id = secrets.token_hex(4)
        self._scenario = scenario
        self._base_url = base_url
        self._keys = keys
        self._on_progress = on_progress
        self._progress: dict[int, Progress] = {}

    async def run(self) -> Result:
        """Raises LoadError if a worker fails."""
        count = self._scenario.processes
        workers = [await self._spawn() for _ in range(count)]
        try:
            for share, worker in enumerate(workers):
                job = Job(self._scenario, self._base_url, self._keys, share, count, self.run_id)
                _tell(worker, job)
            await asyncio.gather(*[self._line(worker) for worker in workers])
            start = Start(perf_counter() + _LEAD)
            for worker in workers:
                _tell(worker, start)
            limit = sum(stage.duration for _, stage in stages_of(self._scenario))
            limit += (self._scenario.timeout + 1) * (len(self._scenario.stages) + 1) + 10
            async with asyncio.timeout(limit):
                parts = await asyncio.gather(*[self._follow(i, worker) for i, worker in enumerate(workers)])
        except TimeoutError:
            raise LoadError("a generator process did not end in time") from None
        finally:
            for worker in workers:
                if worker.returncode is None:
                    worker.kill()
                await worker.wait()
        merged = [Tally() for _ in self._scenario.stages]
        for part in parts:
            for whole, tally in zip(merged, part.tallies, strict=True):
                whole.merge(tally)
        return result_of(self._scenario, self._base_url, merged)

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "loadtest.generator.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE,
            cwd=_ROOT,
        )

    async def _line(self, worker: asyncio.subprocess.Process) -> bytes:
        assert worker.stdout is not None
        line = await worker.stdout.readline()
        if not line:
            raise LoadError(f"a generator process ended with exit code {await worker.wait()}")
        return line

    async def _follow(self, index: int, worker: asyncio.subprocess.Process) -> Done:
        while True:
            line = await self._line(worker)
            if line.startswith(b'{"tallies"'):
                return msgspec.json.decode(line, type=Done)
            self._progress[index] = msgspec.json.decode(line, type=Progress)
            self._show()

    def _show(self) -> None:
        if self._on_progress is None:
            return
        stage = max(progress.stage for progress in self._progress.values())
        now = [progress for progress in self._progress.values() if progress.stage == stage]
        self._on_progress(stage, sum(p.started for p in now), sum(p.ok for p in now), sum(p.failed for p in now))


def _tell(worker: asyncio.subprocess.Process, message: msgspec.Struct) -> None:
    assert worker.stdin is not None
    worker.stdin.write(msgspec.json.encode(message, enc_hook=enc_hook) + b"\n")
