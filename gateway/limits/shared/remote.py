"""The counters in Redis, as one worker asks for them: what a turn of the loop asks goes out in one call.

- An admission waits on a `Signal`, fired by the read that brings its answer; nothing here is a task or a future.
- Operations of one turn of the loop are one `EVALSHA`. What comes while `AHEAD` calls are under way joins the next one,
  unless the last was sent a while ago (`SPACING`): a busy server gets larger calls, not more, and a far one costs no
  second round.
- A settlement waits for company: it goes out with the next admission, or `LINGER` seconds later.
- Nobody waits longer than `patience`. An answer that comes later is not used: whoever asked knows what to do without.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from gateway.limits.decide import Amounts, asked, owed
from gateway.limits.shared.fleet import Fleet
from gateway.limits.shared.lease import Report
from gateway.limits.shared.node import Node
from gateway.limits.shared.packing import Answers, Batch, Packer, decode_answers
from gateway.limits.shared.plans import Plan
from gateway.limits.shared.wire import Reply, ReplyError, WireLost, encode, told
from gateway.quota import NOTHING, Bound, Decision
from gateway.ride import Signal
from gateway.seams import Clock

LARGEST = 128
"""Operations that go out without waiting for company."""
MOST = 1024
"""Operations that go out whatever is under way: Lua cannot unpack many thousands."""
AHEAD = 4
"""Calls without an answer that another one may follow at once."""
SPACING = 0.0005
"""Seconds after which it may in any case."""
LINGER = 0.002
SECOND_LOOK = 0.002
"""Seconds. A process that was paused must not blame the server: it reads before it judges."""
KNOWN = 20_000
LOST = -1
"""A settlement's answer: the server does not know the hold any more."""
REDIRECTS = 5
"""How often a call follows a Cluster that is being rearranged."""

AWAY = frozenset(
    ("OOM", "READONLY", "LOADING", "MISCONF", "BUSY", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "NOAUTH", "NOPERM")
)
"""Errors by which a server says that it cannot serve now; after any other one it is asked again."""


class Delivery(Protocol):
    """Something said that nobody waits for."""

    def undelivered(self, sent: bool) -> None:
        """It was not carried out, or (`sent`) perhaps it was."""


class Told(ABC):
    """Something said that nobody waits for, and whose answer somebody takes. Also a `Delivery`."""

    __slots__ = ()

    @abstractmethod
    def answered(self, answer: Any, reset: int) -> None:
        """`reset`: microseconds until everything of its bound is there again."""

    @abstractmethod
    def undelivered(self, sent: bool) -> None: ...


class Waiting:
    """An admission, or another question, on its way. `signal` gives None when no answer came in time."""

    __slots__ = ("amounts", "plan", "signal")

    def __init__(self, plan: Plan | None, amounts: Amounts | None) -> None:
        self.signal: Signal[Any] = Signal()
        self.plan = plan
        self.amounts = amounts

    def read(self, operation: Sequence[Any], answer: Any, answers: Answers) -> Any:
        if self.plan is None or self.amounts is None:
            return answer
        return self.plan.decision(self.amounts, answer, answers.resets, operation[5::2])


Taker = Waiting | Told | Delivery | None


class Lane:
    """What is asked of one place: all groups of a server, or one group of a Cluster."""

    __slots__ = ("batch", "expiry", "group", "holds", "scheduled", "sent", "takers", "timer", "under_way", "urgent")

    def __init__(self, prefix: str, group: str) -> None:
        self.group = group
        self.holds = f"{prefix}:{{{group}}}:holds"
        self.expiry = f"{prefix}:{{{group}}}:expiry"
        self.batch = Batch()
        self.takers: list[Taker] = []
        self.under_way = 0
        self.sent = 0.0
        """When the last call was, on a finer clock than the loop's."""
        self.scheduled = False
        self.urgent = False
        """Somebody waits for what is collected."""
        self.timer: asyncio.TimerHandle | None = None


class Call:
    """One EVALSHA: what it carries, until its answer has come."""

    __slots__ = ("bounds", "command", "lane", "operations", "takers", "tries")

    def __init__(self, lane: Lane, command: bytes) -> None:
        self.lane = lane
        self.command = command
        self.operations = lane.batch.operations
        self.bounds = lane.batch.bounds
        self.takers = lane.takers
        self.tries = 0


