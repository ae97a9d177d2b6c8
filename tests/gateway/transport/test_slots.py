"""Who gets which connection: decided without I/O, so tried with any order of events."""

import asyncio

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.transport.slots import Slots

SIZE, MAX_IDLE = 3, 2


class Assignment(RuleBasedStateMachine):
    """A model of the pool's life: requests come, get or wait, finish, break and leave in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.slots: Slots[int] = Slots(SIZE, MAX_IDLE)
        self.serial = 0
        self.opening = 0
        self.serving: list[int] = []
        self.idle: list[int] = []
        self.line: list[asyncio.Future[int | None]] = []

    def teardown(self) -> None:
        self.loop.close()

    @rule()
    def request(self) -> None:
        taken = self.slots.take()
        if taken is not None:
            assert not self.line, "a newcomer passed the line"
            assert taken == self.idle.pop(), "the newest idle connection comes first"
            self.serving.append(taken)
        elif self.slots.reserve():
            assert not self.line
            assert not self.idle
            self.opening += 1
        else:
            assert self.line or self.opening + len(self.serving) == SIZE
            waiter: asyncio.Future[int | None] = self.loop.create_future()
            self.slots.queue(waiter)
            self.line.append(waiter)

    @precondition(lambda self: self.opening)
    @rule()
    def opened(self) -> None:
        self.opening -= 1
        self.serial += 1
        self.serving.append(self.serial)

    @precondition(lambda self: self.opening)
    @rule()
    def failed_to_open(self) -> None:
        self.opening -= 1
        self.slots.free()
        self._served_head()

    @precondition(lambda self: self.serving)
    @rule()
    def finished(self) -> None:
        connection = self.serving.pop(0)
        waiting = bool(self.line)
        if self.slots.release(connection):
            if waiting:
                self._served_head()
            else:
                self.idle.append(connection)
        else:
            assert not waiting
            assert len(self.idle) == MAX_IDLE
            self.slots.forget(connection)

    @precondition(lambda self: self.serving)
    @rule()
    def broke(self) -> None:
        self.slots.forget(self.serving.pop(0))
        self._served_head()

    @precondition(lambda self: self.idle)
    @rule()
    def expired(self) -> None:
        self.slots.forget(self.idle.pop(0))

    @precondition(lambda self: self.line)
    @rule()
    def gave_up(self) -> None:
        waiter = self.line.pop(len(self.line) // 2)
        waiter.cancel()
        self.slots.leave(waiter)

    def _served_head(self) -> None:
        if not self.line:
            return
        head = self.line.pop(0)
        assert head.done(), "whoever waited longest is served first"
        grant = head.result()
        if grant is None:
            self.opening += 1
        else:
            self.serving.append(grant)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.slots.in_use == self.opening + len(self.serving) <= SIZE
        assert self.slots.idle == len(self.idle) <= MAX_IDLE
        assert self.slots.waiting == len(self.line)
        assert not any(waiter.done() for waiter in self.line)
        assert self.slots.deserted == (not self.opening and not self.serving and not self.idle and not self.line)
        if self.line:
            assert self.slots.in_use == SIZE, "someone waits although a slot is free"


Assignment.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestAssignment = Assignment.TestCase


def test_dismissal_reaches_everyone() -> None:
    loop = asyncio.new_event_loop()
    slots: Slots[int] = Slots(0, 0)
    waiters: list[asyncio.Future[int | None]] = [loop.create_future() for _ in range(3)]
    for waiter in waiters:
        slots.queue(waiter)
    waiters[1].cancel()
    slots.dismiss(ConnectionError("over"))
    assert [waiter.cancelled() or str(waiter.exception()) for waiter in waiters] == ["over", True, "over"]
    loop.close()
