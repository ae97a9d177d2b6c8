"""Who waits for a rate rule is admitted when the rule allows, in fair order, and leaves no trace when it gives up."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import SystemClock
from gateway.limits.memory import MemoryStore
from gateway.limits.waiting import LOOK, SOONEST, WaitingRoom, pause_before
from gateway.quota import Admitted, Bound, Charge, Decision, Refused, Rolling, Rule, Smooth
from gateway.ride import Ride

RULES = {
    "shared": Rule(id="shared", measure="requests", amount=1, window=Rolling(60), wait=60.0),
    "own": Rule(id="own", measure="requests", amount=1, window=Rolling(60), wait=60.0),
    "tokens": Rule(id="tokens", measure="tokens", amount=1, window=Rolling(60), wait=60.0),
    "brief": Rule(id="brief", measure="requests", amount=1, window=Rolling(60), wait=0.02),
    "strict": Rule(id="strict", measure="requests", amount=1, window=Rolling(60)),
    "busy": Rule(id="busy", measure="concurrent", amount=1, window=None, wait=60.0),
}


class Taps:
    """A limit store whose counters have room when the test says so: `left` of each may be taken."""

    def __init__(self, away: bool = False, **left: int) -> None:
        """`away`: it cannot decide without a round trip."""
        self.left = left
        self.away = away
        self.asked: list[str] = []
        self.retry_after: float | None = 0.0

    def admit_now(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float) -> Decision | None:
        return None if self.away else self.decide(hold, bounds, charge)

    def decide(self, hold: str, bounds: Sequence[Bound], charge: Charge) -> Decision:
        self.asked.append(hold)
        for bound in bounds:
            needed = charge.of(bound.rule.measure)
            if self.left.get(bound.key, 0) < needed:
                return Refused(bound, self.retry_after, needed, self.left.get(bound.key, 0))
        for bound in bounds:
            self.left[bound.key] -= charge.of(bound.rule.measure)
        return Admitted()

    async def admit(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float) -> Decision:
        if self.away:
            await asyncio.sleep(0)
        return self.decide(hold, bounds, charge)


class Visitors:
    """Rides through the room, and what became of them."""

    def __init__(self, store: Any, **room: Any) -> None:
        self.store = store
        self.room = WaitingRoom(asyncio.get_running_loop().time, **room)
        self.admitted: list[str] = []
        self.refused: dict[str, Refused] = {}
        self.interrupted: list[str] = []
        self.rides: dict[str, Ride] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def adopted(self, task: "asyncio.Task[None]") -> None:
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def ended(self, subject: object, error: BaseException | None) -> None:
        assert error is None

    def comes(self, name: str, team: str, *rules: str, weight: int = 1, tokens: int = 0) -> None:
        bounds = [Bound(RULES[rule], rule) for rule in rules]
        ride = self.rides[name] = Ride(asyncio.get_running_loop(), self, name)
        ride.begin(self._exchange(name, team, bounds, Charge(input_tokens=tokens), weight))

    async def _exchange(self, name: str, team: str, bounds: list[Bound], charge: Charge, weight: int) -> None:
        try:
            decision = self.room.admit_now(self.store, name, bounds, charge, 60.0)
            if decision is None:
                decision = await self.room.admit(self.store, name, bounds, charge, 60.0, team, weight)
        except asyncio.CancelledError:
            return self.interrupted.append(name)
        if isinstance(decision, Refused):
            self.refused[name] = decision
        else:
            self.admitted.append(name)

    @property
    def over(self) -> int:
        return len(self.admitted) + len(self.refused) + len(self.interrupted)

    def empty(self) -> bool:
        return self.room.waiting == 0 and not self.room.lines


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
async def there() -> AsyncIterator[Visitors]:
    visitors = Visitors(Taps())
    yield visitors
    for ride in visitors.rides.values():
        ride.stop("shutdown")
    await until(lambda: visitors.over == len(visitors.rides))
    assert visitors.empty()


async def test_who_may_wait_is_admitted_when_there_is_room(there: Visitors) -> None:
    there.comes("a", "x", "shared")
    await until(lambda: len(there.store.asked) > 2)
    assert not there.over
    there.store.left["shared"] = 1
    await until(lambda: there.admitted)
    assert there.empty()
    assert there.room.admitted == 1


async def test_a_store_that_is_asked_over_a_network_is_waited_for_as_well() -> None:
    there = Visitors(Taps(away=True))
    for name in "abcd":
        there.comes(name, "x", "shared")
    await until(lambda: there.room.waiting == 4)
    there.rides["c"].stop("client_left")
    there.store.left["shared"] = 3
    await until(lambda: there.over == 4)
    assert there.admitted == ["a", "b", "d"]
    assert there.empty()


async def test_who_may_not_wait_is_refused_at_once(there: Visitors) -> None:
    there.comes("a", "x", "strict")
    assert set(there.refused) == {"a"}


async def test_nobody_waits_for_what_cannot_be_had_in_time(there: Visitors) -> None:
    for retry_after in (None, 60.5):
        there.store.retry_after = retry_after
        there.comes(f"after {retry_after}", "x", "shared")
    await until(lambda: len(there.refused) == 2)
    assert there.room.refused == {"full": 0, "late": 0}


async def test_a_wait_that_was_in_vain_ends_with_the_refusal(there: Visitors) -> None:
    for name in "ab":
        there.comes(name, "x", "brief")
    await until(lambda: len(there.refused) == 2)
    assert {refused.bound.key for refused in there.refused.values()} == {"brief"}
    assert there.room.refused == {"full": 0, "late": 2}


async def test_only_the_head_of_a_line_asks(there: Visitors) -> None:
    for name in "abcd":
        there.comes(name, "x", "shared")
    await until(lambda: len(there.store.asked) > 5)
    assert set(there.store.asked) == {"a"}


async def test_a_flood_does_not_starve_another_team_on_a_shared_rule(there: Visitors) -> None:
    """ "Turns are shared by weight": the quiet team's requests are admitted in turn with the flood's, not after it."""
    for at in range(20):
        there.comes(f"n{at}", "noisy", "shared")
    for at in range(3):
        there.comes(f"q{at}", "quiet", "shared")
    there.store.left["shared"] = 8
    await until(lambda: len(there.admitted) == 8)
    assert {"q0", "q1", "q2"} < set(there.admitted[:7])
    assert there.admitted == sorted(there.admitted, key=lambda name: (int(name[1:]), name[0] == "q")), "first come"


async def test_turns_cost_what_the_rule_counts(there: Visitors) -> None:
    for at in range(40):
        there.comes(f"large{at}", "large", "tokens", tokens=10)
        there.comes(f"small{at}", "small", "tokens", tokens=1)
    there.store.left["tokens"] = 60
    await until(lambda: there.store.left["tokens"] < 1)
    large = sum(name.startswith("large") for name in there.admitted)
    assert (large, len(there.admitted) - large) == (3, 30)


async def test_a_newcomer_does_not_pass_the_line(there: Visitors) -> None:
    there.comes("a", "x", "shared")
    await until(lambda: there.store.asked)
    there.store.left["shared"] = 1
    there.comes("b", "y", "shared")
    await until(lambda: there.admitted)
    assert there.admitted == ["a"]
    assert not there.refused


async def test_one_teams_own_limit_does_not_hold_up_a_rule_it_shares(there: Visitors) -> None:
    """ "A head that must wait for another counter leaves this line first"."""
    there.comes("a", "x", "shared", "own")
    await until(lambda: there.store.asked)
    there.comes("b", "y", "shared")
    there.store.left.update(shared=1)
    await until(lambda: there.admitted == ["b"])
    there.store.left.update(shared=1, own=1)
    await until(lambda: there.admitted == ["b", "a"])


async def test_who_had_its_turn_in_one_line_stands_in_the_next(there: Visitors) -> None:
    there.store.left.update(shared=0, own=0)
    there.comes("a", "x", "own", "shared")
    there.comes("b", "y", "shared")
    await until(lambda: {"a", "b"} <= set(there.store.asked))
    there.store.left.update(own=1)
    await until(lambda: there.room.lines.keys() == {"shared"})
    there.store.left.update(shared=1)
    await until(lambda: there.admitted)
    assert there.admitted == ["b"]
    there.store.left.update(shared=1)
    await until(lambda: there.admitted == ["b", "a"])


async def test_who_leaves_while_waiting_is_taken_out_of_line(there: Visitors) -> None:
    for name in "abc":
        there.comes(name, "x", "shared")
    await until(lambda: there.store.asked)
    there.rides["b"].stop("client_left")
    there.rides["a"].stop("client_left")
    await until(lambda: len(there.interrupted) == 2)
    there.store.left["shared"] = 1
    await until(lambda: there.admitted == ["c"])


async def test_a_hold_that_is_settled_lets_the_next_in_at_once(there: Visitors) -> None:
    """What is under way ends when it ends: `settled` asks again then, not at the next look."""
    there.comes("a", "x", "busy")
    await until(lambda: there.store.asked and there.room.waiting)
    await until(lambda: there.room.lines["busy"].head.signal is not None)
    asked = len(there.store.asked)
    there.store.left["busy"] = 1
    there.room.settled([Bound(RULES["busy"], "busy"), Bound(RULES["own"], "own")])
    await until(lambda: there.admitted)
    assert len(there.store.asked) == asked + 1


@pytest.mark.parametrize("queue", [0, 1, 4])
async def test_the_room_is_bounded_over_all_lines(queue: int) -> None:
    there = Visitors(Taps(), queue=queue)
    for at in range(6):
        there.comes(f"a{at}", "x", "shared")
        there.comes(f"b{at}", "x", "tokens", tokens=5)
    await until(lambda: len(there.refused) == 12 - queue)
    assert there.room.waiting == queue
    assert there.room.refused["full"] == 12 - queue
    for ride in there.rides.values():
        ride.stop("shutdown")
    await until(there.empty)


async def test_a_flood_makes_room_for_another_team_in_a_full_room() -> None:
    there = Visitors(Taps(), queue=5)
    for at in range(5):
        there.comes(f"n{at}", "noisy", "shared")
    await until(lambda: there.room.waiting == 5)
    there.comes("q0", "quiet", "shared")
    await until(lambda: there.refused)
    assert set(there.refused) == {"n4"}
    assert there.refused["n4"].needed == 1
    for ride in there.rides.values():
        ride.stop("shutdown")
    await until(there.empty)


async def test_what_waits_is_admitted_at_the_rate_of_the_rule() -> None:
    """With the store of one worker: a burst of twelve against one request in 5 ms; nobody is refused, and none is
    admitted before its time."""
    rule = Rule(id="r", measure="requests", amount=200, window=Smooth(1, 2), wait=30.0)
    loop = asyncio.get_running_loop()
    room, store = WaitingRoom(loop.time), MemoryStore(SystemClock())
    began = loop.time()

    async def ask(number: int) -> float:
        decision = await room.admit(store, f"h{number}", [Bound(rule, "r")], Charge(), 60.0, f"t{number % 3}")
        assert isinstance(decision, Admitted)
        return loop.time() - began

    times = sorted(await asyncio.gather(*[ask(number) for number in range(12)]))
    assert all(time >= 0.005 * (at - 1) - 0.002 for at, time in enumerate(times))
    assert times[-1] < 5


@given(
    rule=st.sampled_from(list(RULES.values())),
    retry_after=st.one_of(st.none(), st.floats(0, 100)),
    left=st.floats(-1, 100),
    away=st.booleans(),
)
def test_a_pause_is_never_longer_than_what_is_left_of_the_wait(
    rule: Rule, retry_after: float | None, left: float, away: bool
) -> None:
    """ "Seconds after which a refused request should ask again, when it may wait for `left` more; None: waiting is of
    no use"."""
    refused = Refused(Bound(rule, "k"), retry_after, 1, 0, store_away=away)
    pause = pause_before(refused, left)
    if pause is None:
        useless = retry_after is None or (rule.window is not None and retry_after > left)
        assert rule.wait == 0 or left <= 0 or away or useless
    else:
        assert 0 < pause <= max(left, SOONEST)
        assert rule.window is not None or pause <= LOOK
        assert rule.window is None or retry_after is None or pause >= retry_after
    assert pause_before(msgspec.structs.replace(refused, bound=Bound(RULES["strict"], "k")), left) is None
