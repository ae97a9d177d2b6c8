"""Long work beside the event loop: it is what it would be on it, others go first, and who is cancelled ends it."""

import asyncio
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.slices import MOST, Abandoned, Breathe, Slices


def counted(steps: int, breathe: Breathe) -> int:
    total = 0
    for step in range(steps):
        breathe()
        total += step
    return total


def always() -> float:
    """A clock on which every slice is over at once: each breath is a pause."""
    always.now += 1.0
    return always.now


always.now = 0.0


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5))
@settings(max_examples=30)
def test_work_returns_what_it_returns_anywhere(jobs: list[int]) -> None:
    """ "hence with the result it has on the event loop" """

    async def scenario() -> list[int]:
        slices = Slices(always)
        try:
            return await asyncio.gather(
                *(slices.run(lambda breathe, steps=steps: counted(steps, breathe)) for steps in jobs)
            )
        finally:
            slices.close()

    assert asyncio.run(scenario()) == [counted(steps, lambda: None) for steps in jobs]


def test_the_loop_has_a_whole_turn_between_two_slices_and_work_is_served_in_turn() -> None:
    """ "Of all the work that is waiting one has the next slice, each in its turn." """
    order: list[str] = []

    async def scenario() -> int:
        slices, turns, running = Slices(always), 0, True

        def work(name: str, breathe: Breathe) -> None:
            for _ in range(50):
                breathe()
                order.append(name)

        async def beside() -> None:
            nonlocal turns
            while running:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.ensure_future(beside())
        await asyncio.gather(*(slices.run(lambda breathe, name=name: work(name, breathe)) for name in "ab"))
        running = False
        await other
        slices.close()
        return turns

    assert asyncio.run(scenario()) >= 100
    together = "".join(order).strip("a" if order[0] == "a" else "b")
    assert "aaa" not in together[:-60]
    assert sorted(order) == ["a"] * 50 + ["b"] * 50


def test_errors_come_out_as_they_are() -> None:
    async def scenario() -> None:
        slices = Slices(time.monotonic)
        with pytest.raises(KeyError):
            await slices.run(lambda breathe: {}["missing"])
        assert await slices.run(lambda breathe: 7) == 7
        slices.close()

    asyncio.run(scenario())


def test_cancelled_work_ends_at_its_next_breath_and_no_failure_hides_it() -> None:
    """ "Who waits for work and is cancelled has it abandoned"; `run` returns only when it has ended."""
    ended = threading.Event()

    async def scenario() -> None:
        slices, begun = Slices(always), asyncio.Event()
        loop = asyncio.get_running_loop()

        def endless(breathe: Breathe) -> None:
            loop.call_soon_threadsafe(begun.set)
            try:
                while True:
                    try:
                        breathe()
                    except Exception:  # what guardrails do with their own failures
                        raise AssertionError("taken for a failure") from None
            except Abandoned:
                ended.set()
                raise

        waiting = asyncio.ensure_future(slices.run(endless))
        await begun.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert ended.is_set()
        assert await slices.run(lambda breathe: counted(5, breathe)) == 10, "the next one has its turn"
        slices.close()

    asyncio.run(scenario())


def test_work_that_had_not_begun_is_cancelled_too() -> None:
    async def scenario() -> None:
        slices, go = Slices(time.monotonic), threading.Event()

        def stuck(breathe: Breathe) -> None:
            while not go.wait(0.001):
                breathe()

        running = [asyncio.ensure_future(slices.run(stuck)) for _ in range(MOST)]
        late = asyncio.ensure_future(slices.run(stuck))
        await asyncio.sleep(0)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        go.set()
        await asyncio.gather(*running)
        slices.close()

    asyncio.run(scenario())
