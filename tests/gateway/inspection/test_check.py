"""A check under way: awaited, asked twice, cancelled."""

import asyncio

import pytest

from gateway.inspection.check import Check
from gateway.inspection.report import Report
from gateway.tasks import TaskGroup


async def test_a_verdict_can_be_asked_for_again() -> None:
    tasks = TaskGroup(lambda name, error: None)

    async def inspect() -> Report:
        return Report(detector="d", flagged=True)

    check = Check(tasks.start(inspect(), "d"))
    assert not check.done()
    assert (await check.report()).flagged
    assert check.done()
    check.cancel()
    assert (await check.report()).flagged


async def test_cancelled_is_over() -> None:
    tasks = TaskGroup(lambda name, error: None)

    async def inspect() -> Report:
        await asyncio.Event().wait()
        return Report(detector="d")

    check = Check(tasks.start(inspect(), "d"))
    check.cancel()
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check.report()
    assert check.done()
