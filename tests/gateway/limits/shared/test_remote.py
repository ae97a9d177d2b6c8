"""What goes out in one call, who waits how long, and that a request need not become a task to wait."""

import asyncio

import pytest

from gateway.limits.decide import asked
from gateway.limits.shared.plans import Plan
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.shared.remote import AHEAD
from gateway.quota import Admitted, Charge
from gateway.ride import Ride
from tests.gateway.limits.helpers import LIFE, budget, holds, opened, until
from tests.support.redis_servers import RedisServer
from tests.support.stalling_proxy import stalling

ONE = asked(Charge(nanos=1))


class Riders:
    """Owns rides; none of them may become a task."""

    def __init__(self) -> None:
        self.ended_well = 0
        self.adoptions = 0

    def adopted(self, task: "asyncio.Task[None]") -> None:
        self.adoptions += 1

    def ended(self, subject: object, error: BaseException | None) -> None:
        self.ended_well += error is None


async def test_what_comes_in_one_turn_goes_out_in_one_call(redis_server: RedisServer) -> None:
    bound = budget(10**6)
    async with opened(redis_server.url) as store:
        before = store.gauges()
        await asyncio.gather(*(store.admit(f"h{n}", [bound], Charge(nanos=1), LIFE) for n in range(50)))
        after = store.gauges()
        assert after.calls - before.calls == 1
        assert after.operations - before.operations == 50
        for number in range(50):
            store.settle(f"h{number}", Charge(nanos=1))
        await until(lambda: store.gauges().calls - after.calls == 1, "the settlements to go out")
        await holds(store, bound, 50)


@pytest.mark.parametrize(("spacing", "sent", "in_all"), [(60.0, AHEAD, AHEAD + 1), (-1.0, 10, 10)])
async def test_what_comes_while_enough_calls_are_under_way_joins_the_next_one_for_a_while(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, spacing: float, sent: int, in_all: int
) -> None:
    monkeypatch.setattr("gateway.limits.shared.remote.SPACING", spacing)
    plan = Plan((budget(10**6),))
    async with stalling(redis_server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as store:
        begun = store.remote.calls
        signals = []
        proxy.stall()
        for turn in range(10):
            signals.append(store.remote.admit(f"t{turn}", plan, ONE, LIFE))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert store.remote.calls - begun == sent
        proxy.flow()
        for signal in signals:
            assert isinstance(await signal, Admitted)
        assert store.remote.calls - begun == in_all


async def test_a_ride_waits_without_becoming_a_task(redis_server: RedisServer) -> None:
    bound, riders = budget(10**6), Riders()

    async def request(store: SharedStore, hold: str) -> None:
        assert isinstance(await store.admit(hold, [bound], Charge(nanos=2), LIFE), Admitted)
        assert await store.extend(hold, Charge(requests=0, nanos=3), LIFE)
        store.settle(hold, Charge(nanos=4))

    async with opened(redis_server.url) as store:
        for number in range(20):
            Ride(asyncio.get_running_loop(), riders).begin(request(store, f"ride{number}"))
        await until(lambda: riders.ended_well == 20, "the rides to end")
        await holds(store, bound, 80)
    assert riders.adoptions == 0


async def test_who_waited_long_enough_is_told_and_a_late_answer_is_not_used(redis_server: RedisServer) -> None:
    plan = Plan((budget(10**6),))
    async with (
        stalling(redis_server.port) as proxy,
        opened(f"redis://127.0.0.1:{proxy.port}", patience=0.04) as store,
    ):
        proxy.stall()
        first = store.remote.admit("late", plan, ONE, LIFE)
        assert await first is None
        assert store.remote.timeouts == 1
        assert not store.remote.ready("g")
        proxy.flow()
        await until(lambda: store.up and store.remote.ready("g"), "the answer to come")
        store.remote.undo("late", "g")
        await holds(store, plan.bounds[0], 0)


async def test_a_hundred_at_once_do_not_wait_for_the_end_of_the_turn(redis_server: RedisServer) -> None:
    bound = budget(10**6)
    async with opened(redis_server.url) as store:
        plan = Plan((bound,))
        before = store.remote.calls
        for number in range(300):
            store.remote.undo(f"unknown{number}", plan.groups[0])
        assert store.remote.calls - before == 2
