"""What a worker looks after beside its requests: the shared limit store, what the ledger says of keys, adjustments and
switches, what it is told of configurations, counters to restore, incidents.

A database or store that is away keeps no gateway from serving: the first looks are taken together, and waited for
`FIRST_LOOK` seconds at most.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Engine

from gateway.budgets import restore
from gateway.conversation import Conversations
from gateway.errors import LedgerError
from gateway.incidents.watch import IncidentWatch
from gateway.ledger.keystore import KeyStore
from gateway.ledger.store import open_engine
from gateway.limits.memory import MemoryStore
from gateway.limits.steady import ClockWatch
from gateway.limits.stores import StoreAway, gauges_of, is_up, log_in, open_store
from gateway.pseudonyms.redis_store import Command, RedisConversations
from gateway.pseudonyms.store import ConversationStore
from gateway.pseudonyms.store import StoreAway as ConversationsAway
from gateway.recount import recount
from gateway.seams import Clock, LimitStore
from gateway.settings.adjustments_watch import AdjustmentWatch, LedgerAdjustments
from gateway.settings.history import Historian
from gateway.settings.keys_watch import KeyWatch
from gateway.settings.looking import keep_looking
from gateway.settings.snapshot import LedgerOptions
from gateway.settings.switches_watch import LedgerSwitches, SwitchWatch
from gateway.telemetry.logs import alert, info
from gateway.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from gateway.limits.shared.redis_open import SharedStore
    from gateway.world import World

FIRST_LOOK = 3.0
"""Seconds the start waits for what the database says."""
STORE_TURN, STORE_TURN_SOON = 1.0, 0.1
"""Seconds between two looks whether it is this worker's turn to count again what a shared limit store has lost; the
second while it waits for that."""
EVICTION_LOOK = 600.0
"""Seconds between two questions whether a shared limit store may drop counters; it is asked on every new connection."""
CLOCK_LOOK = 1.0
"""Seconds between two looks whether the wall clock was set."""
STORE_LOOK, STORE_LOOKS = 0.02, 25
"""How often, and how many times, the start looks whether a shared limit store is there."""


async def open_limits(world: "World") -> None:
    """Open the shared limit store, if one is configured, and give it a moment to be there."""
    options = world.snapshot.limit_options
    if options.store.startswith("memory:"):
        return

    def on_state(up: bool, reason: str) -> None:
        if up:
            info("limit_store_up")
        elif not world.draining:
            alert("limit_store_away", reason=reason)

    store = world.limits = open_store(
        options.store,
        clock=world.clock,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        workers=world.workers,
        patience=options.patience,
        lease=options.lease,
        restored=world.snapshot.ledger is not None,
        on_state=on_state,
    )
    world.conversations = Conversations(shared_conversations(store))
    for _ in range(STORE_LOOKS):
        if is_up(store) or cast("SharedStore", store).restoring:
            return
        await asyncio.sleep(STORE_LOOK)
    gauges = gauges_of(store)
    on_state(False, gauges.reason if gauges is not None else "")


async def follow_limits(world: "World") -> None:
    """After a reload: a password of the shared limit store that was changed while it runs, as passwords are."""
    if reason := await log_in(world.limits, world.snapshot.limit_options.store):
        alert("limit_store_login_refused", reason=reason)


def shared_conversations(store: LimitStore) -> ConversationStore:
    """Conversations beside the counters of a shared limit store."""
    shared = cast("SharedStore", store)

    async def asked(group: str, commands: Sequence[Command]) -> Sequence[Any]:
        from gateway.limits.shared.wire import WireLost

        try:
            return await shared.ask(group, commands)
        except WireLost as error:
            raise ConversationsAway(str(error)) from None

    return RedisConversations(asked, shared.prefix)


class Evictions:
    """Whether a shared limit store may drop counters when its memory is full. That changes with the server, or when
    somebody sets it, so it is asked of every new connection and seldom after."""

    def __init__(self, store: "SharedStore", clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._asked_of = 0
        self._again_at = 0.0
        self._policy = ""

    async def look(self) -> None:
        """Ask if it is time to, and say so once. Raises `WireLost`."""
        connections, now = self._store.gauges().connections, self._clock.monotonic()
        if connections == self._asked_of and now < self._again_at:
            return
        policy = await self._store.eviction()
        self._asked_of, self._again_at = connections, now + EVICTION_LOOK
        if policy and policy != self._policy:
            alert("limit_store_evicts", policy=policy)
        self._policy = policy


async def watch_store(world: "World", store: "SharedStore", ledger: LedgerOptions, engine: Engine) -> None:
    """Count again from the ledger what the shared store has lost (started anew without its data, flushed, a replica
    without them)."""
    from gateway.limits.shared.wire import WireLost

    flush = None if world.journal is None else world.books.close
    evictions = Evictions(store, world.clock)
    told = ""
    while True:
        try:
            await evictions.look()
            done = await recount(store, world.snapshot.limits, ledger, engine, world.clock, flush)
        except (WireLost, StoreAway):
            pass  # Who is away loses nothing more; it is counted when it is back.
        except LedgerError as error:
            if str(error) != told:
                alert("limit_store_not_recounted", reason=str(error))
            told = str(error)
        else:
            told = told if done is None else ""
            if done is not None and done.behind:
                if done.anew:
                    alert("limit_store_lost_counters", counters=done.behind)
                else:
                    info("limit_store_corrected", counters=done.behind)
        await asyncio.sleep(STORE_TURN_SOON if store.restoring else STORE_TURN)


async def watch_ledger(world: "World", ledger: LedgerOptions) -> None:
    """Have what the ledger database says, if it can say it soon, and keep looking."""
    engine = await asyncio.to_thread(open_engine, ledger.url)
    configuration, clock = world.configuration, world.clock
    keys = KeyWatch(configuration, KeyStore(engine))
    adjustments = AdjustmentWatch(configuration, LedgerAdjustments(engine, clock), clock, ledger.journal)
    switches = SwitchWatch(configuration, LedgerSwitches(engine, clock), clock, ledger.journal)
    switches.recall()
    historian = Historian(configuration, engine, clock)
    historian.follow()
    watches = (keys, adjustments, switches)
    await _looked(*(watch.look for watch in watches))
    world.tasks.start(keep_looking(watches), "watch the ledger")
    world.tasks.start(historian.run(), "tell configuration history")
    if isinstance(world.limits, MemoryStore):
        await _restored(world, world.limits, ledger)
    else:
        shared = cast("SharedStore", world.limits)
        world.tasks.start(watch_store(world, shared, ledger, engine), "watch the limit store")
        for _ in range(round(FIRST_LOOK / STORE_LOOK)):
            if not shared.restoring:
                break
            await asyncio.sleep(STORE_LOOK)


async def _looked(*looks: Callable[[], object]) -> None:
    """Take these looks, each on a thread, together."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*(asyncio.to_thread(look) for look in looks)), FIRST_LOOK)


