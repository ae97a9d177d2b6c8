"""Who gets a place next: weighted fair sharing of a few places between teams, without I/O.

Strategy
--------
- **A team's part of the places is always there for it.** A team that holds fewer places than its part (by weight, among
  the teams that hold or want one; rounded down) is served before one that holds its part: however much others ask for,
  it waits for the next place that comes free, and not for its turn among them.
- **What is left is shared by start-time fair queueing**, SFQ(D): a team's line has a tag, the virtual time at which its
  next request may begin; the line with the smallest tag is served, and serving it moves its tag on by cost / weight.
  Virtual time is the smallest tag of those who wait, so a team that comes back has no credit for its absence. So parts
  below one place, and fractions, come out right in the long run. (Goyal, Vin, Cheng: Start-time Fair Queuing, SIGCOMM
  1996; Jin, Chase, Kaur: Interposed proportional sharing, SIGMETRICS 2004.)
- **The cost of a request is the time it holds its place**, for a place is what is scarce. Requests or estimated tokens
  would not tell: a team of long streams would get as many grants as a team of short questions, and with them nearly
  every place. Time is known only at the end, so a request is charged its team's mean at first and the difference when
  it leaves. What a team was overcharged comes back to it; what it owes is held against it only up to four of the
  longest mean requests for every place, so that one endless stream does not shut its team out.
- **Interactive before batch**, but for one place in ten: while both wait, of every ten places given one goes to batch.
- **Within a team, first come, first served.**
- **The line is bounded.** When it is full, a newcomer whose team has less of it than its weight says takes the place of
  the youngest request of the longest line (longest queue drop; batch before interactive): a flood cannot shut others
  out. Everyone else is refused.

Bounds, for teams i and j that both wait all the while, weights w, costs c and n places:

- equal costs, one place: requests served differ by less than one each, |g_i/w_i - g_j/w_j| <= 1/w_i + 1/w_j;
- requests that last up to four times their team's mean: seconds of place differ by
  |s_i/w_i - s_j/w_j| <= 3(n+1)(c_i/w_i + c_j/w_j), c the longest request, however long it goes on (SFQ(D) has 1 for 3;
  costs are guesses here);
- a batch request at the head of its class is served within ten grants.

Never more places than there are; a free place and a waiting request never exist at one time.
"""

import heapq
import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.facts import Priority
from gateway.quota import Capacity

IN_A_ROW = 9
"""Interactive requests served in a row while a batch request waits; the next place is batch's."""
LEARNING = 0.125
"""Weight of the newest request in a team's mean (as TCP's smoothed round trip, RFC 6298)."""
OUTLIER = 4.0
"""A request counts in the mean as this many means at most; so many for every place a team may owe."""
SHORTEST = 0.001
"""Seconds a request costs at least: who fails at once, again and again, is not free."""
UNKNOWN = 1.0
"""Seconds a request is taken to last before any has ended."""

State = Literal["new", "waiting", "granted", "gone"]


class Granted(msgspec.Struct, frozen=True):
    """The place is the ticket's, until `leave`."""


class Waiting(msgspec.Struct, frozen=True):
    """The ticket is in line. `displaced` lost its place there to it and is gone."""

    displaced: "Ticket | None" = None


class Full(msgspec.Struct, frozen=True):
    """The line has no room for the ticket."""


Entry = Granted | Waiting | Full
_GRANTED = Granted()
_WAITING = Waiting()
_FULL = Full()


class Ticket:
    """One request that wants a place. `deadline`: monotonic second until which it waits."""

    __slots__ = ("cost", "deadline", "joined", "line", "priority", "since", "state", "team", "weight")

    line: "_Line"
    joined: float
    """When it joined the line, if it had to."""
    since: float
    """When it was granted its place."""
    cost: float
    """What it was charged: seconds, where requests are timed."""

    def __init__(
        self, team: str, weight: int = 1, priority: Priority = "interactive", deadline: float = math.inf
    ) -> None:
        self.team = team
        self.weight = weight
        self.priority: Priority = priority
        self.deadline = deadline
        self.state: State = "new"


