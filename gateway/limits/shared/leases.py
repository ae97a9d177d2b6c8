"""The leases of one worker: requests of busy keys are admitted here, at once, on quota that was taken in advance.

- **Only what is busy is leased**: counters of a combination of bounds that is hot in this worker (`Terms.hot`), and as
  much of them as it takes in `lease.AHEAD` seconds, at most the configured share of the limit and a part of what is
  left. All else is asked for in the store as ever.
- **Nothing is refused here.** What does not fit goes to the store; when that has no room, what is free here is given
  back and it is asked once more.
- **A request under way is a hold of this process**, settled in the epoch it was taken in. One that grows (`extend`)
  becomes a hold of the store, entered there by force: it had its place.
"""

import asyncio
from collections.abc import Callable, Sequence

from gateway.limits.decide import Amounts, asked, owed
from gateway.limits.shared.lease import Answer, Epoch, Lease, Report, Terms, leasable
from gateway.limits.shared.plans import MICROS, Plan
from gateway.limits.shared.remote import Remote, Told
from gateway.quota import Admitted, Bound, Charge, Standing

COLD = 5
"""A combination is leased until it admits less than this part of what makes it hot."""
KEPT = 8192
"""Combinations that are counted; with one more, those that are not leased are forgotten."""
MARGIN = 1.25
"""The store waits so much longer for a report than a grant may be spent, for clocks that run at other speeds."""


class Combination:
    """The bounds of one kind of request, and their leases while they are busy."""

    __slots__ = ("asked", "count", "leases", "may", "picks", "plan", "rate", "requests", "tokens")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.picks: tuple[int, ...] = tuple(one.pick for one in plan.asked)
        self.may = bool(plan.bounds) and all(leasable(bound) for bound in plan.bounds)
        self.leases: tuple[Lease, ...] = ()
        self.requests: tuple[Lease, ...] = ()
        self.tokens: tuple[Lease, ...] = ()
        self.count = 0
        """Admissions since the last tick."""
        self.rate = 0.0

    def lease(self, leases: tuple[Lease, ...]) -> None:
        self.leases = leases
        self.requests = tuple(leases[at] for at, _ in self.plan.requests) if leases else ()
        self.tokens = tuple(leases[at] for at, _ in self.plan.tokens) if leases else ()


class Local:
    """A hold of this process."""

    __slots__ = ("amounts", "answer", "at", "combination", "epochs", "leases", "seconds")

    def __init__(
        self,
        combination: Combination,
        amounts: Amounts,
        epochs: tuple[Epoch, ...],
        answer: Admitted,
        at: float,
        seconds: float,
    ) -> None:
        self.combination = combination
        self.leases = combination.leases
        self.amounts = amounts
        self.epochs = epochs
        self.answer = answer
        self.at = at
        self.seconds = seconds


class Said(Told):
    """A report on its way."""

    __slots__ = ("lease", "leases", "report")

    def __init__(self, leases: "Leases", lease: Lease, report: Report) -> None:
        self.leases = leases
        self.lease = lease
        self.report = report

    def answered(self, answer: Answer, reset: int) -> None:
        self.leases.answered(self.lease, self.report, answer, reset)

    def undelivered(self, sent: bool) -> None:
        self.lease.lost(self.report)


