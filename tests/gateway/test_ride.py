"""A ride is a task without the detour: same results, same order, same interruptions, and exactly one end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ride import Ride, Signal, TaskLive, in_task

Body = Coroutine[Any, Any, None]


class Rides:
    """Begins rides and notes what their owner hears."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.ends: list[tuple[object, BaseException | None]] = []

    def adopted(self, task: "asyncio.Task[None]") -> None:
        self.tasks.append(task)

    def ended(self, subject: object, error: BaseException | None) -> None:
        self.ends.append((subject, error))

    def begin(self, coro: Callable[[Ride], Body], subject: object = None) -> Ride:
        ride = Ride(asyncio.get_running_loop(), self, subject)
        ride.begin(coro(ride))
        return ride

    async def over(self, number: int = 1) -> None:
        """Returns when so many rides have ended."""
        async with asyncio.timeout(60):
            while len(self.ends) < number:
                await asyncio.sleep(0)
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
def rides() -> Rides:
    return Rides()


# -- signals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fire", "set_result"])
async def test_a_signal_set_before_it_is_awaited_suspends_nobody(rides: Rides, how: str) -> None:
    signal: Signal[int] = Signal()
    getattr(signal, how)(7)
    assert signal.done()
    got: list[int] = []

    async def coro(ride: Ride) -> None:
        got.append(await signal)

    rides.begin(coro)
    assert (got, rides.ends, rides.tasks) == ([7], [(None, None)], [])
    assert await signal == 7


async def test_fire_runs_the_waiter_on_before_it_returns(rides: Rides) -> None:
    signal: Signal[str] = Signal()
    got: list[str] = []

    async def coro(ride: Ride) -> None:
        got.append(await signal)

    rides.begin(coro)
    assert (got, signal.done()) == ([], False)
    signal.fire("x")
    assert (got, rides.ends, rides.tasks) == (["x"], [(None, None)], [])


async def test_set_result_wakes_the_waiter_on_the_next_turn(rides: Rides) -> None:
    signal: Signal[str] = Signal()
    got: list[str] = []

    async def coro(ride: Ride) -> None:
        got.append(await signal)

    rides.begin(coro)
    signal.set_result("x")
    assert (got, signal.done()) == ([], True)
    await asyncio.sleep(0)
    assert (got, rides.tasks) == (["x"], [])


@pytest.mark.parametrize("first", ["fire", "set_result"])
@pytest.mark.parametrize("second", ["fire", "set_result"])
async def test_only_the_first_event_counts(rides: Rides, first: str, second: str) -> None:
    signal: Signal[int] = Signal()
    got: list[int] = []

    async def coro(ride: Ride) -> None:
        got.append(await signal)
        got.append(await signal)

    rides.begin(coro)
    getattr(signal, first)(1)
    getattr(signal, second)(2)
    await rides.over()
    assert (got, len(rides.ends)) == ([1, 1], 1)


@pytest.mark.parametrize("how", ["fire", "set_result"])
async def test_a_signal_serves_a_plain_task_too(how: str) -> None:
    signal: Signal[int] = Signal()

    async def wait() -> int:
        return await signal

    async with asyncio.TaskGroup() as group:
        task = group.create_task(wait())
        await asyncio.sleep(0)
        getattr(signal, how)(3)
        assert not task.done(), "a task is woken by the loop, never from within the callback"
    assert task.result() == 3


async def test_a_cancelled_task_leaves_its_signal_harmless() -> None:
    signal: Signal[int] = Signal()

    async def wait() -> int:
        return await signal

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    signal.fire(1)
    assert await signal == 1


# -- rides -------------------------------------------------------------------------------------------------------------


async def test_a_ride_over_signals_alone_never_becomes_a_task(rides: Rides) -> None:
    signals: list[Signal[int]] = [Signal() for _ in range(4)]
    got: list[int] = []

    async def coro(ride: Ride) -> None:
        for signal in signals:
            got.append(await signal)

    rides.begin(coro, subject="s")
    for number, signal in enumerate(signals):
        assert Ride.stepping is False
        signal.fire(number)
    assert (got, rides.ends, rides.tasks) == ([0, 1, 2, 3], [("s", None)], [])


