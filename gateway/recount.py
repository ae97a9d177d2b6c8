"""Counters that a shared store has lost, counted again from the ledger without anybody's help.

One worker of all does it (`Generations.turns`), while the others count on their shares, as if the store were away. What
was finished before the store was lost is added to what the counters hold by then, never set: what is settled, reserved
and entered afterwards meanwhile stays. The store remembers what was added where, so that it may be done twice, by
several, or be interrupted. What reaches the ledger later (another machine's journal that is not loaded yet) is added
by later looks, which come ever more rarely for a day.
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Engine

from gateway.budgets import live_keys, question
from gateway.ledger.store import ensure_schema, identity
from gateway.ledger.used import Question, answers
from gateway.limits.program import LimitProgram
from gateway.limits.windows import period
from gateway.quota import Bound, Calendar, Rolling
from gateway.seams import Clock
from gateway.settings.snapshot import LedgerOptions

if TYPE_CHECKING:
    from gateway.limits.shared.redis_open import SharedStore

PARTS = 12
"""A rolling window is restored in so many parts, each of which leaves it when its end does."""
SHORTEST = 60
"""Seconds; what is counted for less has left by itself before anything could be read."""


class Recounted(msgspec.Struct, frozen=True):
    """What was done."""

    behind: int
    """Counters, or parts of their windows, that held less than the ledger says."""
    anew: bool
    """They were restored for the first time, not corrected."""


class Place(msgspec.Struct, frozen=True):
    """Of a counter, what is asked of the ledger and where the answer belongs."""

    bound: Bound
    place_us: int
    question: Question


async def recount(
    store: "SharedStore",
    program: LimitProgram | None,
    ledger: LedgerOptions,
    engine: Engine,
    clock: Clock,
    flush: Callable[[], None] | None = None,
) -> Recounted | None:
    """Restore or correct what it is this worker's turn to; None: nothing is. `flush` books what has just ended.

    Raises `LedgerError` when the database is away, `WireLost` and `StoreAway` when the store is.
    """
    generations = store.generations
    if generations is None:
        return None
    if program is not None and not store.together:
        generations.groups = tuple(sorted({bound.group for bound in program.known()}))
    if not generations.ledger:
        generations.ledger = str(await asyncio.to_thread(_named, ledger.url, engine))
    turns = await generations.turns()
    if not turns:
        return None
    if flush is not None:
        flush()
    cuts = {group: one.cut_ns for group, one in turns.items()}

    def asked() -> list[tuple[Bound, int, int]]:
        if program is None:
            return []
        bounds = program.known(None, live_keys(engine, clock))
        wanted = [
            each
            for bound in bounds
            if (cut_ns := cuts.get("g" if store.together else bound.group)) is not None
            for each in places(bound, cut_ns, clock.now_ns())
        ]
        sums = answers(engine, [each.question for each in wanted], Path(ledger.journal))
        return [(each.bound, each.place_us, amount) for each, amount in zip(wanted, sums, strict=True) if amount > 0]

    behind = await store.restore(await asyncio.to_thread(asked), generations.ledger)
    anew = [(group, one) for group, one in turns.items() if not one.own]
    await generations.ready(anew)
    return Recounted(behind, bool(anew))


def _named(url: str, engine: Engine) -> int:
    ensure_schema(url)
    return identity(engine)


def places(bound: Bound, cut_ns: int, now_ns: int) -> Iterable[Place]:
    """What must be asked of the ledger to restore a counter that was lost at `cut_ns`, and where it belongs: the
    calendar period that runs now, or the parts of a rolling window that are still in it. None of rates and of what is
    under way, which the ledger does not know."""
    asked = question(bound, now_ns)
    window = bound.rule.window
    if asked is None:
        return []
    if isinstance(window, Calendar):
        start_ns, end_ns = asked.since_ns, min(period(window, now_ns).end_ns, cut_ns)
        if start_ns >= end_ns:
            return []
        return [Place(bound, start_ns // 1000, _of(asked, start_ns, end_ns, cut_ns))]
    if not isinstance(window, Rolling) or window.seconds < SHORTEST:
        return []
    length = window.seconds * 10**9
    part = length // PARTS
    first, last = max(now_ns - length, 0) // part, (cut_ns - 1) // part
    return [
        Place(bound, (at + 1) * part // 1000, _of(asked, at * part, min((at + 1) * part, cut_ns), cut_ns))
        for at in range(first, last + 1)
    ]


def _of(asked: Question, since_ns: int, until_ns: int, cut_ns: int) -> Question:
    return msgspec.structs.replace(asked, since_ns=since_ns, until_ns=until_ns, finished_ns=cut_ns)
