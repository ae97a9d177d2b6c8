"""Background tasks: held while they run, reported when they fail, ended together."""

import asyncio
import gc

import pytest

from gateway.tasks import TaskGroup, in_thread


class Reports:
    """Takes what `on_error` is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.came = asyncio.Event()

    def __call__(self, name: str, error: BaseException) -> None:
        self.seen.append((name, str(error)))
        self.came.set()


async def fail(message: str) -> None:
    raise ValueError(message)


async def test_a_failure_is_reported_with_its_name() -> None:
    reports = Reports()
    group = TaskGroup(reports)
    group.start(fail("broken"), "sweeper")
    await asyncio.wait_for(reports.came.wait(), 60)
    assert reports.seen == [("sweeper", "broken")]
    await group.close()


async def test_a_task_that_nobody_else_holds_is_not_collected() -> None:
    group = TaskGroup(Reports())
    go, gone = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        gone.set()

    group.start(work(), "worker")
    gc.collect()
    go.set()
    await asyncio.wait_for(gone.wait(), 60)
    await group.close()


async def test_closing_ends_what_runs_waits_for_it_and_reports_no_cancellation() -> None:
    reports = Reports()
    group = TaskGroup(reports)
    running, cleaned = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    task = group.start(work(), "endless")
    await running.wait()
    await group.close()
    assert cleaned.is_set()
    assert task.cancelled()
    assert reports.seen == []


async def test_the_task_can_be_awaited_for_its_value() -> None:
    group = TaskGroup(Reports())

    async def answer() -> int:
        return 42

    assert await group.start(answer(), "question") == 42
    await group.close()


async def test_a_look_is_taken_when_there_is_memory_and_a_thread_for_it() -> None:
    wants = [MemoryError(), RuntimeError("can't start new thread")]

    def look() -> int:
        if wants:
            raise wants.pop()
        return 7

    assert await in_thread(look) == 7


async def test_what_else_a_look_raises_is_not_kept_back() -> None:
    def look() -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        await in_thread(look)
