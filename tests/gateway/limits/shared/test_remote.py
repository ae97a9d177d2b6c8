"""What goes out in one call, who waits how long, and that a request need not become a task to wait."""

import asyncio

import msgspec
import pytest

from gateway.limits.decide import asked
from gateway.limits.shared.packing import Answers
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


@pytest.mark.parametrize("amount", [75 * 10**16, 2**63, 35 * 10**18], ids=["client", "int64", "past uint64"])
async def test_an_amount_beyond_all_bounds_keeps_nobody_else_from_an_answer(
    redis_server: RedisServer, amount: int
) -> None:
    """`max_tokens` and `n` at their most are reserved under a budget that only warns, or a provider tells a usage gone
    mad: the counter holds more than a message can say, and all that went out with it was never answered again."""
    warned, other = budget(500 * 10**9, when_exhausted="warn", group="t:one"), budget(10, group="t:one")
    async with opened(redis_server.url) as store:
        for number in range(1500):
            decision = await store.admit(f"mad{number}", [warned], Charge(nanos=amount), LIFE)
            assert isinstance(decision, Admitted)
            assert not decision.degraded
        beside = [store.admit("beside", [warned], Charge(nanos=5), LIFE), store.admit("own", [other], Charge(), LIFE)]
        assert [(type(each), each.degraded) for each in await asyncio.gather(*beside)] == [(Admitted, False)] * 2
        assert (await store.levels([warned]))[0].reserved == 2**53
        store.settle("mad0", Charge(nanos=amount))
        for number in range(1, 1500):
            store.settle(f"mad{number}", Charge())
        await until(lambda: store.remote.operations >= 3003, "the settlements to go out")
        assert isinstance(await store.admit("after", [other], Charge(), LIFE), Admitted)
        assert not store.gauges().errors
        assert not store.gauges().owed


async def test_an_answer_that_cannot_be_read_is_not_taken_for_a_call_that_was_not_carried_out(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a settlement owes then is told as one that may have arrived: after the store has forgotten that it was
    settled, it is not entered a second time."""
    bound = budget(10**6)
    async with opened(redis_server.url) as store:
        await store.admit("h", [bound], Charge(nanos=7), LIFE)
        told: list[bool] = []

        class Owed:
            def undelivered(self, sent: bool) -> None:
                told.append(sent)

        def unreadable(data: bytes) -> Answers:
            raise msgspec.DecodeError("not what it should be")

        with monkeypatch.context() as patch:
            patch.setattr("gateway.limits.shared.remote.decode_answers", unreadable)
            store.remote.settle("h", bound.group, asked(Charge(nanos=7)), Owed())
            await until(lambda: told, "an answer")
        assert told == [True]
