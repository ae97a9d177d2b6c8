"""What a worker has of one counter, to spend without asking the shared store. Pure: times are arguments, in seconds.

Strategy
--------
- **All of it is reserved in the store before it can be spent**, so no limit is passed: what leases do is strand quota,
  of which a worker keeps at most its share free, and for `life` seconds at most.
- **It is spent in epochs**, each one entry of the counter: a part of a rolling window, a calendar period. What was
  admitted in an epoch is settled there, also much later. An epoch is open until the store says that charges are entered
  elsewhere by now, or until its deadline, which is counted from before the store was asked, so that a period that ends
  there has not ended here.
- **A report says what every epoch is by now**, in absolute figures. One that is lost, or told twice, changes nothing;
  a grant whose answer is lost is given back by the next one.
- **An epoch is short** (`EPOCH`), however long the period is that it is entered in: a store that has lost what it held
  is told all of it again, and what of it had ended before is in the ledger too.
- **A worker that falls silent leaves its leases as used**: it may have spent them.
"""

import math
from typing import TypeAlias

import msgspec

from gateway.quota import MEASURES, Bound, Rolling, Smooth

LIFE = 1.0
"""Seconds a grant may be spent, at most; of a rolling window no more than a quarter of it."""
EPOCH = 2.0
"""Seconds from which on an epoch is spent from no more, though its place is still where charges are entered."""
AHEAD = 0.3
"""A lease is for what is taken in so many seconds."""
LOW = 4
"""It is renewed early when less than this part of it is left."""
OPEN = -1
"""The age of an epoch that is still spent from."""
CLOSED = -1
MICROS = 1_000_000

Entry: TypeAlias = int
Answer: TypeAlias = tuple[int, int, int, int]
"""What was granted (-1: a later report has overtaken this one), the epoch it is in (0: none), what the counter holds in
all, and microseconds until its period ends (-1: it has none)."""


class Epoch:
    """What was spent of one entry of the counter."""

    __slots__ = ("held", "last", "number", "since", "under_way", "used")

    def __init__(self, number: int, since: float) -> None:
        self.number = number
        self.since = since
        self.used = 0
        """Settled."""
        self.held = 0
        """Reserved by requests under way."""
        self.under_way = 0
        """How many these are: one that reserved nothing of this may take some all the same."""
        self.last = 0.0
        """When something was admitted last."""


class Terms(msgspec.Struct, frozen=True):
    """What may be leased."""

    share: float
    """How much of a limit a worker may have free, 0 to 1."""
    hot: float = 50.0
    """Admissions a second of one combination of bounds, in one worker, from which on it is leased."""
    tick: float = 0.1
    """Seconds between two looks at what is busy."""


class Report(msgspec.Struct, frozen=True):
    """One report of a lease, and what it asks for."""

    number: int
    entries: list[Entry]
    """Number, used, held and age (microseconds, or OPEN) of each epoch."""
    want: int
    """How much more is asked for; CLOSED: it is over, 0: it goes on with what is free."""
    least: int
    """Less than this is of no use."""
    finished: frozenset[int]
    """Epochs of which nothing will ever be said again, once this has arrived."""
    at: float
    """When it was made."""


def leasable(bound: Bound) -> bool:
    """Whether a counter can be leased. Not a rate (`burst`): its charges are spread by the store's clock, and a slice
    of them may be spent at once."""
    return bound.rule.amount > 0 and not isinstance(bound.rule.window, Smooth)


