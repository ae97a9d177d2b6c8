"""The pool: real worker processes with a tiny model, and everything that can happen to them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.inspection.ner.config import NerConfig
from gateway.inspection.ner.pool import NerPool
from gateway.inspection.ner.words import WordLists
from gateway.inspection.report import Report
from gateway.tasks import TaskGroup
from guardrails.interface import Segment

FAKE = "tests.support.fake_ner:model"
NOTHING: frozenset[str] = frozenset()
LISTS = WordLists(frozenset({"zorana"}), NOTHING, NOTHING, frozenset({"the", "here"}))


@asynccontextmanager
async def pool_of(start: bool = True, **changes: Any) -> AsyncIterator[NerPool]:
    defects: list[str] = []
    tasks = TaskGroup(lambda name, error: defects.append(f"{name}: {error!r}"))
    fields: dict[str, Any] = {"model": FAKE, "entities": ("NRP",), "deadline": 20.0, "back_off": 0.01}
    pool = NerPool(NerConfig(**fields | changes), clock=SystemClock(), tasks=tasks, key=b"k" * 32, lists=LISTS)
    if start:
        await pool.start()
    yield pool
    await pool.aclose()
    await tasks.close()
    assert defects == []


def segment(text: str, path: str = "p") -> Segment:
    return Segment(path, "user", text)


async def ask(pool: NerPool, *texts: str) -> Report:
    return await pool.check([segment(text, f"p{index}") for index, text in enumerate(texts)]).report()


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_findings_carry_their_path_and_offsets() -> None:
    async with pool_of() as pool:
        report = await ask(pool, "the 7", "🦓 Zorana came", "Print it. Zorana came")
    assert (report.outcome, report.error, report.flagged) == ("ok", "", True)
    assert [(f.path, f.type, f.start, f.end, f.rule) for f in report.findings] == [
        ("p1", "NRP", 2, 8, "ner/nrp"), ("p2", "NRP", 10, 16, "ner/nrp")]  # fmt: skip
    assert (report.calls, pool.skipped) == (2, 1)


async def test_only_entities_that_were_asked_for_are_reported() -> None:
    async with pool_of(entities=("LOCATION",)) as pool:
        assert (await ask(pool, "Zorana came")).findings == ()


async def test_verdicts_are_remembered() -> None:
    async with pool_of() as pool:
        await ask(pool, "Zorana came")
        again = await ask(pool, "Zorana came")
    assert (again.calls, again.cached, len(again.findings)) == (0, 1, 1)


async def test_while_a_worker_is_busy_texts_gather_to_a_batch() -> None:
    async with pool_of(cache_seconds=0) as pool:
        checks = [pool.check([segment(f"Zorana {n}")]) for n in range(20)]
        for check in checks:
            await check.report()
        sizes = [finding.end - finding.start for finding in (await ask(pool, "Batches")).findings]
    assert sum(sizes) - 1 == 20
    assert len(sizes) < 20
    assert max(sizes) <= 16


async def test_a_long_text_is_cut_and_put_together_again() -> None:
    async with pool_of(workers=2, window=200) as pool:
        report = await ask(pool, "Zorana. " + "Xerxes " * 300 + "left. Zorana came")
    assert [(f.start, f.end) for f in report.findings] == [(0, 6), (2114, 2120)]
    assert report.calls > 5


@pytest.mark.parametrize(("on_failure", "refused"), [("open", False), ("closed", True)])
async def test_a_worker_that_dies_fails_its_batch_by_the_rule_and_is_replaced(on_failure: str, refused: bool) -> None:
    async with pool_of(on_failure=on_failure) as pool:
        report = await ask(pool, "Die")
        assert (report.outcome, report.error, report.refused) == ("unavailable", "WorkerDied", refused)
        assert (await ask(pool, "Zorana came")).flagged
        assert pool.restarts == 1


async def test_a_worker_that_is_killed_is_replaced() -> None:
    async with pool_of() as pool:
        pid = pool._workers[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: pool._workers[0].pid not in (None, pid) and pool.ready)
        assert (await ask(pool, "Zorana came")).flagged


async def test_an_error_of_the_model_carries_its_class_alone_and_the_worker_lives() -> None:
    async with pool_of() as pool:
        report = await ask(pool, "Raise Zorana")
        assert (report.outcome, report.error) == ("unavailable", "KeyError")
        assert (await ask(pool, "Zorana came")).flagged
        assert pool.restarts == 0


async def test_a_worker_that_hangs_is_ended_and_replaced() -> None:
    async with pool_of(stuck=0.2) as pool:
        assert (await ask(pool, "Hang")).error == "WorkerStuck"
        assert (await ask(pool, "Zorana came")).flagged


async def test_the_deadline_holds_whatever_the_workers_do() -> None:
    async with pool_of(deadline=0.1, queue=2) as pool:
        hanging = pool.check([segment("Hang")])
        await until(lambda: pool._workers[0].busy)
        waiting = [pool.check([segment(f"Zorana {n}")]) for n in range(3)]
        assert [(await check.report()).outcome for check in waiting] == ["timeout", "timeout", "overloaded"]
        assert (await hanging.report()).outcome == "timeout"


async def test_a_lone_surrogate_does_not_stop_anything() -> None:
    async with pool_of() as pool:
        report = await ask(pool, "\ud800 Zorana")
    assert (report.outcome, [(f.start, f.end) for f in report.findings]) == ("ok", [(2, 8)])


async def test_too_much_text_fails_at_once() -> None:
    async with pool_of(max_text=10) as pool:
        assert (await ask(pool, "Zorana came by")).outcome == "too_large"


async def test_a_check_that_is_cancelled_leaves_nothing_behind() -> None:
    async with pool_of() as pool:
        hanging = pool.check([segment("Hang")])
        await until(lambda: pool._workers[0].busy)
        check = pool.check([segment("Zorana")])
        await until(lambda: pool.waiting == 1)
        for each in (check, hanging):
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each.report()
        pool._pump()
        assert pool.waiting == 0


@pytest.mark.parametrize("model", ["no_such_module:model", "tests.support.fake_ner:no_such_name"])
async def test_without_a_model_the_start_says_what_to_do(model: str) -> None:
    async with pool_of(start=False, model=model) as pool:
        with pytest.raises(ConfigError, match=f"ner: no such model: {model}"):
            await pool.start()
        assert (await ask(pool, "Zorana came")).outcome == "unavailable"


async def test_after_closing_nothing_is_left_running() -> None:
    async with pool_of(workers=2) as pool:
        await until(lambda: pool.ready == 2)
        pids = [worker.pid for worker in pool._workers]
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_ends_with_its_parent() -> None:
    """ "It ends when its input ends": a parent that is killed closes the pipe."""
    code = (
        "import subprocess, sys, time\n"
        f"c = subprocess.Popen([sys.executable, '-m', 'gateway.inspection.ner.worker', '{FAKE}'],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "c.stdout.read(5)\nprint(c.pid, flush=True)\ntime.sleep(300)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    asyncio.run(until(lambda: not _runs(pid)))


def _runs(pid: int) -> bool:
    """A zombie that nobody has reaped yet runs no more."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
