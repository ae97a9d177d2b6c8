"""What a worker decides alone."""

import pytest

from gateway.clock import ManualClock
from gateway.limits.decide import asked
from gateway.limits.memory import MemoryStore
from gateway.limits.shared.failover import Alone, together
from gateway.quota import NOTHING, Admitted, Bound, Calendar, Charge, Refused, Rolling, Rule, StoreFailure, Window


def bound(amount: int, window: Window | None, fails: StoreFailure = "local", name: str = "k", **rule: object) -> Bound:
    made = Rule(id=name, measure="usd", amount=amount, window=window, on_store_failure=fails, **rule)
    return Bound(made, name, "t:a")


class Fleet:
    """What was last heard of its counters."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.known: dict[Bound, tuple[int, float]] = {}
        self.alone = Alone(MemoryStore(self.clock), self.clock, self.known.get)

    def outage(self, workers: int) -> None:
        self.alone.reset(workers)

    async def decide(self, hold: str, nanos: int, *bounds: Bound) -> Admitted | Refused:
        return await self.alone.decide(hold, bounds, Charge(nanos=nanos), 60.0)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


async def test_a_share_is_an_nth_and_speaks_of_the_rule_as_written(fleet: Fleet) -> None:
    fleet.outage(4)
    budget = bound(1000, Calendar("month"), soft=400)
    first = await fleet.decide("a", 150, budget)
    assert first == Admitted(soft=(budget,), crossed=(budget,), degraded=True)
    second = await fleet.decide("b", 101, budget)
    assert isinstance(second, Refused)
    assert (second.bound, second.available, second.store_away) == (budget, 100, False)
    fleet.alone.settle("a")
    assert isinstance(await fleet.decide("c", 250, budget), Admitted)


@pytest.mark.parametrize(
    ("window", "age", "left"),
    [
        (Calendar("month"), 3600.0, 100),
        (Calendar("minute"), 61.0, 500),
        (Rolling(60), 59.0, 100),
        (Rolling(60), 61.0, 500),
        (None, 1.0, 500),
    ],
)
async def test_a_share_begins_with_what_was_used_if_that_still_counts(
    fleet: Fleet, window: Window | None, age: float, left: int
) -> None:
    budget = bound(1000, window)
    fleet.known[budget] = (799, age)
    fleet.outage(2)
    assert isinstance(await fleet.decide("a", left + 1, budget), Refused)
    assert isinstance(await fleet.decide("b", left, budget), Admitted)
    # It is looked up once an outage, not once a request.
    assert isinstance(await fleet.decide("c", 1, budget), Refused)


async def test_closed_refuses_before_anything_is_taken_and_open_is_not_counted(fleet: Fleet) -> None:
    fleet.outage(1)
    shut, free, local = bound(10, None, "closed", "a"), bound(0, None, "open", "b"), bound(10, None, "local", "c")
    refused = await fleet.decide("a", 10, local, free, shut)
    assert isinstance(refused, Refused)
    assert (refused.bound, refused.store_away, refused.retry_after) == (shut, True, 1.0)
    assert isinstance(await fleet.decide("b", 10, local, free), Admitted)
    assert isinstance(await fleet.decide("c", 1, local, free), Refused)


async def test_extensions(fleet: Fleet) -> None:
    fleet.outage(2)
    budget = bound(100, Rolling(60))
    assert isinstance(await fleet.decide("own", 20, budget), Admitted)
    assert await fleet.alone.extend_own("own", Charge(requests=0, nanos=20), 60)
    assert not await fleet.alone.extend_own("own", Charge(requests=0, nanos=11), 60)
    # One that was taken in Redis borrows here, and gives it back in the end.
    assert await fleet.alone.extend("redis", [budget], Charge(requests=0, nanos=10), 60)
    assert not await fleet.alone.extend("redis2", [budget], Charge(requests=0, nanos=1), 60)
    fleet.alone.settle("redis", NOTHING)
    assert await fleet.alone.extend("redis3", [budget], Charge(requests=0, nanos=10), 60)
    shut = bound(100, Rolling(60), "closed", "s")
    assert not await fleet.alone.extend("redis4", [shut], Charge(requests=0, nanos=1), 60)


def test_two_goes_are_one_sum() -> None:
    assert together(asked(Charge(1, 2, 3)), asked(Charge(10, 20, 30, requests=0))) == (1, 11, 22, 33, 33, 1, 0, 0)