class Lease:
    """Of one counter. `free` may be spent until `deadline`; both are for `Leases` to read."""

    __slots__ = (
        "_closed",
        "_number",
        "_rolls",
        "bound",
        "changed",
        "deadline",
        "free",
        "gross",
        "last",
        "life",
        "low",
        "most",
        "name",
        "open",
        "past_soft",
        "pending",
        "pick",
        "rate",
        "reported",
        "resets_at",
        "room",
    )

    def __init__(self, bound: Bound, name: str, share: float) -> None:
        """`name` is this worker's, and this object's alone; `share` of the limit may be free here, 0 to 1."""
        rule = bound.rule
        self.bound = bound
        self.name = name
        self.pick = MEASURES.index(rule.measure)
        """Where its measure stands in `Amounts`."""
        self.most = max(1, int(rule.amount * share))
        self._rolls = isinstance(rule.window, Rolling)
        self.life = min(LIFE, rule.window.seconds / 4) if isinstance(rule.window, Rolling) else LIFE
        self.open: Epoch | None = None
        self.free = 0
        """What may be spent of the open epoch; below 0 when requests took more than they had reserved."""
        self.deadline = 0.0
        self.low = 0
        """With less than this free, it is to be renewed at once."""
        self.pending: Report | None = None
        """A report without an answer yet."""
        self.changed = False
        """There is something to report."""
        self.reported = 0.0
        """When it was reported last."""
        self.room = 0
        """What the counter had left at the last answer, all leases counted as used."""
        self.resets_at = 0.0
        self.past_soft = False
        self.gross = 0
        """What requests took since the last tick, and the last one of them."""
        self.last = 0
        self.rate = 0.0
        """What they take in a second."""
        self._closed: list[Epoch] = []
        self._number = 0

    @property
    def idle(self) -> bool:
        """Nothing of it is in the store."""
        return self.open is None and not self._closed and self.pending is None and not self.changed

    @property
    def held(self) -> int:
        """Reserved by requests under way."""
        return sum(epoch.held for epoch in self._closed) + (0 if self.open is None else self.open.held)

    def take(self, amount: int, now: float) -> Epoch:
        """Spend of what is free; the caller has seen that it is enough, and in time."""
        epoch = self.open
        assert epoch is not None
        self.free -= amount
        epoch.held += amount
        epoch.under_way += 1
        epoch.last = now
        return epoch

    def settle(self, epoch: Epoch, held: int, used: int) -> None:
        """Let what was taken be what it was in truth. What was not reserved is taken from what is free, whatever epoch
        it is counted in: so the store has all of it reserved, until that is used up."""
        epoch.under_way -= 1
        epoch.held -= held
        epoch.used += used
        self.changed = True
        if epoch is self.open or used > held:
            self.free += held - used
        if used > held:
            self.gross += used - held

    def hand_over(self, epoch: Epoch, held: int) -> None:
        """What was taken is entered in the store apart from this lease; what it took is not free again here."""
        epoch.under_way -= 1
        epoch.held -= held
        self.changed = True

    def _close(self) -> None:
        """Spend no more of the open epoch."""
        if self.open is not None:
            self._closed.append(self.open)
            self.open = None
            self.changed = True
        self.free = 0
        self.deadline = 0.0

    @property
    def target(self) -> int:
        """How much should be free."""
        return min(self.most, max(1, 2 * self.last, math.ceil(self.rate * AHEAD)))

    def due(self, now: float) -> bool:
        """Whether a lease that is wanted should be renewed, or others be told what it has given back."""
        if self.free * 2 <= self.target or self.deadline - now < self.life / 2:
            return True
        return self.changed and now - self.reported > self.life / 3

    def passed(self, seconds: float) -> None:
        """So long after the last time, learn what is taken in a second."""
        now = self.gross / seconds
        self.rate = max(now, (self.rate + now) / 2)
        self.gross = 0

    def report(self, now: float, target: int, *, more: bool = True) -> Report:
        """What there is to say, asking for as much as makes `target` free; 0: it is closed. Not `more`: nothing is
        asked for beyond what is free."""
        if not target or now >= self.deadline or (more and self._old(now)):
            self._close()
        self.free = min(max(self.free, 0), target)
        entries: list[int] = []
        for epoch in self._closed:
            entries += (epoch.number, epoch.used, epoch.held, int(max(0.0, now - epoch.last) * MICROS))
        if self.open is not None:
            entries += (self.open.number, self.open.used, self.open.held + self.free, OPEN)
        self._number += 1
        finished = frozenset(epoch.number for epoch in self._closed if not epoch.under_way)
        want = CLOSED if not target else self._wanted(target) if more else 0
        self.pending = Report(self._number, entries, want, min(self.last, max(want, 0)), finished, now)
        self.changed = False
        self.reported = now
        return self.pending

    def _old(self, now: float) -> bool:
        return self.open is not None and now - self.open.since >= EPOCH

    def _wanted(self, target: int) -> int:
        if self._rolls:
            # It will be another part by then, in which what is free of this one cannot be spent.
            return max(0, min(target, self.most - self.free))
        return target - self.free

    def answered(self, report: Report, answer: Answer, reset: float, now: float) -> None:
        """`reset`: seconds until everything of the counter is there again."""
        if report is not self.pending:
            return
        self.pending = None
        granted, number, total, ends = answer
        if granted < 0:
            self.changed = True
            return
        self._closed = [epoch for epoch in self._closed if epoch.number not in report.finished]
        rule = self.bound.rule
        self.room, self.resets_at = rule.amount - total, now + reset
        self.past_soft = rule.soft is not None and total >= rule.soft
        if self.room < 0:
            # Somebody took more than was reserved: what is free here is no excuse to go on.
            return self._close()
        if not number:
            return
        deadline = report.at + (self.life if ends < 0 else min(self.life, ends / MICROS))
        if self.open is None or number != self.open.number:
            self._close()
            self.open = Epoch(number, report.at)
        self.free += granted
        self.low = self.free // LOW
        self.deadline = deadline

    def lost(self, report: Report) -> None:
        """Nobody knows whether it has arrived."""
        if report is self.pending:
            self.pending = None
            self.changed = True
