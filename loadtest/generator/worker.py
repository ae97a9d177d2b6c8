"""One generator process: `python -m loadtest.generator.worker`, spoken to in JSON lines on stdin and stdout.

In: a `Job`, then `{"start": T}` (seconds of the monotonic clock, which all processes of a host share).
Out: `{"ready": true}`, then `Progress` four times a second, and a `Done` with the tallies of all stages.
"""

import asyncio
import gc
import sys
from time import perf_counter
from urllib.parse import urlsplit

import msgspec

from loadtest.generator.engine import Engine
from loadtest.generator.messages import PAUSE, Done, Job, Progress, Ready, Start, enc_hook, stages_of
from loadtest.generator.tally import Tally
from loadtest.mock.server import run_fast
from loadtest.units import units_hook


def say(message: msgspec.Struct) -> None:
    """One JSON line to the coordinator."""
    sys.stdout.buffer.write(msgspec.json.encode(message, enc_hook=enc_hook) + b"\n")
    sys.stdout.buffer.flush()


async def _work(job: Job) -> None:
    engine = Engine(job.scenario, urlsplit(job.base_url), job.keys, job.share, job.shares, job.run_id)
    say(Ready())
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.readline)
    begin = msgspec.json.decode(line, type=Start).start
    # Garbage made before the clock runs stays out of the measurement.
    gc.collect()
    gc.freeze()
    tallies: list[Tally] = []
    for index, stage in stages_of(job.scenario):
        begin = max(begin, perf_counter())
        reporter = asyncio.ensure_future(_report(engine, index))
        try:
            tally = await engine.run(stage, begin)
        finally:
            reporter.cancel()
        if index >= 0:
            tallies.append(tally)
        begin += stage.duration + PAUSE
    say(Done(tallies))


async def _report(engine: Engine, index: int) -> None:
    while True:
        await asyncio.sleep(0.25)
        tally = engine.tally
        say(Progress(index, tally.started, tally.ok, tally.failed))


def main() -> int:
    """Read the job, run it."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job, dec_hook=units_hook)
    run_fast(_work(job))
    return 0


if __name__ == "__main__":
    sys.exit(main())