class Remote:
    """`ready` says whether asking makes sense; what is asked when it does not is answered None at once."""

    def __init__(self, fleet: Fleet, prefix: str, sha: str, source: bytes, patience: float, clock: Clock) -> None:
        self._fleet = fleet
        self._prefix = prefix
        self._sha = sha
        self._source = source
        self.patience = patience
        """Seconds somebody waits for an answer at the longest."""
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._packer = Packer(prefix)
        self._lanes: dict[str, Lane] = {}
        self._common = Lane(prefix, "g") if fleet.together else None
        self._deadlines: deque[tuple[float, Waiting]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.known: dict[Bound, tuple[int, float]] = {}
        """What counters held when they were last heard of, and when that was, on the loop's clock."""
        self.expired = 0
        """Holds given back because nobody settled them, noticed by calls of this worker."""
        self.errors = 0
        """Calls a server did not carry out, and what it said last."""
        self.last_error = ""
        self.timeouts = 0
        """Questions that had no answer within `patience`."""
        self.calls = 0
        self.operations = 0
        self.on_evicted: Callable[[], None] | None = None
        """Told that a server misses counters it should have."""
        self.trusted = True
        """Its counters hold what they should: else they are told, and restored, but not asked."""

    def parts(self, plan: Plan) -> tuple[Plan, ...]:
        """What of a plan is asked in one place, in the order in which it is asked."""
        return (plan,) if self._common is not None else plan.parts

    # --- asking -------------------------------------------------------------------------------------------------

    def ready(self, group: str) -> bool:
        """The server of this group is there, has answered lately, and has what it held."""
        return self.trusted and self.there(group)

    def there(self, group: str) -> bool:
        """The server of this group is there, and has answered lately."""
        node = self._fleet.node_of(group)
        return node is not None and node.answers(self.patience)

    def admit(self, hold: str, plan: Plan, amounts: Amounts, seconds: float) -> Signal[Decision | None]:
        """All of the plan's bounds must live in one place."""
        lane = self._lane(plan.groups[0])
        waiting = Waiting(plan, amounts)
        lane.batch.admit(hold, plan.asked, amounts, seconds)
        self._ask(lane, waiting)
        return waiting.signal

    def extend(self, hold: str, plan: Plan, amounts: Amounts, seconds: float) -> Signal[int | None]:
        lane = self._lane(plan.groups[0])
        waiting = Waiting(None, None)
        lane.batch.extend(hold, plan.extended, amounts, seconds)
        self._ask(lane, waiting)
        return waiting.signal

    def level(self, plan: Plan) -> Signal[list[int] | None]:
        """Of the plan's one bound."""
        lane = self._lane(plan.groups[0])
        waiting = Waiting(None, None)
        lane.batch.level(plan.bounds[0])
        self._ask(lane, waiting)
        return waiting.signal

    def put(self, plan: Plan, used: int, seen: int | None = None) -> Signal[int | None]:
        """Of the plan's one bound."""
        lane = self._lane(plan.groups[0])
        waiting = Waiting(None, None)
        lane.batch.put(plan.bounds[0], used, seen)
        self._ask(lane, waiting)
        return waiting.signal

    def restore(self, bound: Bound, place_us: int, amount: int, ledger: str) -> Signal[int | None]:
        """See `packing.Batch.restore`."""
        lane = self._lane(bound.group)
        waiting = Waiting(None, None)
        lane.batch.restore(bound, place_us, amount, ledger)
        self._ask(lane, waiting)
        return waiting.signal

    def settle(self, hold: str, group: str, actual: Amounts, delivery: Delivery, taken: bool = True) -> None:
        """`taken`: it was taken there before; a server that does not know it has lost it."""
        lane = self._lane(group)
        lane.batch.settle(hold, actual, taken)
        lane.takers.append(delivery)
        self._linger(lane)

    def undo(self, hold: str, group: str, delivery: Delivery | None = None) -> None:
        lane = self._lane(group)
        lane.batch.undo(hold)
        lane.takers.append(delivery)
        self._linger(lane)

    def settled_elsewhere(
        self, hold: str, plan: Plan, taken: Amounts, age: float, actual: Amounts, delivery: Delivery
    ) -> None:
        """Enter what was admitted without this store `age` seconds ago, and is settled. Once, however often it is
        said."""
        lane = self._lane(plan.groups[0])
        lane.batch.force(hold, plan.asked, taken, 1.0, age)
        lane.takers.append(None)
        lane.batch.settle(hold, actual, taken=False)
        lane.takers.append(delivery)
        self._linger(lane)

    def held_elsewhere(self, hold: str, plan: Plan, taken: Amounts, age: float, seconds: float) -> None:
        """Enter a reservation that was made without this store `age` seconds ago, and is still under way."""
        lane = self._lane(plan.groups[0])
        lane.batch.force(hold, plan.asked, taken, seconds, age)
        lane.takers.append(None)
        self._linger(lane)

    def lease(self, name: str, bound: Bound, said: Report, life: float, part: float, taker: Told) -> None:
        """See `packing.Batch.lease`."""
        lane = self._lane(bound.group)
        lane.batch.lease(name, bound, said, life, part)
        lane.takers.append(taker)
        self._linger(lane)

    def trial(self, hold: str, bounds: Sequence[Bound]) -> bytes:
        """A command that does what requests will do, and takes nothing: whether a new connection may do it."""
        lane, plan = Lane(self._prefix, "g"), Plan(tuple(bounds))
        lane.batch.admit(hold, plan.asked, asked(NOTHING), 1.0)
        lane.batch.settle(hold, owed(NOTHING), taken=True)
        return self._command(lane, self._clock.now_ns())

    def _command(self, lane: Lane, now_ns: int) -> bytes:
        return encode("EVALSHA", self._sha, 2, lane.holds, lane.expiry, lane.batch.encode(self._packer, now_ns))

    # --- sending ------------------------------------------------------------------------------------------------

    def _lane(self, group: str) -> Lane:
        if self._common is not None:
            return self._common
        lane = self._lanes.get(group)
        if lane is None:
            lane = self._lanes[group] = Lane(self._prefix, group)
        return lane

    def _ask(self, lane: Lane, waiting: Waiting) -> None:
        lane.takers.append(waiting)
        lane.urgent = True
        self._deadlines.append((self._loop.time() + self.patience - SECOND_LOOK, waiting))
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadlines[0][0], self._look)
        if len(lane.takers) >= MOST:
            self._flush(lane)
        elif not lane.scheduled:
            lane.scheduled = True
            self._loop.call_soon(self._turn, lane)

    def _linger(self, lane: Lane) -> None:
        if len(lane.takers) >= LARGEST:
            self._flush(lane)
        elif not lane.scheduled and lane.timer is None:
            lane.timer = self._loop.call_later(LINGER, self._lingered, lane)

    def _lingered(self, lane: Lane) -> None:
        lane.timer = None
        if lane.takers:
            self._flush(lane)

    def _turn(self, lane: Lane) -> None:
        lane.scheduled = False
        if lane.takers and (lane.under_way < AHEAD or time.monotonic() - lane.sent > SPACING):
            self._flush(lane)

    def _flush(self, lane: Lane) -> None:
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        node = self._fleet.node_of(lane.group)
        call = Call(lane, self._command(lane, self._clock.now_ns() if node is None else node.now_ns()))
        self.calls += 1
        self.operations += len(call.takers)
        lane.batch, lane.takers, lane.urgent = Batch(), [], False
        lane.sent = time.monotonic()
        lane.under_way += 1
        self._send(call, node)

    def _send(self, call: Call, node: Node | None, before: bytes = b"") -> None:
        if node is None:
            return self._answered(call, None, WireLost("no server is known for it"))
        if before:
            node.send(before, _ignore)
        node.send(call.command, lambda reply: self._answered(call, node, reply))

    # --- answers ------------------------------------------------------------------------------------------------

    def _answered(self, call: Call, node: Node | None, reply: Reply) -> None:
        if type(reply) is not bytes:
            if isinstance(reply, ReplyError) and node is not None and self._again(call, node, str(reply)):
                return
            return self._unanswered(call, node, reply)
        lane = call.lane
        try:
            answers = decode_answers(reply)
        except msgspec.DecodeError:
            # It was carried out, most likely: what is owed must not be taken for new.
            return self._unanswered(call, node, ReplyError("ERR the script answers something else"), sent=True)
        lane.under_way -= 1
        if lane.urgent and not lane.scheduled:
            # Before those who run on now: the server works meanwhile.
            self._turn(lane)
        if node is not None:
            node.heard(answers.now)
        self.expired += answers.expired
        if self.trusted:
            self._note(call.bounds, answers.used)
        for operation, taker, answer in zip(call.operations, call.takers, answers.answers, strict=True):
            if isinstance(taker, Waiting):
                if not taker.signal.done():
                    taker.signal.fire(taker.read(operation, answer, answers))
            elif isinstance(taker, Told):
                taker.answered(answer, answers.resets[_number(operation) - 1])
            elif taker is not None and answer == LOST:
                taker.undelivered(False)

    def _note(self, bounds: list[Bound], used: list[int]) -> None:
        known = self.known
        if len(known) > KNOWN:
            known.clear()
        now = self._loop.time()
        for bound, amount in zip(bounds, used, strict=True):
            known[bound] = amount, now

    def _again(self, call: Call, node: Node, error: str) -> bool:
        """Send a call again that a server did not carry out, but says how to. None of it has happened there."""
        word, *rest = error.split(" ")
        if call.tries >= REDIRECTS:
            return False
        call.tries += 1
        if word == "NOSCRIPT":
            self._send(call, node, encode("SCRIPT", "LOAD", self._source))
        elif word in ("MOVED", "ASK") and len(rest) == 2:
            host, _, port = rest[1].rpartition(":")
            place = (host or node.place[0], int(port))
            if word == "MOVED":
                self._send(call, self._fleet.moved(call.lane.group, place))
            else:
                self._send(call, self._fleet.at(place), encode("ASKING"))
        elif word == "TRYAGAIN":
            self._loop.call_later(LINGER * call.tries, self._send, call, node)
        else:
            return False
        return True

    def _unanswered(self, call: Call, node: Node | None, reply: Reply, sent: bool = False) -> None:
        """`sent`: it may have been carried out all the same."""
        sent = sent or (isinstance(reply, WireLost) and reply.sent)
        lane = call.lane
        lane.under_way -= 1
        if isinstance(reply, ReplyError) and node is not None:
            self.errors += 1
            self.last_error = told(reply)
            word = self.last_error.split(" ")[0]
            if word in AWAY:
                node.give_up(f"it answers: {self.last_error}")
            elif word == "EVICTED" and self.on_evicted is not None:
                self.on_evicted()
        for taker in call.takers:
            if isinstance(taker, Waiting):
                taker.signal.set_result(None)
            elif taker is not None:
                taker.undelivered(sent)
        if lane.takers and not lane.scheduled:
            lane.scheduled = True
            self._loop.call_soon(self._turn, lane)

    def _look(self) -> None:
        """Who has waited long enough is told so, after the loop had another chance to read."""
        self._timer = None
        deadlines = self._deadlines
        while deadlines and deadlines[0][1].signal.done():
            deadlines.popleft()
        if deadlines:
            now, first = self._loop.time(), deadlines[0][0]
            due = first <= now + SECOND_LOOK / 2
            self._timer = self._loop.call_at(now + SECOND_LOOK if due else first, self._judge if due else self._look)

    def _judge(self) -> None:
        deadlines, now = self._deadlines, self._loop.time()
        while deadlines and (deadlines[0][1].signal.done() or deadlines[0][0] <= now):
            waiting = deadlines.popleft()[1]
            if not waiting.signal.done():
                self.timeouts += 1
                waiting.signal.set_result(None)
        self._look()

    async def aclose(self) -> None:
        """What is still to be said is said."""
        lanes = [self._common] if self._common is not None else list(self._lanes.values())
        for lane in lanes:
            if lane.takers:
                self._flush(lane)
        if self._timer is not None:
            self._timer.cancel()


def _number(operation: Sequence[Any]) -> int:
    """Where the bound of a lease's report stands in its batch, from 1."""
    return operation[3]


def _ignore(reply: Reply) -> None:
    """ASKING, SCRIPT LOAD: when they fail, so does what follows."""
