"""The limit store of one worker: what it keeps across reloads, what it forgets, and clocks that are set."""

import asyncio

import pytest

from gateway.clock import ManualClock
from gateway.limits import memory
from gateway.limits.memory import EXPIRY_PAUSE, LAPSED, MARKS, SWEEP, MemoryStore
from gateway.quota import (
    NOTHING,
    Admitted,
    Bound,
    Calendar,
    Charge,
    Level,
    Measure,
    Refused,
    Rolling,
    Rule,
    Smooth,
    Window,
)

SECOND = 1_000_000_000


def bound(measure: Measure, amount: int, window: Window | None, key: str = "k") -> Bound:
    return Bound(Rule(id="r", measure=measure, amount=amount, window=window), key)


def spending(nanos: int) -> Charge:
    return Charge(nanos=nanos)


class SetClock(ManualClock):
    """A wall clock that can be set, beside one that goes on."""

    def set_by(self, seconds: float) -> None:
        self._now_ns += round(seconds * SECOND)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(clock: SetClock) -> MemoryStore:
    return MemoryStore(clock)


async def level(store: MemoryStore, of: Bound) -> tuple[int, int]:
    found = (await store.levels([of]))[0]
    return found.used, found.reserved


async def test_decides_at_once(store: MemoryStore) -> None:
    budget = bound("usd", 10, Calendar("month"))
    assert isinstance(store.admit_now("a", [budget], spending(10), 10), Admitted)
    assert isinstance(await store.admit("b", (budget,), spending(10), 10), Refused)
    await store.aclose()


async def test_expired_holds_are_counted_and_given_back_by_a_later_call(store: MemoryStore, clock: SetClock) -> None:
    budget = bound("usd", 10, Calendar("month"))
    for name, seconds in (("a", 5), ("b", 5), ("c", 9)):
        store.admit_now(name, [budget], spending(3), seconds)
    clock.advance(5)
    assert (store.under_way, store.expired) == (3, 0)
    assert isinstance(store.admit_now("d", [budget], spending(7), 100), Admitted)
    assert (store.under_way, store.expired) == (2, 2)
    clock.advance(4)
    assert await level(store, budget) == (0, 7)
    assert store.expired == 3


async def test_expired_holds_are_looked_for_at_most_a_hundred_times_a_second(
    store: MemoryStore, clock: SetClock
) -> None:
    budget = bound("usd", 10, Calendar("month"))
    store.admit_now("a", [budget], spending(1), 1)
    store.admit_now("b", [budget], spending(1), 1.001)
    clock.advance(1)
    assert await level(store, budget) == (0, 1)
    clock.advance(0.002)
    assert await level(store, budget) == (0, 1)
    clock.advance(EXPIRY_PAUSE / SECOND)
    assert await level(store, budget) == (0, 0)


async def test_an_expired_hold_cannot_be_extended(store: MemoryStore, clock: SetClock) -> None:
    budget = bound("usd", 10, Calendar("month"))
    store.admit_now("a", [budget], spending(1), 1)
    clock.advance(2)
    assert not await store.extend("a", Charge(requests=0, nanos=1), 10)
    assert await level(store, budget) == (0, 0)


async def test_a_hold_that_has_no_room_to_be_extended_lives_on(store: MemoryStore, clock: SetClock) -> None:
    """It is under way, or nobody would ask."""
    budget = bound("usd", 10, Calendar("month"))
    store.admit_now("a", [budget], spending(8), 10)
    clock.advance(9)
    assert not await store.extend("a", Charge(requests=0, nanos=3), 10)
    clock.advance(9)
    assert await level(store, budget) == (0, 8)


async def test_counters_outlive_a_reload(store: MemoryStore, clock: SetClock) -> None:
    """Rules are new objects after each; amounts, zones and rates count at once, in both directions."""
    key = "rate"
    fast, slow = bound("requests", 60, Smooth(60, 10), key), bound("requests", 6, Smooth(60, 10), key)
    for number in range(8):
        assert isinstance(store.admit_now(f"f{number}", [fast], Charge(), 10), Admitted)
    refusal = store.admit_now("x", [slow], Charge(requests=3), 10)
    assert isinstance(refusal, Refused)
    assert (refusal.available, refusal.retry_after) == (2, 10.0)
    clock.advance(5)
    refusal = store.admit_now("x", [fast], Charge(requests=10), 10)
    assert isinstance(refusal, Refused)
    assert (refusal.available, refusal.retry_after) == (2, 8.0)
    clock.advance(8)
    assert isinstance(store.admit_now("x", [fast], Charge(requests=10), 10), Admitted)


async def test_a_hold_is_settled_in_the_counter_it_was_taken_in_across_a_change_of_zone(store: MemoryStore) -> None:
    before, after = bound("usd", 10, Calendar("day")), bound("usd", 10, Calendar("day", "Asia/Tokyo"))
    store.admit_now("a", [before], spending(10), 100)
    assert await level(store, after) == (0, 10)
    store.settle("a", spending(4))
    assert await level(store, after) == (4, 0)
    assert store.counters == 1


