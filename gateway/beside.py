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

from gateway.budgets import behind, restore
from gateway.conversation import Conversations
from gateway.errors import LedgerError
from gateway.incidents.watch import IncidentWatch
from gateway.ledger.keystore import KeyStore
from gateway.ledger.store import open_engine
from gateway.limits.memory import MemoryStore
from gateway.limits.stores import gauges_of, is_up, open_store
from gateway.pseudonyms.redis_store import Command, RedisConversations
from gateway.pseudonyms.store import ConversationStore, StoreAway
from gateway.seams import LimitStore
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
STORE_LOST = 5.0
"""Seconds between two looks whether a shared limit store still has what it held."""
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
        on_state=on_state,
    )
    world.conversations = Conversations(shared_conversations(store))
    for _ in range(STORE_LOOKS):
        if is_up(store):
            return
        await asyncio.sleep(STORE_LOOK)
    gauges = gauges_of(store)
    on_state(False, gauges.reason if gauges is not None else "")


def shared_conversations(store: LimitStore) -> ConversationStore:
    """Conversations beside the counters of a shared limit store."""
    shared = cast("SharedStore", store)

    async def asked(group: str, commands: Sequence[Command]) -> Sequence[Any]:
        from gateway.limits.shared.wire import WireLost

        try:
            return await shared.ask(group, commands)
        except WireLost as error:
            raise StoreAway(str(error)) from None

    return RedisConversations(asked, shared.prefix)


async def watch_store(world: "World", store: "SharedStore", ledger: LedgerOptions, engine: Engine) -> None:
    """Say when the shared store has lost what it held (started anew without its data, flushed, a replica without them):
    budgets begin at zero there, and the ledger knows better. What is left in the store as a mark is lost with the rest.
    """
    from gateway.limits.shared.wire import WireLost

    mark = f"{store.prefix}:{{g}}:kept"
    while True:
        with contextlib.suppress(WireLost, LedgerError):
            program, gauges = world.snapshot.limits, store.gauges()
            told = gauges.up and not gauges.owed
            if told and program is not None and (await store.ask("g", [("GET", mark)]))[0] is None:
                lost = await behind(store, program, engine, world.clock, Path(ledger.journal))
                if lost:
                    alert("limit_store_lost_counters", counters=len(lost), advice="tollway budgets rebuild")
                await store.ask("g", [("SET", mark, 1)])
        await asyncio.sleep(STORE_LOST)


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
