"""What a store that was away is told, in which words, and how often."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from gateway.limits import arrears
from gateway.limits.arrears import Arrears, Debt, Entry
from gateway.limits.decide import Amounts, asked, owed
from gateway.limits.packing import MARK_SECONDS
from gateway.limits.plans import Plan
from gateway.limits.remote import Remote, Undelivered
from gateway.quota import Charge
from tests.gateway.limits.helpers import budget

TAKEN = asked(Charge(nanos=9))
ACTUAL = owed(Charge(nanos=4))


@dataclass
class Listener:
    """Hears what a `Remote` would be told."""

    there: bool = True
    heard: list[tuple[str, str]] = field(default_factory=list)
    undelivered: list[Undelivered] = field(default_factory=list)

    def ready(self, group: str) -> bool:
        return self.there

    def parts(self, plan: Plan) -> tuple[Plan, ...]:
        return plan.parts

    def settled_elsewhere(
        self, hold: str, plan: Plan, taken: Amounts, age: float, actual: Amounts, undelivered: Undelivered
    ) -> None:
        assert (taken, actual) == (TAKEN, ACTUAL)
        assert age >= 0
        self.heard.append(("taken and settled", hold))
        self.undelivered.append(undelivered)

    def settle(self, hold: str, group: str, actual: Amounts, undelivered: Undelivered, taken: bool = True) -> None:
        assert not taken
        self.heard.append(("settled", hold))

    def held_elsewhere(self, hold: str, plan: Plan, taken: Amounts, age: float, seconds: float) -> None:
        self.heard.append(("held", hold))

    def undo(self, hold: str, group: str, undelivered: Undelivered) -> None:
        self.heard.append(("undone", hold))


def ours(listener: Listener) -> Arrears:
    return Arrears(cast(Remote, listener))


def entry(*groups: str, seconds: float = 60.0) -> Entry:
    bounds = tuple(budget(10, group=group) for group in groups or ("g",))
    return Entry(Plan(bounds), TAKEN, asyncio.get_running_loop().time(), seconds)


async def test_what_was_surely_not_settled_is_taken_and_settled_and_the_rest_only_settled() -> None:
    """It remembers settlements for `MARK_SECONDS`; what may have been settled longer ago than that is only settled, and
    not taken, so that nothing is counted twice."""
    listener = Listener()
    owing = ours(listener)
    now = asyncio.get_running_loop().time()
    owing.add(Debt("never sent", entry(), ACTUAL, None))
    owing.add(Debt("just sent", entry(), ACTUAL, now))
    owing.add(Debt("sent long ago", entry(), ACTUAL, now - MARK_SECONDS))
    assert not owing.tell()
    assert listener.heard == [
        ("taken and settled", "never sent"),
        ("taken and settled", "just sent"),
        ("settled", "sent long ago"),
    ]
    assert (len(owing), owing.told, owing.dropped) == (0, 3, 0)


async def test_a_store_that_is_away_is_told_nothing() -> None:
    listener = Listener(there=False)
    owing = ours(listener)
    owing.add(Debt("a", entry(), ACTUAL, None))
    owing.regret("b", entry())
    assert not owing.tell()
    assert listener.heard == []
    assert len(owing) == 2


async def test_what_does_not_arrive_is_owed_again_once() -> None:
    listener = Listener()
    owing = ours(listener)
    owing.add(Debt("a", entry("g", "t:x"), ACTUAL, None))
    owing.tell()
    assert len(listener.undelivered) == 2
    for undelivered in listener.undelivered:
        undelivered(True)
    assert (len(owing), owing.told) == (1, 0)


async def test_the_oldest_is_dropped_and_counted() -> None:
    listener = Listener()
    owing = ours(listener)
    one = entry()
    for number in range(arrears.KEPT + 3):
        owing.add(Debt(str(number), one, ACTUAL, None))
    assert (len(owing), owing.dropped) == (arrears.KEPT, 3)
    owing.tell()
    assert listener.heard[0] == ("taken and settled", "3")


async def test_what_is_under_way_is_claimed_after_what_was_spent() -> None:
    listener = Listener()
    owing = ours(listener)
    settled = entry()
    settled.settled = True
    owing.add(Debt("spent", entry(), ACTUAL, None))
    owing.claim({"under way": entry(), "over": settled, "expired": entry(seconds=-1.0)})
    assert not owing.tell()
    assert listener.heard == [("taken and settled", "spent"), ("held", "under way")]


async def test_a_refused_request_that_comes_again_is_not_undone() -> None:
    listener = Listener()
    owing = ours(listener)
    owing.regret("again", entry())
    owing.regret("gone", entry())
    owing.no_regret("again")
    owing.tell()
    assert listener.heard == [("undone", "gone")]


async def test_a_great_deal_is_told_in_portions() -> None:
    listener = Listener()
    owing = ours(listener)
    for number in range(arrears.AT_ONCE + 1):
        owing.add(Debt(str(number), entry(), ACTUAL, None))
    assert owing.tell()
    assert len(listener.heard) == arrears.AT_ONCE
    assert not owing.tell()
    assert len(listener.heard) == arrears.AT_ONCE + 1