async def test_another_measure_is_another_counter(store: MemoryStore) -> None:
    store.admit_now("a", [bound("usd", 10, Calendar("day"))], spending(10), 100)
    assert await level(store, bound("tokens", 10, Calendar("day"))) == (0, 0)


async def test_idle_counters_are_forgotten_and_busy_ones_kept(store: MemoryStore, clock: SetClock) -> None:
    """A counter for each of very many keys: at most twice those in use, and SWEEP more, are in memory."""
    busy, held, late, month = (
        bound("usd", 100, Rolling(3600), "busy"),
        bound("concurrent", 2, None, "held"),
        bound("usd", 10, Calendar("second"), "late"),
        bound("usd", 10, Calendar("month"), "month"),
    )
    store.admit_now("busy", [busy], spending(60), 10**6)
    store.admit_now("held", [held], Charge(), 10**6)
    store.admit_now("late", [late], spending(5), 10**6)
    store.admit_now("month", [month], spending(5), 10**6)
    store.settle("month", spending(5))
    for number in range(5 * SWEEP):
        clock.advance(0.1)
        decision = store.admit_now(f"h{number}", [bound("requests", 5, Rolling(1), f"k{number}")], Charge(), 5)
        assert isinstance(decision, Admitted)
        store.settle(f"h{number}", Charge())
        assert store.counters <= 2 * 30 + SWEEP
    assert await level(store, busy) == (0, 60)
    assert await level(store, held) == (0, 1)
    assert await level(store, month) == (5, 0)
    store.settle("late", spending(5))
    assert await level(store, late) == (0, 0)


async def test_a_counter_with_nothing_reserved_is_kept_for_its_hold(store: MemoryStore) -> None:
    """Nothing was reserved, but something is owed: it must not be lost because the counter looked idle."""
    budget = bound("usd", 100, Calendar("year"), "kept")
    store.admit_now("a", [budget], spending(0), 10**6)
    for number in range(3 * SWEEP):
        store.admit_now(f"h{number}", [bound("requests", 5, Rolling(1), f"k{number}")], Charge(), 10**6)
        store.settle(f"h{number}", NOTHING)
    assert store.counters < 2 * SWEEP
    store.settle("a", spending(40))
    assert await level(store, budget) == (40, 0)