async def _lock() -> None:
    lock = asyncio.Lock()
    await lock.acquire()
    asyncio.get_running_loop().call_soon(lock.release)
    async with lock:
        pass


async def _future() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    await future


FOREIGN: dict[str, Callable[[], Body]] = {
    "sleep(0)": lambda: asyncio.sleep(0),
    "sleep": lambda: asyncio.sleep(0.001),
    "future": _future,
    "lock": _lock,
    "in_task": in_task,
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
async def test_the_first_foreign_await_makes_it_a_task_and_signals_go_on_working(
    rides: Rides, foreign: Callable[[], Body]
) -> None:
    before: Signal[int] = Signal()
    after: Signal[int] = Signal()
    seen: list[object] = []

    async def coro(ride: Ride) -> None:
        seen.append(await before)
        await foreign()
        task = asyncio.current_task()
        assert task is not None
        seen.append(Ride.stepping)
        seen.append(await after)
        assert asyncio.current_task() is task

    rides.begin(coro)
    assert rides.tasks == []
    before.fire(1)
    assert len(rides.tasks) == 1
    while len(seen) < 2:
        await asyncio.sleep(0)
    after.fire(2)
    await rides.over()
    assert seen == [1, False, 2]
    assert rides.ends == [(None, None)]
    assert len(rides.tasks) == 1


async def test_a_timeout_works_after_in_task(rides: Rides) -> None:
    """`in_task`: "Returns within a task: for what needs one, such as `asyncio.timeout`." """
    seen: list[str] = []

    async def coro(ride: Ride) -> None:
        await in_task()
        await in_task()
        try:
            async with asyncio.timeout(0.001):
                await Signal[None]()
        except TimeoutError:
            seen.append("late")

    asyncio.get_running_loop().call_soon(rides.begin, coro)  # a callback, in which there is no task
    await rides.over()
    assert (seen, rides.ends) == (["late"], [(None, None)])


async def test_in_task_returns_at_once_within_a_task() -> None:
    coro = in_task()
    with pytest.raises(StopIteration):
        coro.send(None)


@pytest.mark.parametrize("where", ["at once", "after a signal", "as a task", "in the step that makes it one"])
async def test_what_the_coroutine_raises_reaches_the_owner_once(rides: Rides, where: str) -> None:
    signal: Signal[None] = Signal()
    error = LookupError("x")

    async def coro(ride: Ride) -> None:
        if where == "after a signal":
            await signal
        elif where == "as a task":
            await asyncio.sleep(0)
        elif where == "in the step that makes it one":
            await in_task()
        raise error

    rides.begin(coro)
    signal.fire(None)
    await rides.over()
    assert rides.ends == [(None, error)]
    assert Ride.stepping is False


async def test_a_ride_may_begin_and_wake_rides_from_within(rides: Rides) -> None:
    inner_signal: Signal[int] = Signal()
    outer_signal: Signal[int] = Signal()
    seen: list[str] = []

    async def inner(ride: Ride) -> None:
        seen.append("inner")
        await inner_signal
        seen.append("inner on")

    async def outer(ride: Ride) -> None:
        rides.begin(inner, "inner")
        assert Ride.stepping is True
        inner_signal.fire(1)
        seen.append("outer")
        assert Ride.stepping is True
        await outer_signal
        seen.append("outer on")

    rides.begin(outer, "outer")
    outer_signal.fire(1)
    assert seen == ["inner", "inner on", "outer", "outer on"]
    assert rides.ends == [("inner", None), ("outer", None)]
    assert rides.tasks == []


async def test_a_ride_begun_within_a_task_leaves_the_task_a_task(rides: Rides) -> None:
    signal: Signal[None] = Signal()

    async def inner(ride: Ride) -> None:
        await signal

    rides.begin(inner)
    assert Ride.stepping is False
    mine: Signal[int] = Signal()
    asyncio.get_running_loop().call_soon(mine.fire, 1)
    assert await mine == 1
    signal.fire(None)
    assert len(rides.ends) == 1


# -- interruptions -----------------------------------------------------------------------------------------------------


class Road:
    """What an exchange does with an interruption: clean up behind `recovered`, and end."""

    def __init__(self, wait: Callable[[], Body]) -> None:
        self.wait = wait
        self.steps: list[str] = []

    async def __call__(self, ride: Ride) -> None:
        try:
            await self.wait()
            self.steps.append("arrived")
        except asyncio.CancelledError:
            self.steps.append("interrupted")
            await ride.recovered()
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
            self.steps.append("recovered")
        finally:
            self.steps.append("closed")


INTERRUPTED = ["interrupted", "recovered", "closed"]


async def test_interrupted_while_parked(rides: Rides) -> None:
    signal: Signal[None] = Signal()

    async def wait() -> None:
        await signal

    road = Road(wait)
    ride = rides.begin(road)
    ride.stop("client_left")
    assert road.steps == ["interrupted"]
    signal.fire(None)
    await rides.over()
    assert road.steps == INTERRUPTED
    assert rides.ends == [(None, None)]
    assert ride.reason == "client_left"


@pytest.mark.parametrize("how", ["fire", "set_result"])
async def test_a_signal_that_comes_after_the_interruption_does_nothing(rides: Rides, how: str) -> None:
    first: Signal[None] = Signal()
    second: Signal[int] = Signal()
    got: list[object] = []

    async def coro(ride: Ride) -> None:
        try:
            await first
        except asyncio.CancelledError:
            got.append("interrupted")
        got.append(await second)

    ride = rides.begin(coro)
    ride.stop("shutdown")
    getattr(first, how)(None)
    await asyncio.sleep(0)
    assert got == ["interrupted"], "it waits for the second now"
    second.fire(2)
    assert got == ["interrupted", 2]
    assert len(rides.ends) == 1


async def test_a_signal_already_set_that_is_still_to_wake_it_loses_to_the_interruption(rides: Rides) -> None:
    signal: Signal[None] = Signal()

    async def wait() -> None:
        await signal

    road = Road(wait)
    ride = rides.begin(road)
    signal.set_result(None)
    ride.stop("shutdown")
    await rides.over()
    assert (road.steps, len(rides.ends)) == (INTERRUPTED, 1)


async def test_interrupted_by_what_it_runs_itself(rides: Rides) -> None:
    """As when a write of the exchange finds the client gone: it is interrupted where it waits next."""
    current: list[Ride] = []
    signal: Signal[None] = Signal()

    async def wait() -> None:
        current[0].stop("client_left")
        await signal

    road = Road(wait)

    async def coro(ride: Ride) -> None:
        current.append(ride)
        await road(ride)

    rides.begin(coro)
    assert road.steps == []
    await rides.over()
    assert (road.steps, len(rides.ends)) == (INTERRUPTED, 1)


async def test_interrupted_by_itself_just_before_its_end_it_ends_well(rides: Rides) -> None:
    async def coro(ride: Ride) -> None:
        ride.stop("client_left")

    rides.begin(coro)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert rides.ends == [(None, None)]


async def test_interrupted_between_adoption_and_the_tasks_first_step(rides: Rides) -> None:
    """Cancelling a task that has not begun would pass the coroutine by: no settlement, no record."""
    road = Road(lambda: asyncio.sleep(60))
    ride = rides.begin(road)
    assert len(rides.tasks) == 1
    ride.stop("client_left")
    await rides.over()
    assert (road.steps, len(rides.ends)) == (INTERRUPTED, 1)


async def test_interrupted_as_a_task(rides: Rides) -> None:
    signal: Signal[None] = Signal()

    async def wait() -> None:
        await asyncio.sleep(0)
        await signal

    road = Road(wait)
    ride = rides.begin(road)
    for _ in range(3):
        await asyncio.sleep(0)
    ride.stop("body_timeout")
    await rides.over()
    signal.fire(None)
    assert (road.steps, rides.ends) == (INTERRUPTED, [(None, None)])


async def test_only_the_first_reason_counts_and_interrupts(rides: Rides) -> None:
    hold: Signal[None] = Signal()
    cuts = 0

    async def coro(ride: Ride) -> None:
        nonlocal cuts
        try:
            await Signal[None]()
        except asyncio.CancelledError:
            cuts += 1
            await ride.recovered()
        try:
            await hold
        except asyncio.CancelledError:
            cuts += 1

    ride = rides.begin(coro)
    ride.stop("client_left")
    ride.stop("shutdown")
    await asyncio.sleep(0)
    ride.stop("shutdown")
    hold.set_result(None)
    await rides.over()
    assert (cuts, ride.reason) == (1, "client_left")


@pytest.mark.parametrize("as_task", [False, True])
async def test_stopping_what_has_ended_changes_nothing(rides: Rides, as_task: bool) -> None:
    async def coro(ride: Ride) -> None:
        if as_task:
            await asyncio.sleep(0)

    ride = rides.begin(coro)
    await rides.over()
    ride.stop("shutdown")
    await asyncio.sleep(0)
    assert rides.ends == [(None, None)]


async def test_an_interruption_that_is_not_caught_is_the_end(rides: Rides) -> None:
    async def coro(ride: Ride) -> None:
        await Signal[None]()

    ride = rides.begin(coro)
    ride.stop("shutdown")
    [(_, error)] = rides.ends
    assert isinstance(error, asyncio.CancelledError)


async def test_under_another_server_the_task_itself_is_interrupted() -> None:
    lives: list[TaskLive] = []
    steps: list[str] = []

    async def exchange() -> None:
        live = TaskLive()
        lives.append(live)
        try:
            await Signal[None]()
        except asyncio.CancelledError:
            await live.recovered()
            await asyncio.sleep(0)
            steps.append("recovered")

    task = asyncio.ensure_future(exchange())
    await asyncio.sleep(0)
    lives[0].stop("client_left")
    await task
    assert (steps, task.cancelling()) == (["recovered"], 0)


# -- a ride is a task, but for the detour ------------------------------------------------------------------------------

WAITS = st.lists(
    st.tuples(st.sampled_from(["fired", "set", "known", "future", "sleep", "in_task", "error"]), st.integers(0, 9)),
    max_size=12,
)


async def _walk(steps: list[tuple[str, int]], log: list[object]) -> None:
    """Wait for all kinds of things in turn, each of which is brought about by a callback of the loop."""
    loop = asyncio.get_running_loop()
    for kind, value in steps:
        if kind == "sleep":
            await asyncio.sleep(0)
            got: object = value
        elif kind == "in_task":
            await in_task()
            got = value
        elif kind == "future":
            future: asyncio.Future[int] = loop.create_future()
            loop.call_soon(future.set_result, value)
            got = await future
        elif kind == "error":
            broken: asyncio.Future[int] = loop.create_future()
            loop.call_soon(broken.set_exception, LookupError(value))
            try:
                got = await broken
            except LookupError as error:
                got = error.args
        else:
            signal: Signal[int] = Signal()
            if kind == "known":
                signal.set_result(value)
            else:
                loop.call_soon(signal.fire if kind == "fired" else signal.set_result, value)
            got = await signal
        log.append((kind, got))
    if len(steps) % 3 == 2:
        raise ValueError(len(steps))


@settings(deadline=None)
@given(steps=WAITS, cut=st.none() | st.integers(0, 14))
def test_whatever_is_awaited_a_ride_gives_what_a_task_gives(steps: list[tuple[str, int]], cut: int | None) -> None:
    """ "the coroutine may await whatever it likes and need not know"; "A ride is interrupted by throwing
    `CancelledError` into it where it waits, as a task is". Not interrupted, result and order are equal; interrupted
    at any turn, what was done is a beginning of the same, and there is one end."""

    async def as_task() -> tuple[list[object], object]:
        log: list[object] = []
        [result] = await asyncio.gather(_walk(steps, log), return_exceptions=True)
        return log, getattr(result, "args", None)

    async def as_ride() -> tuple[list[object], object]:
        rides, log = Rides(), []

        async def coro(ride: Ride) -> None:
            await _walk(steps, log)

        ride = rides.begin(coro)
        if cut is not None:
            for _ in range(cut):
                await asyncio.sleep(0)
            ride.stop("shutdown")
        await rides.over()
        for _ in range(3):
            await asyncio.sleep(0)
        [(_, error)] = rides.ends
        assert Ride.stepping is False
        if isinstance(error, asyncio.CancelledError):
            assert cut is not None
            return log, "interrupted"
        return log, getattr(error, "args", None)

    expected, result = asyncio.run(as_task())
    log, outcome = asyncio.run(as_ride())
    if outcome == "interrupted":
        assert log == expected[: len(log)]
    else:
        assert (log, outcome) == (expected, result)
