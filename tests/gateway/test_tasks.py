"""Background tasks: held while they run, reported when they fail, ended together."""

import asyncio
import gc

from gateway.tasks import TaskGroup


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