async def test_marks_and_lapsed_holds_are_bounded(
    store: MemoryStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest MARKS settlements are remembered, and LAPSED expired holds can still be settled."""
    assert (MARKS, LAPSED) == (1024, 10_000)
    monkeypatch.setattr(memory, "MARKS", 50)
    monkeypatch.setattr(memory, "LAPSED", 20)
    budget = bound("usd", 10**9, Calendar("month"))
    for number in range(500):
        store.settle(f"s{number}", NOTHING)
        if number >= 49:
            store.admit_now(f"s{number - 49}", [budget], spending(1), 100)
    assert await level(store, budget) == (0, 0)
    store.admit_now("s0", [budget], spending(1), 100)
    assert await level(store, budget) == (0, 1)
    store.settle("s0", NOTHING)
    for number in range(30):
        store.admit_now(f"e{number}", [budget], spending(1), 1)
    clock.advance(2)
    assert await level(store, budget) == (0, 0)
    for number in range(30):
        store.settle(f"e{number}", spending(1))
    assert await level(store, budget) == (20, 0)


async def test_plans_are_bounded(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PLANS", 10)
    rules = [bound("requests", 100, Rolling(3600), f"k{number}") for number in range(8)]
    for first in rules:
        for second in rules:
            if first is not second:
                store.admit_now(f"{first.key}{second.key}", (first, second), Charge(), 100)
                assert max(len(store._plans), len(store._ready), len(store._lines)) <= 11
    assert await store.levels(rules) == [Level(0, 14, None)] * 8


async def test_bounds_may_come_as_a_list_that_changes(store: MemoryStore) -> None:
    """What is kept ready goes by the identity of a tuple; a list may hold other bounds the next time."""
    one, other = bound("requests", 1, Rolling(3600), "a"), bound("requests", 1, Rolling(3600), "b")
    asked = [one]
    assert isinstance(store.admit_now("1", asked, Charge(), 100), Admitted)
    asked[0] = other
    assert isinstance(store.admit_now("2", asked, Charge(), 100), Admitted)
    assert isinstance(store.admit_now("3", (one,), Charge(), 100), Refused)
    assert isinstance(store.admit_now("3", (bound("requests", 1, Rolling(3600), "b"),), Charge(), 100), Refused)


@pytest.mark.parametrize("back", [1.0, 3600.0, 86400.0 * 40])
async def test_a_clock_that_is_set_back_admits_nothing_twice_and_locks_nobody_out(
    store: MemoryStore, clock: SetClock, back: float
) -> None:
    """A wait gets longer by the step at most."""
    rolling, day = bound("requests", 1, Rolling(60), "r"), bound("usd", 10, Calendar("day"), "d")
    store.admit_now("a", [rolling, day], spending(10), 10**9)
    clock.set_by(-back)
    for number in range(10):
        clock.advance(1)
        assert isinstance(store.admit_now(f"r{number}", [rolling], Charge(), 10), Refused)
        assert isinstance(store.admit_now(f"d{number}", [day], spending(1), 10), Refused)
    clock.advance(60.25 + back)
    assert isinstance(store.admit_now("b", [rolling], Charge(), 10), Admitted)
    clock.advance(86400)
    assert isinstance(store.admit_now("c", [day], spending(10), 10), Admitted)


async def test_a_day_that_has_ended_does_not_run_again(store: MemoryStore, clock: SetClock) -> None:
    """Set back over midnight: neither is the new day's budget given twice, nor the old day's spent again."""
    day = bound("usd", 10, Calendar("day"))
    first = store.admit_now("a", [day], spending(11), 10)
    assert isinstance(first, Refused)
    store.admit_now("b", [day], spending(10), 10**6)
    refusal = store.admit_now("c", [day], spending(1), 10)
    assert isinstance(refusal, Refused)
    assert refusal.retry_after is not None
    clock.advance(refusal.retry_after)
    assert isinstance(store.admit_now("d", [day], spending(10), 10**6), Admitted)
    clock.set_by(-3600)
    for _ in range(40):
        clock.advance(100)
        assert isinstance(store.admit_now("e", [day], spending(1), 10), Refused)


@pytest.mark.parametrize("way", [["back"], ["forward", "back"]])
async def test_a_clock_that_was_false_leaves_no_false_window(
    store: MemoryStore, clock: SetClock, way: list[str]
) -> None:
    """A year ahead and back again: windows ended a year later. What they hold goes on as if it had been taken now."""
    bounds = [
        bound("usd", 100, Calendar("month"), "m"),
        bound("requests", 5, Rolling(60), "r"),
        bound("concurrent", 5, None, "c"),
        Bound(Rule(id="s", measure="requests", amount=60, window=Smooth(60, 5)), "s"),
    ]
    await store.admit("before", bounds, spending(10), 10**9)
    await store.admit("grown", bounds, spending(1), 10**9)
    assert await store.extend("grown", Charge(requests=0, nanos=4), 10**9)
    for step in way:
        clock.set_by(366 * 86_400 * (1 if step == "forward" else -1))
        await store.admit(f"while {step}", bounds, spending(20), 10**9)
    store.settle("while back", spending(7))
    levels = {each.key: await level(store, each) for each in bounds}
    spent, others = 7, [20] if "forward" in way else []
    assert levels["m"] == (spent, 10 + 5 + sum(others))
    assert levels["c"] == (0, 2 + len(others))
    assert levels["r"] == (1, 2 + len(others))
    assert 0 < levels["s"][0] <= 3 + len(others)
    (month, *_) = await store.levels(bounds)
    assert month.resets_at_ns is not None
    assert 0 < month.resets_at_ns - clock.now_ns() <= 31 * 86_400 * SECOND
    for name in ("before", "grown", "while forward"):
        store.settle(name, spending(3))
    assert {each.key: await level(store, each) for each in bounds} | {"s": (0, 0)} == {
        "m": (spent + 6 + 3 * len(others), 0),
        "r": (3 + len(others), 0),
        "c": (0, 0),
        "s": (0, 0),
    }
    clock.advance(62)
    assert await level(store, bounds[1]) == (0, 0)
    clock.advance(32 * 86_400)
    assert await level(store, bounds[0]) == (0, 0)


async def test_a_hold_that_a_false_clock_ended_is_counted_when_it_is_settled(
    store: MemoryStore, clock: SetClock
) -> None:
    day = bound("usd", 100, Calendar("day"))
    await store.admit("long", [day], spending(10), 600)
    clock.set_by(86_400 * 400)
    await store.admit("one", [day], spending(1), 600)
    assert store.expired == 1
    clock.set_by(-86_400 * 400)
    assert store.follow_clock()
    store.settle("long", spending(8))
    assert await level(store, day) == (8, 1)


async def test_interrupted_requests_leave_nothing_behind(store: MemoryStore) -> None:
    """A thousand tasks cancelled anywhere between admission and settlement, each settling in its `finally`."""
    budget, places = bound("usd", 10_000, Calendar("month")), bound("concurrent", 50, None, "c")
    spent = 0

    async def request(number: int) -> None:
        nonlocal spent
        name = f"h{number}"
        actual = NOTHING
        try:
            for _ in range(number % 5):
                await asyncio.sleep(0)
            if isinstance(await store.admit(name, [budget, places], spending(25), 60), Refused):
                return
            for _ in range(number % 7):
                await asyncio.sleep(0)
            await store.extend(name, Charge(requests=0, nanos=5), 60)
            actual = spending(number % 30)
            spent += number % 30
            await asyncio.sleep(0)
        finally:
            store.settle(name, actual)

    tasks = [asyncio.ensure_future(request(number)) for number in range(1000)]
    for number, task in enumerate(tasks):
        if number % 3 == 0:
            await asyncio.sleep(0)
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert store.under_way == 0
    assert await level(store, places) == (0, 0)
    assert await level(store, budget) == (spent, 0)
    assert 0 < spent <= 10_000
