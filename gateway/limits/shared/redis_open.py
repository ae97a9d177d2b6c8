"""Puts the parts of the shared store together, and keeps it up to date: servers, layout, live workers."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from gateway.limits.memory import MemoryStore
from gateway.limits.shared.address import Address
from gateway.limits.shared.asking import Command, ask
from gateway.limits.shared.fleet import Fleet, fleet_for
from gateway.limits.shared.generation import Generations
from gateway.limits.shared.lease import Terms
from gateway.limits.shared.node import Find, Node, Prove
from gateway.limits.shared.packing import script
from gateway.limits.shared.redis_store import RedisStore
from gateway.limits.shared.remote import Remote
from gateway.limits.shared.wire import Reply, ReplyError, Wire, WireLost, answer_lost, encode
from gateway.quota import Bound, Calendar, Rolling, Rule
from gateway.seams import Clock
from gateway.tasks import TaskGroup

ROUND = 1.0
"""Seconds between two signs of life of a worker."""
LOOK = 0.02
"""Seconds between two looks whether a store that has lost what it held, or may have, is itself again."""
FEW_GROUPS = 100
"""Groups of a Cluster that are looked at every round."""
LOST = "it has lost what it held; what was used before is counted again from the ledger"
EVICTED = "it has dropped counters for want of memory; what was used before is counted again from the ledger"
SILENT = 5.0
"""Seconds after which a silent worker does not count as live any more."""

TRIAL = tuple(
    Bound(Rule(id="trial", measure="usd", amount=0, window=window), "trial")
    for window in (Rolling(1), Calendar("second"), None)
)
"""What a fresh connection is tried on, with an amount of 0."""

EVICTS = "local said = redis.pcall('INFO', 'memory') return type(said) == 'string' and said or ''"
"""By a script, whose user need not be allowed to."""

OnState = Callable[[bool, str], None]


class Gauges(msgspec.Struct, frozen=True):
    """How the shared store and this worker are doing, for metrics."""

    up: bool
    reason: str
    """Why not."""
    workers: int
    """Live workers, as last heard of: each has an n-th of the limits while the store is away."""
    outages: int
    connections: int
    """Made since the start."""
    silences: int
    """Connections given up because the server said nothing."""
    errors: int
    """Calls a server did not carry out."""
    last_error: str
    timeouts: int
    """Questions without an answer in time."""
    calls: int
    operations: int
    """Admissions, settlements and others, in `calls` calls."""
    alone: int
    """Requests decided without the store."""
    refused_away: int
    owed: int
    """Settlements the store must still be told."""
    told: int
    """Told after an outage."""
    dropped: int
    """Never told: there were too many."""
    expired: int
    """Holds nobody settled."""
    leased: int
    """Requests admitted on a lease, without asking the store."""
    leases: int
    """Counters of which this worker has a lease now."""


class SharedStore(RedisStore):
    """A `RedisStore` and what keeps it going. Must be made within the running event loop; connects by itself.

    `worker` names this process among all that share the limits; `workers` is how many there are while nobody knows.
    `restored`: somebody restores counters that were lost, and until then the store is as good as away.
    """

    def __init__(
        self,
        address: Address,
        clock: Clock,
        worker: str,
        workers: int,
        patience: float,
        on_state: OnState,
        lease: Terms | None = None,
        restored: bool = False,
    ) -> None:
        self._turn, self._roll_call = script("turn.lua"), script("workers.lua")
        self._turn_sha = hashlib.sha1(self._turn, usedforsecurity=False).hexdigest()
        self._roll_call_sha = hashlib.sha1(self._roll_call, usedforsecurity=False).hexdigest()
        self._workers_key = f"{address.prefix}:{{g}}:workers"
        self._worker = worker
        self._patience = patience
        self.prefix = address.prefix
        self._address = address
        self._clock = clock
        context = address.encryption.context() if address.encryption is not None else None

        def new_node(find: Find, prove: Prove) -> Node:
            return Node(self._address, context, find, prove, clock, self._node_changed)

        self._fleet: Fleet = fleet_for(address, context, new_node, self._prove)
        self._tasks = TaskGroup(self._failed)
        remote = Remote(self._fleet, address.prefix, self._turn_sha, self._turn, patience, clock)
        # A process that is started anew under the same name must not speak of the leases of the one before.
        named = f"{worker}:{clock.now_ns():x}"
        super().__init__(remote, MemoryStore(clock), clock, workers, on_state, lease, named)
        self.generations = Generations(self.ask, address.prefix, clock, named) if restored else None
        if self.generations is not None:
            self.generations.together = self._fleet.together
        self._met = not restored
        self._changed = asyncio.Event()
        remote.trusted = not restored
        remote.on_evicted = self._evicted if restored else None
        self._fleet.start()
        self._keep("rounds")
        if self.generations is not None:
            self._keep("generations")

    def gauges(self) -> Gauges:
        nodes = self._fleet.nodes()
        lost = LOST if self.restoring else ""
        return Gauges(
            up=self.up and not lost,
            reason=lost or next((node.reason for node in nodes if not node.up), "" if self.up else "not connected yet"),
            workers=self.workers,
            outages=self.counts.outages,
            connections=sum(node.connections for node in nodes),
            silences=sum(node.silences for node in nodes),
            errors=self.remote.errors,
            last_error=self.remote.last_error,
            timeouts=self.remote.timeouts,
            calls=self.remote.calls,
            operations=self.remote.operations,
            alone=self.counts.alone,
            refused_away=self.counts.refused_away,
            owed=len(self.arrears),
            told=self.arrears.told,
            dropped=self.arrears.dropped,
            expired=self.remote.expired + self.counts.lapsed,
            leased=0 if self.leases is None else self.leases.admitted,
            leases=0 if self.leases is None else self.leases.many,
        )

    @property
    def together(self) -> bool:
        """All counters are on one server, and lost together."""
        return self._fleet.together

    @property
    def restoring(self) -> bool:
        """Its servers are there, and wait for what they have lost."""
        return self.up and not self.remote.trusted

    async def ask(self, group: str, commands: Sequence[Command]) -> list[Reply]:
        """Have plain commands carried out by the server of a group, within the patience. Raises `WireLost`."""
        return await ask(self._fleet, group, commands, self._patience)

    async def eviction(self) -> str:
        """The policy by which the server of the common counters drops keys when its memory is full; "": it drops none,
        or does not say. Raises `WireLost`."""
        (said,) = await self.ask("g", [("EVAL", EVICTS, 0)])
        told = dict(line.split(":", 1) for line in said.decode().split("\r\n") if ":" in line)
        policy = told.get("maxmemory_policy", "noeviction")
        return "" if policy == "noeviction" or told.get("maxmemory") == "0" else policy

    async def log_in(self, address: Address) -> str:
        """Come to the same servers with another user or password, without letting go of anything. Returns what they
        say against it; "": nothing, or this is what they know already, or they are other servers: that is for a
        restart."""
        if address == self._address or address.nameless != self._address.nameless:
            return ""
        self._address = address
        return await self._fleet.log_in(address)

    async def aclose(self) -> None:
        """What is still to be said is said; this worker leaves the others its share."""
        await self._tasks.close()
        await super().aclose()
        node = self._fleet.node_of("g")
        if node is not None and node.up:
            said: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            node.send(self._sign(b"1"), lambda _: None if said.done() else said.set_result(None))
            await asyncio.wait([said], timeout=ROUND / 2)
        await self._fleet.aclose()

    # --- inside -------------------------------------------------------------------------------------------------

    def _sign(self, leaving: bytes = b"0") -> bytes:
        return encode("EVALSHA", self._roll_call_sha, 1, self._workers_key, self._worker, int(SILENT * 1e6), leaving)

    async def _prove(self, wire: Wire) -> None:
        """Scripts are there, and, where all is on one server, it can be written to, by everything they do."""
        commands = [encode("SCRIPT", "LOAD", self._turn), encode("SCRIPT", "LOAD", self._roll_call)]
        if self._fleet.together:
            commands += [self._sign(), self.remote.trial(f"trial:{self._worker}:{self._clock.now_ns()}", TRIAL)]
        for reply in await wire.ask(commands):
            if isinstance(reply, ReplyError):
                raise answer_lost("it answers", reply)

    def _node_changed(self, node: Node, up: bool, reason: str) -> None:
        self._changed.set()
        self._see(reason)
        if not up:
            self.explain(reason)

    def _evicted(self) -> None:
        """It has dropped counters, and with them the generation that noticed: it is asked nothing more until what it
        should hold was counted again."""
        self.trust(False, EVICTED)
        self._changed.set()

    def _see(self, reason: str) -> None:
        there = self._there()
        if self.generations is not None and not there:
            # Who comes back may have lost what it held: nothing is said to it before that is known.
            self.generations.lost()
            self._met = self.remote.trusted = False
        self.changed(there and self._met, reason)

    def _there(self) -> bool:
        nodes = self._fleet.nodes()
        return bool(nodes) and all(one.up for one in nodes)

    async def _follow(self, generations: Generations) -> None:
        """See whether the servers still have what they held: at once when one comes or goes."""
        while True:
            self._changed.clear()
            if self._there():
                with contextlib.suppress(WireLost):
                    ready = await generations.look()
                    if self._changed.is_set():
                        continue
                    self._met = True
                    self._see("")
                    if generations.renewed:
                        # Others may have restored it already: what this worker holds has to be told all the same.
                        self.trust(False, LOST)
                    self.trust(ready, "" if ready else LOST)
            pause = (
                LOOK
                if self._there() and not self.remote.trusted
                else ROUND * (1 + len(generations.groups) // FEW_GROUPS)
            )
            # Not `wait_for`, which in Python 3.11 loses a cancellation that comes in the turn in which it is set:
            # a Redis that goes away while this worker drains kept it from ever ending.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def _rounds(self) -> None:
        while True:
            await self._fleet.look()
            self._see("the layout has changed")
            node = self._fleet.node_of("g")
            if node is not None and node.up:
                node.send(self._sign(), partial(self._counted, node))
            self.sweep()
            await asyncio.sleep(ROUND)

    def _keep(self, name: str) -> None:
        generations = self.generations
        self._tasks.start(
            self._rounds() if generations is None or name == "rounds" else self._follow(generations), name
        )

    def _failed(self, name: str, error: BaseException) -> None:
        # Not the error's text: it might quote an address with its password.
        self._on_state(self.up, f"{name}: {type(error).__name__}")
        asyncio.get_running_loop().call_later(ROUND, self._keep, name)

    def _counted(self, node: Node, reply: Reply) -> None:
        if isinstance(reply, int):
            self.workers = max(1, reply)
        elif isinstance(reply, ReplyError) and str(reply).startswith("NOSCRIPT"):
            node.send(encode("SCRIPT", "LOAD", self._roll_call), _ignore)


def _ignore(reply: Reply) -> None:
    """The next round will tell."""