async def _restored(world: "World", store: MemoryStore, ledger: LedgerOptions) -> None:
    """A monthly budget must not begin at zero because this process did."""
    flush = None if world.journal is None else world.books.close
    restoring = restore(
        store, lambda: world.snapshot.limits, ledger.url, world.clock, Path(ledger.journal), flush, _unrestored
    )
    await asyncio.wait({world.tasks.start(restoring, "restore limits")}, timeout=FIRST_LOOK)


async def watch_clock(world: "World", store: MemoryStore, ledger: LedgerOptions | None) -> None:
    """Have windows counted again by the ledger when the wall clock was set: it was false before, or is now."""
    watch = ClockWatch(world.clock)
    while True:
        await asyncio.sleep(CLOCK_LOOK)
        if by := watch.step():
            alert("limit_clock_set", seconds=round(by))
            if store.follow_clock() and ledger is not None:
                await _restored(world, store, ledger)


def watch_incidents(world: "World", metrics: Metrics) -> None:
    """Look for incidents; of several workers one does."""
    snapshot = world.snapshot
    watch = IncidentWatch(
        lambda: world.snapshot.incidents,
        metrics,
        None if snapshot.ledger is None else snapshot.ledger.url,
        world.deliverer.spool,
        world.deliverer.wake,
        world.clock,
        snapshot.server.runtime_dir,
    )
    world.tasks.start(watch.run(), "watch incidents")


def _unrestored(reason: str) -> None:
    alert("budgets_not_restored_yet", reason=reason)
