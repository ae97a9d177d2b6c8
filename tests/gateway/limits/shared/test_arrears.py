"""What a store that was away is told, in which words, and how often."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from gateway.limits.decide import Amounts, asked, owed
from gateway.limits.shared import arrears
from gateway.limits.shared.arrears import Arrears, Debt, Entry
from gateway.limits.shared.packing import MARK_SECONDS
from gateway.limits.shared.plans import Plan
from gateway.limits.shared.remote import Delivery, Remote
from gateway.quota import Charge
from tests.gateway.limits.helpers import budget

TAKEN = asked(Charge(nanos=9))
ACTUAL = owed(Charge(nanos=4))


@dataclass
class Listener:
    """Hears what a `Remote` would be told."""

    up: bool = True
    woken: int = 0
    heard: list[tuple[str, str]] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    def wake(self) -> None:
        self.woken += 1

    def there(self, group: str) -> bool:
        return self.up

    def parts(self, plan: Plan) -> tuple[Plan, ...]:
        return plan.parts

    def settled_elsewhere(
        self, hold: str, plan: Plan, taken: Amounts, age: float, actual: Amounts, delivery: Delivery
    ) -> None:
        assert (taken, actual) == (TAKEN, ACTUAL)
        assert age >= 0
        self.heard.append(("taken and settled", hold))
        self.deliveries.append(delivery)

    def settle(self, hold: str, group: str, actual: Amounts, delivery: Delivery, taken: bool = True) -> None:
        assert not taken
        self.heard.append(("settled", hold))

    def held_elsewhere(self, hold: str, plan: Plan, taken: Amounts, age: float, seconds: float) -> None:
        self.heard.append(("held", hold))

    def undo(self, hold: str, group: str, delivery: Delivery) -> None:
        self.heard.append(("undone", hold))


def ours(listener: Listener) -> Arrears:
    return Arrears(cast(Remote, listener), listener.wake)


def entry(*groups: str, seconds: float = 60.0) -> Entry:
    bounds = tuple(budget(10, group=group) for group in groups or ("g",))
    return Entry(Plan(bounds), TAKEN, asyncio.get_running_loop().time(), seconds)


async def test_what_was_surely_not_settled_is_taken_and_settled_and_the_rest_only_settled() -> None:
    """It remembers settlements for `MARK_SECONDS`; what may have been settled longer ago than that is only settled, and
    not taken, so that nothing is counted twice."""
    listener = Listener()
    owing = ours(listener)
    now = asyncio.get_running_loop().time()
    owing.add(Debt(owing, "never sent", entry(), ACTUAL))
    for name, ago in (("just sent", 0.0), ("sent long ago", MARK_SECONDS)):
        debt = Debt(owing, name, entry(), ACTUAL)
        debt.sent = now - ago
        owing.add(debt)
    assert not owing.tell()
    assert listener.heard == [
        ("taken and settled", "never sent"),
        ("taken and settled", "just sent"),
        ("settled", "sent long ago"),
    ]
    assert (len(owing), owing.told, owing.dropped) == (0, 3, 0)


async def test_a_store_that_is_away_is_told_nothing() -> None:
    listener = Listener(up=False)
    owing = ours(listener)
    owing.add(Debt(owing, "a", entry(), ACTUAL))
    owing.regret("b", entry())
    assert not owing.tell()
    assert listener.heard == []
    assert len(owing) == 2


async def test_what_does_not_arrive_is_owed_again_once() -> None:
    listener = Listener()
    owing = ours(listener)
    owing.add(Debt(owing, "a", entry("g", "t:x"), ACTUAL))
    owing.tell()
    assert len(listener.deliveries) == 2
    for delivery in listener.deliveries:
        delivery.undelivered(True)
    assert (len(owing), owing.told, listener.woken) == (1, 0, 2)


async def test_the_oldest_is_dropped_and_counted() -> None:
    listener = Listener()
    owing = ours(listener)
    one = entry()
    for number in range(arrears.KEPT + 3):
        owing.add(Debt(owing, str(number), one, ACTUAL))
    assert (len(owing), owing.dropped) == (arrears.KEPT, 3)
    owing.tell()
    assert listener.heard[0] == ("taken and settled", "3")


async def test_what_is_under_way_is_claimed_after_what_was_spent() -> None:
    listener = Listener()
    owing = ours(listener)
    settled = entry()
    settled.settled = True
    owing.add(Debt(owing, "spent", entry(), ACTUAL))
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
        owing.add(Debt(owing, str(number), entry(), ACTUAL))
    assert owing.tell()
    assert len(listener.heard) == arrears.AT_ONCE
    assert not owing.tell()
    assert len(listener.heard) == arrears.AT_ONCE + 1
