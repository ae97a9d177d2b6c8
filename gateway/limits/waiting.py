"""Where requests wait for a rate rule that says they may (`wait: 2s`), instead of being refused.

Strategy
--------
- **A line for each counter that has refused somebody who may wait.** Only the head of a line asks the store again, when
  the refusal said it might be admitted; so a thousand waiting requests are one question at a time.
- **Nobody passes the line.** A request whose counters include one with a line joins it before it asks, and when it has
  had its turn in one line it joins the next: a team that hammers a shared rule cannot take what others wait for.
- **Turns are shared by weight** (`sharing.py`), each costing what the request takes of what the rule counts: a team
  that asks for ten times the tokens has its turn a tenth as often.
- **A head that must wait for another counter leaves this line first**: one team's exhausted limit never holds up a rule
  it shares with others.
- **The room is bounded**, all lines together. When it is full, a newcomer of a team that has less of its line than its
  weight says takes the youngest place of the team that has most.

A request waits `Rule.wait` of the rule that refuses it, in all. Then it gets the refusal.
"""

import asyncio
from collections.abc import Callable, Container, Sequence

import msgspec

from gateway.facts import Priority
from gateway.limits.sharing import Full, Granted, Sharing, State, Ticket, Waiting
from gateway.quota import Admitted, Bound, Capacity, Charge, Decision, Refused
from gateway.ride import Signal
from gateway.seams import LimitStore

SOONEST = 0.001
"""Seconds to the next question at least."""
LOOK = 0.05
"""Seconds to the next question about what is under way: nobody knows when that ends, and another worker may end it."""


def pause_before(refused: Refused, left: float) -> float | None:
    """Seconds after which a refused request should ask again, when it may wait for `left` more; None: waiting is of no
    use, it is refused."""
    rule = refused.bound.rule
    if rule.wait <= 0 or left <= 0 or refused.store_away or refused.retry_after is None:
        return None
    if rule.window is None:
        return min(LOOK, left)
    if refused.retry_after > left:
        return None
    return max(refused.retry_after, SOONEST)


class Turn(Ticket):
    """One request's place in a line."""

    __slots__ = ("line_at", "signal")

    def __init__(self, line_at: "_Counter", team: str, weight: int, priority: Priority) -> None:
        super().__init__(team, weight, priority)
        self.line_at = line_at
        self.signal: Signal[None] | None = None
        """Set while it waits: for its turn, or for the moment to ask again."""


class _Counter:
    """A counter with a line. There is one place: the turn to ask."""

    __slots__ = ("head", "key", "last", "sharing")

    def __init__(self, refused: Refused) -> None:
        self.key = refused.bound.key
        self.last = refused
        """What was said to whoever asked last."""
        self.sharing = Sharing(Capacity(concurrent=1), timed=False)
        self.head: Turn | None = None


class WaitingRoom:
    """The lines of one worker, in front of its limit store."""

    def __init__(self, now: Callable[[], float], queue: int = 1000) -> None:
        """`now`: monotonic seconds, on the event loop's clock. `queue`: requests that may wait at one time."""
        self.now = now
        self.queue = queue
        self.waiting = 0
        """Requests that wait now."""
        self.admitted = 0
        """Requests that were admitted after a wait."""
        self.refused = {"full": 0, "late": 0}
        """Requests that might have waited and were refused: the room was full, or their wait was over."""
        self.lines: dict[str, _Counter] = {}
        """By the counter's key. While there is none, the store may be asked without the room."""

    def admit_now(
        self, store: LimitStore, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float
    ) -> Decision | None:
        """The store's decision, if it can decide at once and the request need not wait; None: use `admit`."""
        if self.lines and self.line_before(bounds, ()) is not None:
            return None
        decision = store.admit_now(hold, bounds, charge, seconds)
        if isinstance(decision, Refused) and pause_before(decision, decision.bound.rule.wait) is not None:
            return None
        return decision

    async def admit(
        self,
        store: LimitStore,
        hold: str,
        bounds: Sequence[Bound],
        charge: Charge,
        seconds: float,
        team: str,
        weight: int = 1,
        priority: Priority = "interactive",
    ) -> Decision:
        """`LimitStore.admit`, after a wait where the rule that refuses allows one. An interruption leaves the line; the
        hold must be settled all the same, for it may have been taken."""
        visit = _Visit(self, bounds, charge, team, weight, priority)
        try:
            while True:
                line = self.line_before(bounds, visit.passed)
                if line is not None:
                    if (in_vain := await visit.stand(line)) is not None:
                        return in_vain
                    continue
                decision = await store.admit(hold, bounds, charge, seconds)
                if isinstance(decision, Admitted):
                    self.admitted += visit.turn is not None
                    return decision
                if (in_vain := await visit.wait_out(decision)) is not None:
                    return in_vain
        finally:
            visit.end_turn()

    def settled(self, bounds: Sequence[Bound]) -> None:
        """A hold on these counters was settled: what it gives back may let the heads of their lines in now."""
        if self.lines:
            for bound in bounds:
                line = self.lines.get(bound.key)
                if line is not None and line.head is not None and line.head.signal is not None:
                    line.head.signal.set_result(None)

    # -- for visits ------------------------------------------------------------------------------------------------

    def line_before(self, bounds: Sequence[Bound], passed: Container[str]) -> _Counter | None:
        """The first line a request must stand in before it asks."""
        for bound in bounds:
            line = self.lines.get(bound.key)
            if line is not None and bound.rule.wait > 0 and bound.key not in passed:
                return line
        return None

    def line_of(self, refused: Refused) -> _Counter:
        """The line of the counter that refuses, begun if there is none."""
        line = self.lines.get(refused.bound.key)
        if line is None:
            line = self.lines[refused.bound.key] = _Counter(refused)
        line.last = refused
        return line

    def join(self, turn: Turn, cost: int) -> bool:
        """Stand in line; False: there is no room. It is its turn at once if nobody else is in it."""
        line, free = turn.line_at, self.queue - self.waiting
        sharing = line.sharing
        sharing.resize(Capacity(concurrent=1, queue=sharing.waiting + max(free, 0)), 0.0)
        entry = Full() if free <= 0 and not sharing.in_use else sharing.enter(turn, 0.0, float(max(cost, 1)))
        match entry:
            case Full():
                self._forget(line)
                return False
            case Granted():
                line.head = turn
            case Waiting(displaced):
                if isinstance(displaced, Turn):
                    self.waiting -= 1
                    _wake(displaced)
        self.waiting += 1
        return True

    def leave(self, turn: Turn) -> None:
        """Its turn, or its wait for it, is over: the next one's begins."""
        line = turn.line_at
        if turn.state != "gone":
            self.waiting -= 1
        if line.head is turn:
            line.head = None
        for following in line.sharing.cancel(turn, 0.0):
            if isinstance(following, Turn):
                line.head = following
                _wake(following)
        self._forget(line)

    def _forget(self, line: _Counter) -> None:
        if not line.sharing.in_use and self.lines.get(line.key) is line:
            del self.lines[line.key]


