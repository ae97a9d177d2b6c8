"""What a shared store that was away must still be told: kept in order, bounded, and told once it is back.

Telling is idempotent by hold: a hold that the store knows is not taken again, one that it has settled is not settled
again. It remembers settlements for `MARK_SECONDS`; what may have been settled longer ago than that is only settled, and
not taken, so that nothing is counted twice.
"""

import asyncio
from collections import deque

from gateway.limits.decide import Amounts
from gateway.limits.packing import MARK_SECONDS
from gateway.limits.plans import Plan
from gateway.limits.remote import Remote

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
    """A settlement. `sent`: when it was sent for the first time; None: surely never."""

    __slots__ = ("actual", "entry", "hold", "sent")

    def __init__(self, hold: str, entry: Entry, actual: Amounts, sent: float | None) -> None:
        self.hold = hold
        self.entry = entry
        self.actual = actual
        self.sent = sent


class Arrears:
    """Of one worker."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
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

    def add(self, debt: Debt) -> None:
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
                self._remote.undo(hold, part.groups[0], lambda _, hold=hold, entry=entry: self.regret(hold, entry))
        return bool(self._regrets)

    def no_regret(self, hold: str) -> None:
        """The request has come again."""
        self._regrets.pop(hold, None)

    def _reaches(self, entry: Entry) -> bool:
        return all(self._remote.ready(part.groups[0]) for part in self._remote.parts(entry.plan))

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
        again = _Again(self, debt)
        for part in self._remote.parts(entry.plan):
            if debt.sent is None or now - debt.sent < MARK_SECONDS / 2:
                age = now - entry.at
                self._remote.settled_elsewhere(debt.hold, part, entry.amounts, age, debt.actual, again)
            else:
                self._remote.settle(debt.hold, part.groups[0], debt.actual, again, taken=False)
        if debt.sent is None:
            debt.sent = now


class _Again:
    """Puts a settlement back that did not arrive; once, even if several places did not hear of it."""

    __slots__ = ("_arrears", "_debt", "_done")

    def __init__(self, arrears: Arrears, debt: Debt) -> None:
        self._arrears = arrears
        self._debt = debt
        self._done = False

    def __call__(self, sent: bool) -> None:
        if not self._done:
            self._done = True
            self._arrears.told -= 1
            self._arrears.add(self._debt)
