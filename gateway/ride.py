"""How an exchange is run: stepped by the callbacks of sockets, and made an event loop's task only when it must be.

A task costs a detour through the loop's queue at every step, a good part of what Python does for an exchange. So a
`Ride` steps the exchange's coroutine itself. While it waits on a `Signal` (our own transport's) it is parked there, and
the callback that fires the signal runs it on, at once, in the same turn of the loop. The first time it awaits anything
else (a future, a sleep, a lock) it is adopted by a task and goes on as one, so the coroutine may await whatever it
likes and need not know.

A ride is interrupted by throwing `CancelledError` into it where it waits, as a task is.
"""

import asyncio
import types
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Generator
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

T = TypeVar("T")

StopReason = Literal["client_left", "shutdown", "body_timeout", "used_up"]


class _Adopt:
    """What a coroutine yields to be made a task and go on."""

    def __await__(self) -> Generator["_Adopt", None, None]:
        yield self


async def in_task() -> None:
    """Returns within a task: for what needs one, such as `asyncio.timeout`."""
    if Ride.stepping:
        await _Adopt()


class Signal(Generic[T]):
    """One wait of one coroutine for one event, as a future is, without the event loop's detour.

    `set_result` wakes the waiter on the loop's next turn, from wherever it is called; `fire` runs it on at once, and is
    for a callback that has nothing left to do.
    """

    __slots__ = ("_future", "_is_set", "_ride", "_value")

    def __init__(self) -> None:
        self._is_set = False
        self._value: T | None = None
        self._ride: Ride | None = None
        self._future: asyncio.Future[None] | None = None

    def done(self) -> bool:
        """Whether the event came."""
        return self._is_set

    def set_result(self, result: T) -> None:
        """The event came; the waiter is woken later. A second time does nothing."""
        if self._is_set:
            return
        self._is_set = True
        self._value = result
        if self._ride is not None:
            self._ride.resume_soon(self)
        else:
            self._wake_task()

    def fire(self, result: T) -> None:
        """The event came; the waiter runs on before this returns, if it is a ride that is parked here."""
        if self._is_set:
            return
        self._is_set = True
        self._value = result
        if self._ride is not None:
            self._ride.resume(self)
        else:
            self._wake_task()

    def _wake_task(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def park(self, ride: "Ride") -> None:
        """For `Ride`: it waits here."""
        self._ride = ride

    def __await__(self) -> Generator[Any, None, T]:
        if not self._is_set:
            if Ride.stepping:
                yield self
            else:
                self._future = asyncio.get_running_loop().create_future()
                yield from self._future
        return self._value  # pyright: ignore[reportReturnType]


class Live(ABC):
    """An exchange under way, as those who may stop it see it."""

    __slots__ = ("reason",)

    def __init__(self) -> None:
        self.reason: StopReason | None = None

    def stop(self, reason: StopReason) -> None:
        """Interrupt it where it waits. Only the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self._interrupt()

    @abstractmethod
    async def recovered(self) -> None:
        """Awaited by the exchange after it was interrupted: from here on it may await again, within a task."""

    @abstractmethod
    def _interrupt(self) -> None: ...


class TaskLive(Live):
    """An exchange that is a task from the beginning: under another server than ours."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        super().__init__()
        task = asyncio.current_task()
        assert task is not None
        self._task = task

    async def recovered(self) -> None:
        self._task.uncancel()

    def _interrupt(self) -> None:
        self._task.cancel()


class Owner(Protocol):
    """Who began a ride."""

    def adopted(self, task: "asyncio.Task[None]") -> None:
        """The ride goes on as this task, which must be held until it is done."""

    def ended(self, subject: Any, error: BaseException | None) -> None:
        """The coroutine has ended; `error` is what it raised."""


class Ride(Live):
    """Steps one coroutine to its end."""

    stepping: ClassVar[bool] = False
    """What runs just now is a ride's coroutine and no task's. (`asyncio.current_task` would tell, in a microsecond.)"""

    __slots__ = ("_coro", "_loop", "_owner", "_parked", "_running", "_started", "_subject", "_task")

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner, subject: object = None) -> None:
        """`subject` is what `owner` is told the end of."""
        self.reason = None
        self._loop = loop
        self._owner = owner
        self._subject = subject
        self._parked: Signal[Any] | None = None
        self._running = False
        self._task: asyncio.Task[None] | None = None
        self._started = False
        """The task has taken its first step; before that, cancelling it would pass the coroutine by."""

    def begin(self, coro: Coroutine[Any, Any, None]) -> None:
        """Run it up to where it first waits."""
        self._coro = coro
        self._step()

    def resume(self, signal: Signal[Any]) -> None:
        """Run on, if this is what it waits for."""
        if self._parked is signal:
            self._parked = None
            self._step()

    def resume_soon(self, signal: Signal[Any]) -> None:
        self._loop.call_soon(self.resume, signal)

    async def recovered(self) -> None:
        if self._task is not None:
            self._task.uncancel()
        else:
            await _Adopt()

    def _interrupt(self) -> None:
        if self._started and self._task is not None:
            self._task.cancel()
        elif self._running or self._task is not None:
            self._loop.call_soon(self._interrupt)
        elif self._parked is not None:
            self._parked = None
            self._step(asyncio.CancelledError())

    def _step(self, error: BaseException | None = None) -> None:
        within = Ride.stepping
        Ride.stepping = self._running = True
        try:
            waited = self._coro.send(None) if error is None else self._coro.throw(error)
        except StopIteration:
            return self._owner.ended(self._subject, None)
        except BaseException as raised:
            return self._owner.ended(self._subject, raised)
        finally:
            self._running = False
            Ride.stepping = within
        if type(waited) is Signal:
            self._parked = waited
            waited.park(self)
        else:
            self._task = self._loop.create_task(self._as_task(waited))
            self._owner.adopted(self._task)
        return None

    async def _as_task(self, waited: Any) -> None:
        self._started = True
        raised: BaseException | None = None
        try:
            await _go_on(self._coro, waited)
        except BaseException as error:
            raised = error
            raise
        finally:
            self._owner.ended(self._subject, raised)


@types.coroutine
def _go_on(coro: Coroutine[Any, Any, None], waited: Any) -> Generator[Any, Any, None]:
    """The rest of a coroutine that was begun, inside a task: what it yields is the task's to wait for."""
    if isinstance(waited, _Adopt):
        try:
            waited = coro.send(None)
        except StopIteration:
            return
    while True:
        try:
            sent = yield waited
        except BaseException as error:
            step, argument = coro.throw, error
        else:
            step, argument = coro.send, sent
        try:
            waited = step(argument)
        except StopIteration:
            return