class _Visit:
    """One request in the room: what it has passed, and the one line it is in."""

    __slots__ = ("_bounds", "_charge", "_entered_at", "_refused", "_room", "_who", "passed", "turn")

    def __init__(
        self, room: WaitingRoom, bounds: Sequence[Bound], charge: Charge, team: str, weight: int, priority: Priority
    ) -> None:
        self._room = room
        self._bounds = bounds
        self._charge = charge
        self._who: tuple[str, int, Priority] = (team, weight, priority)
        self._entered_at = room.now()
        self._refused: Refused | None = None
        self.passed: set[str] = set()
        self.turn: Turn | None = None

    async def stand(self, line: _Counter) -> Refused | None:
        """Returns when it is this request's turn; or the refusal, when there was no room or its wait was over."""
        self.end_turn()
        room = self._room
        bound = next(bound for bound in self._bounds if bound.key == line.key)
        turn = Turn(line, *self._who)
        if not room.join(turn, self._charge.of(bound.rule.measure)):
            return self._in_vain("full", line, bound)
        self.turn = turn
        self.passed.add(line.key)
        if turn.state == "waiting":
            state = await self._sleep(turn, self._entered_at + bound.rule.wait)
            if state != "granted":
                return self._in_vain("full" if state == "gone" else "late", line, bound)
        return None

    async def wait_out(self, refused: Refused) -> Refused | None:
        """Returns when it is time to ask again; or the refusal, when waiting is of no use."""
        self._refused = refused
        now = self._room.now()
        pause = pause_before(refused, self._entered_at + refused.bound.rule.wait - now)
        if pause is None:
            self._room.refused["late"] += self.turn is not None
            return refused
        line = self._room.line_of(refused)
        if self.turn is None or self.turn.line_at is not line:
            others = line.head is not None
            if (in_vain := await self.stand(line)) is not None:
                return in_vain
            if others:
                return None
        if self.turn is not None:
            await self._sleep(self.turn, now + pause)
        return None

    def end_turn(self) -> None:
        if self.turn is not None:
            turn, self.turn = self.turn, None
            self._room.leave(turn)

    async def _sleep(self, turn: Turn, until: float) -> State:
        """Until that moment, or until somebody sets the turn's signal. Returns how the turn stands then."""
        signal: Signal[None] = Signal()
        turn.signal = signal
        timer = asyncio.get_running_loop().call_at(until, signal.set_result, None)
        try:
            await signal
        finally:
            timer.cancel()
            turn.signal = None
        return turn.state

    def _in_vain(self, why: str, line: _Counter, bound: Bound) -> Refused:
        """Its own refusal if it has asked, else what whoever asked last was told."""
        self._room.refused[why] += 1
        if self._refused is not None:
            return self._refused
        needed = self._charge.of(bound.rule.measure)
        return msgspec.structs.replace(line.last, bound=bound, needed=needed, requests=None, tokens=None)


def _wake(turn: Turn) -> None:
    if turn.signal is not None:
        turn.signal.set_result(None)