class Leases:
    """Of one worker."""

    def __init__(self, remote: Remote, worker: str, terms: Terms, workers: Callable[[], int]) -> None:
        """`worker` names this process and this start of it; `workers` says how many live."""
        self._remote = remote
        self._worker = worker
        self._terms = terms
        self._workers = workers
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self._combinations: dict[tuple[Bound, ...], Combination] = {}
        self._busy: dict[Combination, None] = {}
        self._leases: dict[Bound, Lease] = {}
        self._holds: dict[str, Local] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._ticked = 0.0
        self._longest = 60.0
        """Seconds a hold may live."""
        self._named = 0
        self.admitted = 0
        """Requests that were admitted here."""

    # --- requests -----------------------------------------------------------------------------------------------

    def admit(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float) -> Admitted | None:
        """Admit it on what is free here; None: ask the store."""
        combination = self._combinations.get(tuple(bounds))
        if combination is None or not combination.leases:
            return None
        if (known := self._holds.get(hold)) is not None:
            return known.answer
        amounts, now = asked(charge), self._now()
        leases = combination.leases
        for lease, pick in zip(leases, combination.picks, strict=True):
            if lease.free < amounts[pick] or now >= lease.deadline:
                return None
        epochs: list[Epoch] = []
        for lease, pick in zip(leases, combination.picks, strict=True):
            amount = amounts[pick]
            lease.gross += amount
            lease.last = amount
            epochs.append(lease.take(amount, now))
            if lease.free < lease.low and lease.pending is None and self._remote.ready(lease.bound.group):
                self._say(lease, now, lease.target)
        combination.count += 1
        self.admitted += 1
        answer = _answer(combination, now)
        if seconds > self._longest:
            self._longest = seconds
        self._holds[hold] = Local(combination, amounts, tuple(epochs), answer, now, seconds)
        return answer

    def settle(self, hold: str, actual: Charge) -> bool:
        """False: it is not a hold of this process."""
        local = self._holds.pop(hold, None)
        if local is None:
            return False
        taken, amounts = local.amounts, owed(actual)
        for lease, epoch, pick in zip(local.leases, local.epochs, local.combination.picks, strict=True):
            lease.settle(epoch, taken[pick], amounts[pick])
            if lease.free < 0:
                # More was spent than the store knows of.
                self.release((lease.bound,))
        return True

    def hand_over(self, hold: str) -> Local | None:
        """Let the store have a hold of this process; the caller enters it there. None: there is none of that name."""
        local = self._holds.pop(hold, None)
        if local is not None:
            for lease, epoch, pick in zip(local.leases, local.epochs, local.combination.picks, strict=True):
                lease.hand_over(epoch, local.amounts[pick])
        return local

    def asked(self, plan: Plan, amounts: Amounts) -> None:
        """A request asks the store."""
        combination = self._combinations.get(plan.bounds)
        if combination is None:
            combination = self._keep(plan)
        if not combination.may:
            return
        combination.count += 1
        self._busy[combination] = None
        if not combination.leases and not self._terms.hot:
            self._lease_all(combination)
        for lease, pick in zip(combination.leases, combination.picks, strict=False):
            lease.gross += amounts[pick]
            lease.last = amounts[pick]
        if self._timer is None:
            self._start()

    def release(self, bounds: Sequence[Bound]) -> bool:
        """Give back what is free of these counters, is being granted, or was used less of than was reserved; whether
        there was any. What is asked of the store next, is asked after that."""
        found = False
        for bound in bounds:
            lease = self._leases.get(bound)
            if lease is not None and (lease.open is not None or lease.pending is not None or lease.changed):
                self._say(lease, self._now(), 0)
                found = True
        return found

    # --- for who reads counters -----------------------------------------------------------------------------------

    def tell(self, bounds: Sequence[Bound]) -> None:
        """Report what was spent of these counters, before something else is asked of the store."""
        now = self._now()
        for bound in bounds:
            lease = self._leases.get(bound)
            if lease is not None and not lease.idle and self._remote.ready(bound.group):
                self._say(lease, now, max(lease.free, 1) if now < lease.deadline else 0, more=False)

    def free(self, bound: Bound) -> int:
        """What the counter holds for nobody but this worker."""
        lease = self._leases.get(bound)
        return 0 if lease is None else max(lease.free, 0)

    @property
    def many(self) -> int:
        """Counters that are leased."""
        return sum(lease.open is not None for lease in self._leases.values())

    def lapsed(self, now: float) -> list[tuple[str, Local]]:
        """Holds that nobody settled in time; they are given back, and not held here any more."""
        late = [(hold, local) for hold, local in self._holds.items() if local.at + local.seconds <= now]
        for hold, _ in late:
            self.hand_over(hold)
        return late

    def close(self) -> None:
        """Give back what is free, and lease no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._now()
        for combination in self._combinations.values():
            combination.lease(())
            combination.may = False
        for lease in self._leases.values():
            if not lease.idle and self._remote.ready(lease.bound.group):
                self._say(lease, now, 0)

    # --- inside -------------------------------------------------------------------------------------------------

    def answered(self, lease: Lease, report: Report, answer: Answer, reset: int) -> None:
        """For `Said`."""
        lease.answered(report, answer, reset / MICROS, self._now())

    def _keep(self, plan: Plan) -> Combination:
        if len(self._combinations) >= KEPT:
            self._combinations = {key: each for key, each in self._combinations.items() if each.leases}
        combination = self._combinations[plan.bounds] = Combination(plan)
        return combination

    def _start(self) -> None:
        self._ticked = self._now()
        self._timer = self._loop.call_later(self._terms.tick, self._tick)

    def _tick(self) -> None:
        now = self._now()
        passed = max(now - self._ticked, 1e-3)
        self._ticked, self._timer = now, None
        for combination in list(self._busy):
            self._weigh(combination, passed)
        wanted = {lease for combination in self._busy for lease in combination.leases}
        for bound, lease in list(self._leases.items()):
            self._tend(lease, now, passed, lease in wanted)
            if lease.idle and lease not in wanted:
                del self._leases[bound]
        if self._busy or self._leases:
            self._timer = self._loop.call_later(self._terms.tick, self._tick)

    def _weigh(self, combination: Combination, passed: float) -> None:
        """Is it busy?"""
        hot = self._terms.hot
        combination.rate = (combination.rate + combination.count / passed) / 2
        combination.count = 0
        if not combination.leases and combination.rate >= hot:
            self._lease_all(combination)
        elif combination.rate < max(hot / COLD, 1.0):
            combination.lease(())
            if combination.rate < 1.0:
                del self._busy[combination]

    def _lease_all(self, combination: Combination) -> None:
        combination.lease(tuple(self._lease(one.bound) for one in combination.plan.asked))

    def _lease(self, bound: Bound) -> Lease:
        lease = self._leases.get(bound)
        if lease is None:
            self._named += 1
            lease = self._leases[bound] = Lease(bound, f"lease:{self._worker}:{self._named}", self._terms.share)
        return lease

    def _tend(self, lease: Lease, now: float, passed: float, wanted: bool) -> None:
        lease.passed(passed)
        if lease.pending is not None or not self._remote.ready(lease.bound.group):
            return
        if wanted and lease.due(now):
            self._say(lease, now, lease.target)
        elif not wanted and (lease.open is not None or lease.changed):
            self._say(lease, now, 0)

    def _say(self, lease: Lease, now: float, target: int, *, more: bool = True) -> None:
        report = lease.report(now, target, more=more)
        # What is under way is not given back before its requests must have ended.
        life = lease.life if lease.bound.rule.window is not None and target else self._longest + lease.life
        part = 1 / (2 * max(1, self._workers()))
        self._remote.lease(lease.name, lease.bound, report, life * MARGIN, part, Said(self, lease, report))


def _answer(combination: Combination, now: float) -> Admitted:
    """What a client is told of its limits, from what the store said last and was spent here since."""
    requests = _tightest(combination.requests, now) if combination.requests else None
    tokens = _tightest(combination.tokens, now) if combination.tokens else None
    for lease in combination.leases:
        if lease.past_soft:
            return Admitted(requests, tokens, tuple(each.bound for each in combination.leases if each.past_soft))
    return Admitted(requests, tokens)


def _tightest(leases: tuple[Lease, ...], now: float) -> Standing:
    lease = leases[0]
    left = lease.room + lease.free
    for other in leases[1:]:
        rest = other.room + other.free
        if max(rest, 0) * lease.bound.rule.amount < max(left, 0) * other.bound.rule.amount:
            lease, left = other, rest
    resets = lease.resets_at - now
    return Standing(lease.bound, lease.bound.rule.amount, left if left > 0 else 0, resets if resets > 0 else 0.0)