class _Line:
    """The requests of one team in one class."""

    __slots__ = ("counted", "in_use", "mean", "queue", "rank", "tag", "team", "weight")

    def __init__(self, team: str, rank: "_Class", mean: float) -> None:
        self.team = team
        self.rank = rank
        self.mean = mean
        self.weight = 1
        self.counted = 0
        """Its weight, while it has a place or waits for one; else 0."""
        self.in_use = 0
        self.tag = 0.0
        self.queue: OrderedDict[Ticket, None] = OrderedDict()


class _Class:
    """The lines of one priority, and the virtual time they share."""

    __slots__ = ("lines", "time", "waiting", "weight")

    def __init__(self) -> None:
        self.time = 0.0
        self.weight = 0
        """Of all teams that have a place or wait for one."""
        self.lines: dict[str, _Line] = {}
        self.waiting: dict[_Line, None] = {}
        """Lines somebody waits in."""

    def longest(self) -> "_Line | None":
        """The line that has most of the queue for its weight."""
        return max(self.waiting, key=lambda line: len(line.queue) / line.weight, default=None)


class Sharing:
    """The places of one provider. Times are monotonic seconds, given by the caller; every call is one step."""

    def __init__(self, capacity: Capacity, *, timed: bool = True) -> None:
        """`timed`: a request costs the time it holds its place; else what `enter` says."""
        self._capacity = capacity
        self._timed = timed
        self._interactive = _Class()
        self._batch = _Class()
        self._mean = UNKNOWN
        self._in_a_row = 0
        self._deadlines: list[tuple[float, int, Ticket]] = []
        self._number = 0
        self.concurrent = capacity.concurrent
        self.in_use = 0
        self.waiting = 0

    # -- the four steps --------------------------------------------------------------------------------------------

    def enter(self, ticket: Ticket, now: float, cost: float = 1.0) -> Entry:
        """Take a free place, or stand in line, or be turned away. `cost`: where requests are not timed."""
        rank = self._interactive if ticket.priority == "interactive" else self._batch
        line = rank.lines.get(ticket.team)
        if line is None:
            line = rank.lines[ticket.team] = _Line(ticket.team, rank, self._mean)
        ticket.line = line
        ticket.cost = cost
        if line.counted != ticket.weight:
            rank.weight += ticket.weight - line.counted
            line.weight = line.counted = ticket.weight
        if line.tag < rank.time and not line.queue:
            line.tag = rank.time
        if self.in_use < self.concurrent:
            if line.tag > rank.time:
                rank.time = line.tag
            self._grant(ticket, now)
            return _GRANTED
        entry = self._join(ticket, now)
        if entry is _FULL and not (line.in_use or line.queue):
            _forget(line)
        return entry

    def leave(self, ticket: Ticket, now: float) -> Sequence[Ticket]:
        """Give a place back. Returns the tickets that are granted one by that; a second time does nothing."""
        if ticket.state != "granted":
            return ()
        ticket.state = "gone"
        self.in_use -= 1
        line = ticket.line
        line.in_use -= 1
        if self._timed:
            self._true_up(ticket, now)
        if not (line.in_use or line.queue):
            _forget(line)
        return self._fill(now) if self.waiting else ()

    def cancel(self, ticket: Ticket, now: float) -> Sequence[Ticket]:
        """The request is over, whatever state its ticket is in. Returns the tickets that are granted a place by
        that."""
        if ticket.state == "waiting":
            self._unqueue(ticket)
            return ()
        return self.leave(ticket, now)

    def expire(self, now: float) -> list[Ticket]:
        """Tickets that have waited until their deadline; they are gone."""
        expired: list[Ticket] = []
        while self._deadlines and (self._deadlines[0][2].state != "waiting" or self._deadlines[0][0] <= now):
            ticket = heapq.heappop(self._deadlines)[2]
            if ticket.state == "waiting":
                self._unqueue(ticket)
                expired.append(ticket)
        return expired

    def resize(self, capacity: Capacity, now: float) -> Sequence[Ticket]:
        """Another capacity from now on. Returns the tickets that are granted a place by that; nobody who has a place
        or stands in line loses it."""
        self._capacity = capacity
        self.concurrent = capacity.concurrent
        return self._fill(now)

    # -- what there is to know -------------------------------------------------------------------------------------

    @property
    def capacity(self) -> Capacity:
        return self._capacity

    @property
    def next_deadline(self) -> float:
        """When `expire` has something to do at the earliest; infinity: nobody waits."""
        while self._deadlines and self._deadlines[0][2].state != "waiting":
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf

    def delay(self) -> float:
        """Seconds after which somebody who joins the line now would be served, if all goes on as it did."""
        return (self.waiting + 1) * self._mean / max(self.concurrent, 1)

    # -- within ----------------------------------------------------------------------------------------------------

    def _grant(self, ticket: Ticket, now: float) -> None:
        line = ticket.line
        if self._timed:
            ticket.cost = line.mean
        line.tag += ticket.cost / line.weight
        ticket.since = now
        ticket.state = "granted"
        line.in_use += 1
        self.in_use += 1

    def _join(self, ticket: Ticket, now: float) -> Entry:
        line, capacity = ticket.line, self._capacity
        if ticket.deadline <= now:
            return _FULL
        if capacity.queue_per_team is not None and len(line.queue) >= capacity.queue_per_team:
            return _FULL
        displaced = None
        if self.waiting >= capacity.queue:
            displaced = self._displaced_by(line)
            if displaced is None:
                return _FULL
            self._unqueue(displaced)
        ticket.state = "waiting"
        ticket.joined = now
        line.queue[ticket] = None
        line.rank.waiting[line] = None
        self.waiting += 1
        self._number += 1
        if ticket.deadline != math.inf:
            heapq.heappush(self._deadlines, (ticket.deadline, self._number, ticket))
            if len(self._deadlines) > 2 * self.waiting + 64:
                self._deadlines = [entry for entry in self._deadlines if entry[2].state == "waiting"]
                heapq.heapify(self._deadlines)
        return _WAITING if displaced is None else Waiting(displaced)

    def _displaced_by(self, line: _Line) -> Ticket | None:
        """The youngest of the longest line, if `line` would have less of the queue for its weight with one more."""
        longest = self._batch.longest()
        if line.rank is self._interactive and longest is None:
            longest = self._interactive.longest()
        if longest is None:
            return None
        below = line.rank is not longest.rank
        if not below and (len(line.queue) + 1) / line.weight >= len(longest.queue) / longest.weight:
            return None
        return next(reversed(longest.queue))

    def _unqueue(self, ticket: Ticket) -> None:
        """Take a waiting ticket out of its line."""
        line = ticket.line
        ticket.state = "gone"
        del line.queue[ticket]
        self.waiting -= 1
        if not line.queue:
            del line.rank.waiting[line]
            if not line.in_use:
                _forget(line)

    def _fill(self, now: float) -> list[Ticket]:
        """Give free places to those who wait."""
        granted: list[Ticket] = []
        while self.waiting and self.in_use < self.concurrent:
            line = self._next_line()
            ticket, _ = line.queue.popitem(last=False)
            self.waiting -= 1
            if not line.queue:
                del line.rank.waiting[line]
            self._grant(ticket, now)
            granted.append(ticket)
        return granted

    def _next_line(self) -> _Line:
        rank = self._interactive
        if not self._batch.waiting:
            self._in_a_row = 0
        elif not rank.waiting or self._in_a_row >= IN_A_ROW:
            rank, self._in_a_row = self._batch, 0
        else:
            self._in_a_row += 1
        rank.time = max(rank.time, min(line.tag for line in rank.waiting))
        places, weights = self.concurrent, rank.weight
        return min(rank.waiting, key=lambda line: ((line.in_use + 1) * weights > line.weight * places, line.tag))

    def _true_up(self, ticket: Ticket, now: float) -> None:
        """Charge what the request truly took."""
        line = ticket.line
        mean = line.mean
        took = max(now - ticket.since, SHORTEST)
        line.tag += (took - ticket.cost) / line.weight
        rank = line.rank
        owed = line.tag - rank.time
        most = OUTLIER * self.concurrent / line.weight
        if owed > most * mean:
            longest = max(mean, *(other.mean for other in rank.waiting), 0.0)
            line.tag = rank.time + min(owed, most * longest)
        if took > OUTLIER * mean:
            took = OUTLIER * mean
        line.mean = mean + LEARNING * (took - mean)
        self._mean += LEARNING * (took - self._mean)


def _forget(line: _Line) -> None:
    """The team has no place and wants none: the others share without it."""
    line.rank.weight -= line.counted
    line.counted = 0
