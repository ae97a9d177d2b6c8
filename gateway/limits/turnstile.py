"""Where requests to a provider of limited capacity pass one by one: places, the line, and its one timer.

`sharing.py` decides. A free place is taken synchronously; who must wait does so on a `Signal`, so that an exchange
waits without becoming a task. Whoever is interrupted while it waits gives its place, or its place in line, back.
"""

import asyncio
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from gateway.errors import AtCapacity
from gateway.facts import Priority
from gateway.limits.sharing import Full, Granted, Sharing, State, Ticket, Waiting
from gateway.quota import Capacity
from gateway.ride import Signal

WAIT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets of waits, seconds."""
EARLY = 0.0015
"""Seconds by which a loop's timer may fire early (uvloop counts in whole milliseconds)."""
UNLIMITED = Capacity(concurrent=1 << 60)
"""Of a provider whose limit a reload has lifted."""

Told = Literal["served", "late", "displaced"]


class Place(Ticket):
    """A place at a provider. Whoever was given it must `leave`."""

    __slots__ = ("_turnstile",)

    def __init__(self, turnstile: "Turnstile", team: str, weight: int, priority: Priority, deadline: float) -> None:
        # As `Ticket` does it, without a call: every request to a provider of limited capacity makes one.
        self.team = team
        self.weight = weight
        self.priority: Priority = priority
        self.deadline = deadline
        self.state: State = "new"
        self._turnstile = turnstile

    def leave(self) -> None:
        """The provider has done its work. Synchronous; a second time does nothing."""
        self._turnstile.leave(self)


class Turnstile:
    """One provider's."""

    def __init__(self, provider: str, capacity: Capacity, now: Callable[[], float]) -> None:
        """`now`: monotonic seconds, on the event loop's clock."""
        self.provider = provider
        self._now = now
        self._sharing = Sharing(capacity)
        self._signals: dict[Ticket, Signal[Told]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self.granted = 0
        """Places given."""
        self.refused = {"full": 0, "late": 0}
        """Requests turned away: by a full line, or because their wait was over."""
        self.waits = [0] * (len(WAIT_BOUNDS) + 1)
        """Requests by how long they waited for their place, in buckets of `WAIT_BOUNDS`; those that did not wait are
        not among them."""
        self.waited = 0.0
        """Seconds, of all of them together."""

    @property
    def in_use(self) -> int:
        return self._sharing.in_use

    @property
    def waiting(self) -> int:
        return self._sharing.waiting

    @property
    def concurrent(self) -> int:
        return self._sharing.concurrent

    @property
    def limited(self) -> bool:
        """A reload can lift the limit."""
        return self._sharing.capacity is not UNLIMITED

    def enter_now(self, team: str, weight: int, priority: Priority) -> Place | None:
        """A place if one is free; None: use `enter`."""
        sharing = self._sharing
        if sharing.in_use >= sharing.concurrent:
            return None
        place = Place(self, team, weight, priority, 0.0)
        sharing.enter(place, self._now())
        self.granted += 1
        return place

    async def enter(self, team: str, weight: int, priority: Priority) -> Place:
        """Wait for a place, as long as the capacity says. Raises `AtCapacity` when the line is full or the wait is
        over. An interruption gives back whatever was got."""
        now = self._now()
        capacity = self._sharing.capacity
        place = Place(self, team, weight, priority, now + capacity.wait)
        match self._sharing.enter(place, now):
            case Granted():
                self.granted += 1
                return place
            case Full():
                raise self._full()
            case Waiting(displaced):
                if displaced is not None:
                    self.refused["full"] += 1
                    self._signals.pop(displaced).set_result("displaced")
        signal: Signal[Told] = Signal()
        self._signals[place] = signal
        self._arm()
        try:
            told = await signal
        except BaseException:
            self._signals.pop(place, None)
            self._wake(self._sharing.cancel(place, self._now()))
            raise
        if told == "served":
            return place
        late = f"no place came free within {capacity.wait:g} s"
        raise AtCapacity(late if told == "late" else "the line is full", self._sharing.delay())

    def leave(self, place: Ticket) -> None:
        """Give a place back; who is next is woken on the loop's next turn."""
        next_ones = self._sharing.leave(place, self._now())
        if next_ones:
            self._wake(next_ones)

    def resize(self, capacity: Capacity | None) -> None:
        """The capacity after a reload; None: no limit any more."""
        if capacity is None:
            capacity = UNLIMITED
        if capacity != self._sharing.capacity:
            self._wake(self._sharing.resize(capacity, self._now()))

    def _full(self) -> AtCapacity:
        self.refused["full"] += 1
        return AtCapacity("the line is full", self._sharing.delay())

    def _wake(self, served: Iterable[Ticket]) -> None:
        """Tell those who were given a place."""
        for ticket in served:
            self.granted += 1
            signal = self._signals.pop(ticket)
            waited = max(0.0, ticket.since - ticket.joined)
            self.waits[bisect_left(WAIT_BOUNDS, waited)] += 1
            self.waited += waited
            signal.set_result("served")

    def _arm(self) -> None:
        """One timer, for the first deadline; it is set anew when it fires, not for every wait."""
        at = self._sharing.next_deadline
        if at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = asyncio.get_running_loop().call_at(at, self._due)

    def _due(self) -> None:
        self._timer, self._timer_at = None, math.inf
        for ticket in self._sharing.expire(self._now() + EARLY):
            self.refused["late"] += 1
            self._signals.pop(ticket).set_result("late")
        self._arm()


class Turnstiles:
    """Every provider's, by name. They outlive a reload, with who is inside and who waits."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._known: dict[str, Turnstile] = {}
        self._capacities: Mapping[str, Capacity | None] = {}

    def at(self, provider: str) -> Turnstile:
        """The turnstile of a provider."""
        known = self._known.get(provider)
        if known is None:
            capacity = self._capacities.get(provider) or UNLIMITED
            known = self._known[provider] = Turnstile(provider, capacity, self._now)
        return known

    def resize(self, capacities: Mapping[str, Capacity | None]) -> None:
        """Capacities by provider from now on; a provider that is not among them, or has None, is not limited."""
        self._capacities = capacities
        for name, turnstile in self._known.items():
            turnstile.resize(capacities.get(name))

    def __iter__(self) -> Iterator[Turnstile]:
        return iter(self._known.values())
