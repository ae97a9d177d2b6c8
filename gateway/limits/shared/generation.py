"""Whether a shared store still has what it held: each place of its counters keeps a generation, lost with them.

A server that comes back empty (restarted without its data, flushed, a replica without them) has none. Whoever looks
first begins a new one, which is not ready until what the ledger knows was counted again (`gateway.recount`).

`cut` says what that is. The counters that were lost held what had ended before they were, and every worker tells the
new ones what ended after (`arrears`); so the new ones must be given what ended before the cut, once. Each worker knows
when it lost the store it knew, and the latest of these moments is the cut: nothing that was counted only there ended
after it. A worker that never saw another generation answers for what ended since its own start.

A server may also come back with what it held a while ago (an old snapshot, a replica that was behind), or keep some
counters and lose their generation (eviction). Each worker leaves in each place how often it has looked, so that a place
which knows of fewer looks is one that was set back. What is left there is taken away before a new generation begins:
there is no telling what of it the ledger's sums have in them.

Gateways that share a store need not share a ledger. Each is restored from by itself, and a worker waits for its own;
while it does not know which that is (the database is away), for any. One that joins others waits for nothing.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from gateway.limits.shared.asking import Command
from gateway.limits.shared.fleet import slot_of
from gateway.limits.shared.packing import script
from gateway.limits.shared.wire import Reply
from gateway.seams import Clock

Ask = Callable[[str, Sequence[Command]], Awaitable[list[Reply]]]
"""Has commands carried out by the server of a group. Raises `WireLost`."""

FIRST_TERM = 2.0
"""Seconds one worker has to restore a place before another one may."""
LONGEST_TERM = 3600.0
"""Seconds between two corrections, at the longest."""
CORRECTED = 86_400.0
"""Seconds for which events that come late into the ledger are looked for."""
_AT_ONCE = 64
_CLEARED_AT_ONCE = 2000
"""Keys that are looked at by one call."""


class Generation(msgspec.Struct, frozen=True):
    """Of one group's counters."""

    id: str
    cut_ns: int
    """What finished before this (by gateways' clocks) was counted by those before, and is in the ledger only."""
    born_ns: int
    ready: bool
    """This worker need not wait for what its ledger knows."""
    own: bool
    """What its ledger knows was restored."""
    adopted: bool
    """Its counters were there before it: there is nothing to restore."""


