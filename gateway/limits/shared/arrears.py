"""What a shared store that was away must still be told: kept in order, bounded, and told once it is back.

Telling is idempotent by hold: a hold that the store knows is not taken again, one that it has settled is not settled
again. It remembers settlements for `MARK_SECONDS`; what may have been settled longer ago than that is only settled, and
not taken, so that nothing is counted twice.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.limits.decide import Amounts
from gateway.limits.shared.packing import MARK_SECONDS
from gateway.limits.shared.plans import Plan
from gateway.limits.shared.remote import Remote

KEPT = 100_000
"""Settlements kept; with one more, the oldest is dropped and counted."""
AT_ONCE = 64


class Entry:
    """A hold of this worker."""

    __slots__ = ("amounts", "at", "borrowed", "plan", "seconds", "settled", "shared")

    def __init__(self, plan: Plan, amounts: Amounts, at: float, seconds: float) -> None:
        self.plan = plan
        self.amounts = amounts
        self.at = at
        """When it was admitted, on the loop's clock."""
        self.seconds = seconds
        self.shared = True
        """It was asked for in the shared store; else it was taken on this worker's share."""
        self.settled = False
        self.borrowed = False
        """It was taken in the shared store, and extended on this worker's share."""


class Debt:
    """A settlement on its way, or owed. Implements `gateway.limits.shared.remote.Delivery`."""

    __slots__ = ("actual", "arrears", "entry", "hold", "owed", "sent", "told")

    def __init__(self, arrears: "Arrears", hold: str, entry: Entry, actual: Amounts) -> None:
        self.arrears = arrears
        self.hold = hold
        self.entry = entry
        self.actual = actual
        self.sent: float | None = None
        """When it may have arrived for the first time, on the loop's clock; None: surely never."""
        self.owed = False
        self.told = False

    def undelivered(self, sent: bool) -> None:
        """It is owed from now on; once, even if several places did not hear of it."""
        self.arrears.undelivered(self, sent)


class Regret:
    """A hold that is to be forgotten. Implements `gateway.limits.shared.remote.Delivery`."""

    __slots__ = ("arrears", "entry", "hold")

    def __init__(self, arrears: "Arrears", hold: str, entry: Entry) -> None:
        self.arrears = arrears
        self.hold = hold
        self.entry = entry

    def undelivered(self, sent: bool) -> None:
        self.arrears.regret(self.hold, self.entry)


class Arrears:
    """Of one worker."""

    def __init__(self, remote: Remote, wake: Callable[[], None]) -> None:
        """`wake` is called when there is something to tell: `tell` should be called soon."""
        self._remote = remote
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._debts: deque[Debt] = deque()
        self._claims: deque[tuple[str, Entry]] = deque()
        self._regrets: dict[str, Entry] = {}
        self.dropped = 0
        """Settlements the store will never hear of."""
        self.told = 0
        """Holds that were entered afterwards."""

    def __len__(self) -> int:
        return len(self._debts) + len(self._regrets)

    def undelivered(self, debt: Debt, sent: bool) -> None:
        """A settlement did not arrive, or (`sent`) its answer did not."""
        if sent and debt.sent is None:
            debt.sent = self._loop.time()
        if not debt.owed:
            self.told -= debt.told
            self.add(debt)

    def add(self, debt: Debt) -> None:
        debt.owed = True
        self._wake()
        if len(self._debts) >= KEPT:
            self._debts.popleft()
            self.dropped += 1
        self._debts.append(debt)

    def claim(self, under_way: dict[str, Entry]) -> None:
        """The store has come back: what is under way is to be reserved there, if it is not."""
        self._claims = deque(under_way.items())

    def regret(self, hold: str, entry: Entry) -> None:
        """A request was refused without the store, which may have taken its hold: it is to forget it, unless the
        request comes again under the same name. Nothing is lost when that is never told: the hold expires."""
        if len(self._regrets) < KEPT:
            self._regrets[hold] = entry
            self._wake()

    def tell(self) -> bool:
        """Tell some, if the store is there; whether there are more to be told now. Settlements first: what was spent
        weighs more than what may be."""
        return self._tell_debts() or self._tell_regrets() or self._tell_claims()

    def _tell_regrets(self) -> bool:
        for hold, entry in list(self._regrets.items())[:AT_ONCE]:
            if not self._reaches(entry):
                return False
            del self._regrets[hold]
            for part in self._remote.parts(entry.plan):
                self._remote.undo(hold, part.groups[0], Regret(self, hold, entry))
        return bool(self._regrets)

    def no_regret(self, hold: str) -> None:
        """The request has come again."""
        self._regrets.pop(hold, None)

    def _reaches(self, entry: Entry) -> bool:
        return all(self._remote.there(part.groups[0]) for part in self._remote.parts(entry.plan))

    def _tell_claims(self) -> bool:
        now = self._loop.time()
        for _ in range(min(AT_ONCE, len(self._claims))):
            hold, entry = self._claims.popleft()
            if entry.settled or entry.at + entry.seconds <= now:
                continue
            for part in self._remote.parts(entry.plan):
                self._remote.held_elsewhere(hold, part, entry.amounts, now - entry.at, entry.seconds)
        return bool(self._claims)

    def _tell_debts(self) -> bool:
        debts = self._debts
        for _ in range(min(AT_ONCE, len(debts))):
            debt = debts.popleft()
            if not self._reaches(debt.entry):
                debts.append(debt)
                return False
            self._tell(debt)
        return bool(debts)

    def _tell(self, debt: Debt) -> None:
        entry, now = debt.entry, self._loop.time()
        self.told += 1
        debt.owed, debt.told = False, True
        for part in self._remote.parts(entry.plan):
            if debt.sent is None or now - debt.sent < MARK_SECONDS / 2:
                age = now - entry.at
                self._remote.settled_elsewhere(debt.hold, part, entry.amounts, age, debt.actual, debt)
            else:
                self._remote.settle(debt.hold, part.groups[0], debt.actual, debt, taken=False)
