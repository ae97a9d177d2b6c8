"""Time-outs against a loop whose time the test sets; on real loops in `test_connection.py`."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.transport.alarm import SLACK, Alarm


class Timer:
    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at, self.call, self.cancelled = at, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop(asyncio.AbstractEventLoop):
    """Fires timers when it is told what time it is."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        self.made += 1
        self.timers.append(Timer(when, callback))
        return self.timers[-1]

    def run_until(self, end: float) -> None:
        while True:
            self.timers = [each for each in self.timers if not each.cancelled]
            first = min(self.timers, key=lambda each: each.at, default=None)
            if first is None or first.at > end:
                self.now = max(self.now, end)
                return
            self.timers.remove(first)
            self.now = max(self.now, first.at)
            first.call()


class Waiter(Alarm):
    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.until = math.inf
        self.over: list[float] = []

    def wait(self, until: float) -> None:
        self.until = until
        if until < self._timer_at:
            self._arm(until)

    def leave(self) -> None:
        self._disarm()

    def _due(self) -> float:
        return self.until

    def _expire(self, now: float) -> None:
        assert self.until <= now
        self.until = math.inf
        self.over.append(now)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=20))
def test_the_last_time_out_that_was_set_counts_and_no_other(steps: list[tuple[float, float]]) -> None:
    """When it fires it looks at what is due and arms itself again."""
    loop = Loop()
    waiter = Waiter(loop)
    for passes, waits in steps:
        if waiter.until < math.inf:
            waiter.over.clear()
        waiter.wait(loop.now + waits)
        due = waiter.until
        loop.run_until(loop.now + passes)
        if due > loop.now + SLACK:
            assert waiter.until == due
        elif due < loop.now - 2 * SLACK:
            assert waiter.until == math.inf
            assert due <= waiter.over[-1] <= due + 2 * SLACK + 1e-9
    loop.run_until(math.nextafter(1e9, 0))
    assert waiter.until == math.inf
    assert loop.timers == []


def test_setting_a_time_out_later_than_the_timer_arms_nothing() -> None:
    """Setting one is storing a float: the timer is armed only when none is armed early enough."""
    loop = Loop()
    waiter = Waiter(loop)
    for number in range(1000):
        waiter.wait(5.0 + number)
    assert loop.made == 1


def test_a_loop_that_stood_still_has_another_chance_to_read() -> None:
    """A time-out is judged only after the loop had another chance to read."""
    loop = Loop()
    waiter = Waiter(loop)
    waiter.wait(1.0)
    loop.now = 60.0
    loop.timers.pop().call()
    assert waiter.over == []
    waiter.wait(90.0)  # what was read meanwhile began another wait
    loop.run_until(70.0)
    assert waiter.over == []


def test_after_the_end_nothing_fires() -> None:
    loop = Loop()
    waiter = Waiter(loop)
    waiter.wait(1.0)
    waiter.leave()
    loop.run_until(10.0)
    assert waiter.over == []