class Generations:
    """What one worker knows of them. `groups`: hash tags whose keys may live, and be lost, apart."""

    def __init__(self, ask: Ask, prefix: str, clock: Clock, worker: str) -> None:
        self._ask = ask
        self._prefix = prefix
        self._clock = clock
        self._worker = worker
        self._script, self._clear_script = script("generation.lua"), script("clear.lua")
        self._known: dict[str, Generation] = {}
        self._looks: dict[str, int] = {}
        """How often the server has confirmed a look, by group."""
        self._lost_ns = 0
        self._started_ns = clock.now_ns()
        self._joined: dict[str, str] = {}
        """Generations that were in use already when this worker came."""
        self.groups: tuple[str, ...] = ("g",)
        self.together = True
        """All groups live on one server and are lost together: what is left of any of them is looked for there."""
        self.renewed = False
        """Since the look before, a generation this worker knew has gone, and perhaps another one is ready already."""
        self.ledger = ""
        """Name of the ledger this worker restores from; "": it does not know yet."""

    def lost(self) -> None:
        """The store went away; of several times before it was seen to be the same, the first counts."""
        self._lost_ns = self._lost_ns or self._clock.now_ns()

    async def look(self) -> bool:
        """Ask all groups, begin a generation where there is none, and say whether all are ready. Raises `WireLost`."""
        self.renewed = False
        # The others are adopted where the first was, whose mark it is.
        await self._look("g")
        others = [group for group in self.groups if group != "g"]
        for at in range(0, len(others), _AT_ONCE):
            await asyncio.gather(*(self._look(group) for group in others[at : at + _AT_ONCE]))
        self._lost_ns = 0
        return not self.waiting()

    def waiting(self) -> list[str]:
        """Groups that are not ready."""
        return [group for group in ("g", *self.groups) if group in self._known and not self._known[group].ready]

    async def turns(self) -> dict[str, Generation]:
        """Groups whose counters this worker is to restore or correct now, of all workers it alone for a while. How
        often grows with their age. Raises `WireLost`."""
        found: dict[str, Generation] = {}
        for group, one in self._known.items():
            age = self._age(one.born_ns)
            if not self.ledger or one.adopted or (one.ready and age > CORRECTED):
                continue
            term = min(max(age, FIRST_TERM), LONGEST_TERM) if one.own else FIRST_TERM
            key = self._key(group, f"recounting:{self.ledger}")
            turn = ("SET", key, self._worker, "NX", "PX", int(term * 1000))
            if (await self._ask(group, [turn]))[0] is not None:
                found[group] = one
        return found

    async def ready(self, restored: Iterable[tuple[str, Generation]]) -> None:
        """What was lost is counted again. Raises `WireLost`."""
        for group, one in restored:
            await self._ask(group, [self._call(group, one.id)])

    # --- inside -------------------------------------------------------------------------------------------------

    async def _look(self, group: str) -> None:
        known, first = self._known.get(group), self._known.get("g")
        adopt = known is None and group != "g" and first is not None and first.adopted
        lost_ns = self._started_ns if known is None else self._lost_ns or self._clock.now_ns()
        said = "" if known is None else known.id, lost_ns, adopt
        (reply,) = await self._ask(group, [self._call(group, "", *said)])
        while len(reply) == 1:
            cleared = reply[0].decode()
            await self._clear(group, cleared)
            (reply,) = await self._ask(group, [self._call(group, "", *said, cleared=cleared)])
        self._looks[group] = self._looks.get(group, 0) + 1
        name, cut, born, ready, adopted, own = reply
        one = Generation(name.decode(), int(cut) * 1000, int(born) * 1000, False, own == b"1", adopted == b"1")
        if known is None and ready == b"1":
            self._joined[group] = one.id
        # Later than that, a ledger that nobody knew is one that was made anew from the journal of another.
        any_will_do = not self.ledger or self._joined.get(group) == one.id or self._age(one.born_ns) > CORRECTED
        is_ready = one.adopted or one.own or (ready == b"1" and any_will_do)
        self.renewed |= known is not None and known.id != one.id
        self._known[group] = msgspec.structs.replace(one, ready=is_ready)

    def _age(self, born_ns: int) -> float:
        return (self._clock.now_ns() - born_ns) / 1e9

    async def _clear(self, group: str, cleared: str) -> None:
        """Take away what is left in a place. Raises `WireLost`."""
        place = f"{self._prefix}:{{{'' if self.together else group + '}:'}"
        slot = "" if self.together else slot_of(group)
        cursor: bytes | str = "0"
        while True:
            said = cleared, place, slot, cursor, _CLEARED_AT_ONCE
            call = ("EVAL", self._clear_script, 1, self._key(group, "generation"), *said)
            (cursor,) = await self._ask(group, [call])
            if cursor == b"0":
                return

    def _call(
        self, group: str, restored: str, known: str = "", lost_ns: int = 0, adopt: bool = False, cleared: str = ""
    ) -> Command:
        keys = [self._key(group, name) for name in ("generation", "kept", f"looks:{self._worker}")]
        now, looks = self._clock.now_ns() // 1000, self._looks.get(group, 0)
        said = restored, uuid.uuid4().hex, now, known, lost_ns // 1000, int(adopt), self.ledger, looks, cleared
        return ("EVAL", self._script, len(keys), *keys, *said)

    def _key(self, group: str, name: str) -> str:
        return f"{self._prefix}:{{{group}}}:{name}"
