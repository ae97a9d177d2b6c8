"""The limit store of a fleet: counters in Redis, and this worker's share of them while Redis is away.

While the server answers, it decides. When it is away, or has not answered within the patience, each rule says what
happens (`on_store_failure`): count on this worker's share, refuse, or let through. Whatever was let through so is
remembered, and entered in Redis when it is back, as if it had been asked: by hold, so each exactly once.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from gateway.limits.decide import asked, owed
from gateway.limits.memory import MemoryStore
from gateway.limits.shared.arrears import Arrears, Debt, Entry
from gateway.limits.shared.failover import Alone, together
from gateway.limits.shared.lease import Terms
from gateway.limits.shared.leases import Leases
from gateway.limits.shared.packing import level_of
from gateway.limits.shared.plans import Plan, joined
from gateway.limits.shared.remote import Remote
from gateway.limits.stores import StoreAway
from gateway.quota import Admitted, Bound, Charge, Decision, Level, Refused
from gateway.seams import Clock

PLANS = 8192
MARKS = 8192
"""The last so many settlements of holds nobody knew, at least, are remembered against an `admit` that comes late."""
FORGET = 60.0
"""Seconds a hold that expired is remembered here, so that a late settlement finds it."""
LAST_WORDS = 1.0
"""Seconds for them when the store is closed."""
RESTORED_AT_ONCE = 64
PACE = 0.005
"""Seconds between two portions of what Redis is told after an outage."""


class Counts(msgspec.Struct):
    """What happened since the start, for metrics."""

    alone: int = 0
    """Requests decided without Redis."""
    refused_away: int = 0
    """Of those, refused because a rule is `closed`."""
    outages: int = 0
    lapsed: int = 0
    """Requests admitted on a lease that nobody settled in time."""


class RedisStore:
    """Implements `gateway.seams.LimitStore`. Opened by `gateway.limits.stores.open_store`."""

    def __init__(
        self,
        remote: Remote,
        local: MemoryStore,
        clock: Clock,
        workers: int,
        on_state: Callable[[bool, str], None],
        lease: Terms | None = None,
        worker: str = "",
    ) -> None:
        """`lease`: what may be taken in advance, under the name of `worker`; None: nothing."""
        self._remote = remote
        self._loop = asyncio.get_running_loop()
        self._alone = Alone(local, clock, self._known)
        self._arrears = Arrears(remote, self._tell)
        self._leases = None if lease is None else Leases(remote, worker, lease, lambda: self.workers)
        self._on_state = on_state
        self._plans: dict[tuple[Bound, ...], Plan] = {}
        self._open: dict[str, Entry] = {}
        self._marks: dict[str, None] = {}
        self._marks_before: dict[str, None] = {}
        self._telling: asyncio.TimerHandle | None = None
        self.workers = workers
        """Workers that share the limits, as far as is known."""
        self.up = False
        self._decides = False
        self._said: set[str] | None = None
        """Why it does not decide, as far as that was told; None: it never did."""
        self.counts = Counts()
        self._alone.reset(workers)

    # --- LimitStore ---------------------------------------------------------------------------------------------

    def admit_now(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float) -> Decision | None:
        """What was leased is spent at once; None: the store has to be asked."""
        leases = self._leases
        if leases is None or hold in self._open or hold in self._marks or hold in self._marks_before:
            return None
        return leases.admit(hold, bounds, charge, seconds)

    def admit_quietly(
        self, hold: str, bounds: Sequence[Bound], read: int, written: int, nanos: int, stream: bool, seconds: float
    ) -> bytes | None:
        """What is shared has to be asked, or looked for in a lease."""
        return None

    async def admit(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float) -> Decision:
        if hold in self._marks or hold in self._marks_before:
            return Admitted()
        entry = self._open.get(hold)
        if entry is None:
            leases = self._leases
            if leases is not None and (decision := leases.admit(hold, bounds, charge, seconds)) is not None:
                return decision
            entry = self._open[hold] = Entry(self._plan_of(tuple(bounds)), asked(charge), self._loop.time(), seconds)
            if self._arrears:
                self._arrears.no_regret(hold)
        if entry.shared and self._reachable(entry.plan):
            decision = await self._ask(hold, entry)
            if decision is not None:
                if type(decision) is Refused:
                    self._forget(hold, entry)
                return decision
        return await self._decide_alone(hold, entry, charge)

    def settle(self, hold: str, actual: Charge) -> None:
        if self._leases is not None and self._leases.settle(hold, actual):
            return self._mark(hold)
        entry = self._open.pop(hold, None)
        if entry is None:
            return self._mark(hold)
        entry.settled = True
        amounts = owed(actual)
        debt = Debt(self._arrears, hold, entry, amounts)
        if entry.shared and self._reachable(entry.plan):
            for part in self._remote.parts(entry.plan):
                self._remote.settle(hold, part.groups[0], amounts, debt)
        else:
            self._arrears.add(debt)
        if not entry.shared:
            self._alone.settle(hold, actual)
        if entry.borrowed:
            self._alone.settle(hold)

    async def extend(self, hold: str, more: Charge, seconds: float) -> bool:
        entry = self._open.get(hold) or self._adopt(hold)
        if entry is None:
            return False
        done: bool | None = None
        if entry.shared and self._reachable(entry.plan):
            done = await self._extend(hold, entry, more, seconds)
            if done is False and self._leases is not None and self._leases.release(entry.plan.bounds):
                done = await self._extend(hold, entry, more, seconds)
        if done is None and entry.shared:
            done = entry.borrowed = await self._alone.extend(hold, entry.plan.bounds, more, seconds)
        elif done is None:
            done = await self._alone.extend_own(hold, more, seconds)
        entry.at, entry.seconds = self._loop.time() if done else entry.at, seconds
        if done:
            entry.amounts = together(entry.amounts, asked(more))
        return done

    async def levels(self, bounds: Sequence[Bound]) -> list[Level]:
        """While Redis is away: what counters held when they were last heard of, all of it as used."""
        free = [0] * len(bounds)
        if self._leases is not None:
            self._leases.tell(bounds)
            free = [self._leases.free(bound) for bound in bounds]
        plans = [self._plan_of((bound,)) for bound in bounds]
        asked_for = [self._remote.level(plan) if self._reachable(plan) else None for plan in plans]
        found: list[Level] = []
        for bound, signal, own in zip(bounds, asked_for, free, strict=True):
            answer = None if signal is None else await signal
            known = self._known(bound)
            found.append(level_of(answer, own) if answer else Level(known[0] if known else 0, 0, None))
        return found

    async def put(self, bound: Bound, used: int, seen: int | None = None) -> None:
        """Raises `StoreAway`."""
        if self._leases is not None:
            self._leases.release([bound])
        plan = self._plan_of((bound,))
        if not self._reachable(plan) or await self._remote.put(plan, used, seen) is None:
            raise StoreAway("the limit store is away: the counter was not changed")

    async def aclose(self) -> None:
        """What is owed is told, if the servers are there to hear it, and leases are given back."""
        if self._leases is not None:
            self._leases.close()
        end = self._loop.time() + LAST_WORDS
        while self._arrears and self.up and self._loop.time() < end:
            self._arrears.tell()
            await asyncio.sleep(PACE)
        if self._telling is not None:
            self._telling.cancel()
        await self._remote.aclose()

    # --- for who watches the servers ------------------------------------------------------------------------------

    def changed(self, up: bool, reason: str) -> None:
        """All servers are there, or one of them is not."""
        if up == self.up:
            return
        self.up = up
        if up:
            self._arrears.claim(self._open)
            self._tell()
        else:
            self.counts.outages += 1
            self._alone.reset(self.workers)
        self._say(reason)

    def trust(self, trusted: bool, reason: str) -> None:
        """Whether the servers' counters hold what they should. While they do not, the store is as good as away: what
        is owed is told, and nothing is asked."""
        if trusted == self._remote.trusted:
            return
        self._remote.trusted = trusted
        if self.up and trusted:
            self._arrears.claim(self._open)
            self._tell()
        elif self.up:
            self.counts.outages += 1
            self._alone.reset(self.workers)
        self._say(reason)

    def _say(self, reason: str) -> None:
        """Tell whoever wants to know whether this store decides, when that has changed."""
        decides = self.up and self._remote.trusted
        if decides != self._decides:
            self._decides = decides
            self._said = set() if decides else {reason}
            self._on_state(decides, reason)

    def explain(self, reason: str) -> None:
        """Tell once that there is another reason why it does not come back: "it closed the connection" says nothing of
        a password that was changed."""
        if self._said is not None and not self._decides and reason not in self._said:
            self._said.add(reason)
            self._on_state(False, reason)

    async def restore(self, places: Sequence[tuple[Bound, int, int]], ledger: str) -> int:
        """Add what counters had used before they were lost: (bound, place, amount in all), see `packing.Batch.restore`.
        Said again, it adds nothing. Returns how many of them were behind. Raises `StoreAway`."""
        behind = 0
        for at in range(0, len(places), RESTORED_AT_ONCE):
            signals = [self._remote.restore(*place, ledger) for place in places[at : at + RESTORED_AT_ONCE]]
            added = [await signal for signal in signals]
            if None in added:
                raise StoreAway("the limit store is away: not all was restored")
            behind += sum(1 for more in added if more)
        return behind

    def sweep(self) -> None:
        """Forget holds that nobody settled, long after they expired."""
        now = self._loop.time()
        for hold, local in [] if self._leases is None else self._leases.lapsed(now):
            self._open[hold] = Entry(local.combination.plan, local.amounts, local.at, local.seconds)
            self.counts.lapsed += 1
        for hold in [hold for hold, entry in self._open.items() if entry.at + entry.seconds + FORGET < now]:
            del self._open[hold]
        if self._arrears:
            self._tell()

    @property
    def arrears(self) -> Arrears:
        """What Redis must still be told."""
        return self._arrears

    @property
    def leases(self) -> Leases | None:
        return self._leases

    @property
    def remote(self) -> Remote:
        return self._remote

    # --- inside -------------------------------------------------------------------------------------------------

    def _plan_of(self, bounds: tuple[Bound, ...]) -> Plan:
        plan = self._plans.get(bounds)
        if plan is None:
            if len(self._plans) >= PLANS:
                self._plans.clear()
            plan = self._plans[bounds] = Plan(bounds)
        return plan

    def _reachable(self, plan: Plan) -> bool:
        parts = self._remote.parts(plan)
        if len(parts) == 1:
            return self._remote.ready(parts[0].groups[0])
        return all(self._remote.ready(part.groups[0]) for part in parts)

    def _known(self, bound: Bound) -> tuple[int, float] | None:
        known = self._remote.known.get(bound)
        return None if known is None else (known[0], self._loop.time() - known[1])

    async def _ask(self, hold: str, entry: Entry) -> Decision | None:
        """None: no answer in time."""
        leases = self._leases
        if leases is not None:
            leases.asked(entry.plan, entry.amounts)
        begun = self._loop.time()
        decision = await self._ask_once(hold, entry)
        if leases is None or type(decision) is not Refused or (self._loop.time() - begun) * 2 > self._remote.patience:
            return decision
        # It may have been refused for what is free in this very worker.
        return await self._ask_once(hold, entry) if leases.release(entry.plan.bounds) else decision

    async def _ask_once(self, hold: str, entry: Entry) -> Decision | None:
        if len(self._remote.parts(entry.plan)) == 1:
            return await self._remote.admit(hold, entry.plan, entry.amounts, entry.seconds)
        return await self._ask_in_turn(hold, entry)

    def _adopt(self, hold: str) -> Entry | None:
        """Let a hold of this process be one of the store, so that it can grow there."""
        local = None if self._leases is None else self._leases.hand_over(hold)
        if local is None:
            return None
        entry = self._open[hold] = Entry(local.combination.plan, local.amounts, local.at, local.seconds)
        if self.up:
            age = self._loop.time() - local.at
            for part in self._remote.parts(entry.plan):
                self._remote.held_elsewhere(hold, part, entry.amounts, age, entry.seconds)
        return entry

    async def _ask_in_turn(self, hold: str, entry: Entry) -> Decision | None:
        """None: no answer in time. Places of a Cluster are asked one after the other, and told to forget it when a
        later one refuses."""
        parts = self._remote.parts(entry.plan)
        said: list[Admitted] = []
        for part in parts:
            decision = await self._remote.admit(hold, part, entry.amounts, entry.seconds)
            if not isinstance(decision, Admitted):
                for earlier in parts[: len(said) + 1]:
                    self._remote.undo(hold, earlier.groups[0])
                return decision
            said.append(decision)
        return joined(said)

    async def _decide_alone(self, hold: str, entry: Entry, charge: Charge) -> Decision:
        if hold not in self._open:
            return Admitted(degraded=True)
        self.counts.alone += 1
        entry.shared = False
        decision = await self._alone.decide(hold, entry.plan.bounds, charge, entry.seconds)
        if isinstance(decision, Refused):
            self.counts.refused_away += decision.store_away
            self._forget(hold, entry)
            self._arrears.regret(hold, entry)
        return decision

    def _forget(self, hold: str, entry: Entry) -> None:
        entry.settled = True
        self._open.pop(hold, None)

    async def _extend(self, hold: str, entry: Entry, more: Charge, seconds: float) -> bool | None:
        """None: no answer in time. A Cluster's place that has no room leaves what others have lent: it is settled with
        the rest."""
        for part in self._remote.parts(entry.plan):
            answer = await self._remote.extend(hold, part, asked(more), seconds)
            if not answer:
                return None if answer is None else False
        return True

    def _mark(self, hold: str) -> None:
        """A settlement of a hold that the store does not know: an `admit` that comes after it takes nothing."""
        self._marks[hold] = None
        if len(self._marks) >= MARKS:
            self._marks_before, self._marks = self._marks, {}

    def _tell(self) -> None:
        """Tell what is owed, a portion at a time."""
        if self.up and self._telling is None:
            self._telling = self._loop.call_later(PACE, self._tell_some)

    def _tell_some(self) -> None:
        self._telling = None
        if self.up and self._arrears.tell():
            self._tell()
