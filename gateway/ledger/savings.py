"""Where money could be saved, how much a month, what shows it, and what to write into the configuration.

Here the ledger is asked for habits, sums of 30 days and exchanges that show a finding; what is said of them is in
`savings_rules.py`.
"""

from collections.abc import Callable

import msgspec
from sqlalchemy import ColumnElement, Engine, func, select

from gateway.ledger import habits as seen
from gateway.ledger.charges import Cards
from gateway.ledger.habits import Habit
from gateway.ledger.overview import DAY
from gateway.ledger.savings_rules import (
    BATCH_HOURS,
    FEWEST,
    STREAMED,
    Saving,
    Sums,
    batch,
    idle,
    repeated,
    smaller_model,
    totals,
    uncached,
    urgent_tier,
)
from gateway.ledger.spend import iso, usd
from gateway.ledger.store import reading
from gateway.ledger.tables import WASTED, days, events


class Savings(msgspec.Struct, frozen=True):
    """All savings, the largest saving first, and from which time on raw events were looked at."""

    since_ns: int
    until_ns: int
    found: list[Saving]

    @property
    def monthly(self) -> int:
        """What could be saved in all, at most: of the same key and model the largest saving alone, for they are other
        ways to pay less for the same requests. What came to nothing is none of those."""
        largest: dict[tuple[str, str, str], int] = {}
        for each in self.found:
            same = (each.key, each.model, "" if each.key else each.title)
            largest[same] = max(largest.get(same, 0), each.monthly or 0)
        return sum(largest.values())


def find(engine: Engine, cards: Cards, now_ns: int) -> Savings:
    """Look through the ledger. Blocks for a second or two at most. Raises `LedgerError`."""
    with reading(engine) as connection:
        since_ns = seen.window(connection, now_ns)
        every = seen.habits(connection, since_ns, now_ns)
        sums = month_sums(engine, now_ns)
        found = [*totals(sums), *idle(seen.idle_keys(connection, now_ns))]
        for habit in every:
            if habit.requests < FEWEST:
                continue
            asked = [
                (urgent_tier(habit, cards, now_ns), (events.c.service_tier.in_(seen.URGENT), ~events.c.stream)),
                (smaller_model(habit, every, cards, now_ns), (events.c.output_tokens.between(1, seen.SHORT),)),
                (uncached(habit, cards, since_ns, now_ns), (events.c.input_tokens >= seen.LONG_PROMPT,)),
                (repeated(habit), (events.c.input_tokens >= seen.SHORT,)),
            ]
            if habit.streams * 100 <= habit.requests * STREAMED:
                told = seen.busiest_hours(connection, habit.key, habit.model, now_ns, BATCH_HOURS)
                asked.append((batch(habit, told, cards, now_ns), (~events.c.stream,)))
            for saving, where in asked:
                if saving is not None:
                    mine = _of(habit, *where)
                    found.append(
                        msgspec.structs.replace(saving, samples=tuple(seen.samples(connection, since_ns, *mine)))
                    )
        found = [_with_samples(each, lambda *where: seen.samples(connection, since_ns, *where)) for each in found]
    found.sort(key=lambda each: (-(each.monthly or 0), -each.at_stake, each.kind, each.key, each.model))
    return Savings(since_ns, now_ns, found)


def month_sums(engine: Engine, now_ns: int) -> Sums:
    """From the roll-ups of days. Blocks. Raises `LedgerError`."""
    today = now_ns // 10**9 // DAY * DAY
    within = days.c.day > today - seen.MONTH * DAY
    with reading(engine) as connection:
        scale = seen.covered_days(connection, now_ns)
        wasted = [func.sum(days.c[f"{what}_{name}"]) for name in WASTED for what in ("outcome", "cost")]
        row = connection.execute(select(func.sum(days.c.cost_nanos), *wasted).where(within)).one()
        bare = connection.execute(select(func.sum(days.c.cost_nanos)).where(within, days.c.tagged == 0)).scalar()
        unpriced = connection.execute(
            select(days.c.model, func.sum(days.c.unpriced_requests), func.sum(days.c.unpriced_tokens))
            .where(within, days.c.unpriced_requests > 0)
            .group_by(days.c.model)
        ).all()
    counts = [int(value or 0) for value in row]

    def monthly(nanos: int) -> int:
        return nanos * seen.MONTH // scale

    return Sums(
        monthly(counts[0]),
        monthly(int(bare or 0)),
        {name: (counts[1 + 2 * at], monthly(counts[2 + 2 * at])) for at, name in enumerate(WASTED)},
        {str(model): (int(requests), int(tokens)) for model, requests, tokens in unpriced},
    )


def as_json(found: Savings) -> dict[str, object]:
    """The shape scripts rely on; amounts are decimal strings, USD a month."""
    return {
        "since": iso(found.since_ns),
        "until": iso(found.until_ns),
        "saving_usd_per_month": usd(found.monthly),
        "savings": [
            {
                "kind": each.kind,
                "title": each.title,
                "saving_usd_per_month": None if each.monthly is None else usd(each.monthly),
                "at_stake_usd_per_month": usd(each.at_stake),
                "team": each.team,
                "key": each.key,
                "model": each.model,
                "why": each.why,
                "evidence": each.evidence,
                "samples": list(each.samples),
                "how": each.how,
            }
            for each in found.found
        ],
    }


def _of(habit: Habit, *where: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
    return (events.c.key_id == habit.key, events.c.model == habit.model, events.c.outcome == "ok", *where)


def _with_samples(saving: Saving, ask: Callable[..., list[str]]) -> Saving:
    if saving.kind == "waste":
        outcome = saving.title.partition(":")[0].replace(" ", "_")
        return msgspec.structs.replace(saving, samples=tuple(ask(events.c.outcome == outcome, events.c.cost_nanos > 0)))
    if saving.kind == "unpriced":
        return msgspec.structs.replace(saving, samples=tuple(ask(events.c.model == saving.model, events.c.unpriced)))
    if saving.kind == "untagged":
        return msgspec.structs.replace(saving, samples=tuple(ask(events.c.tags_hash == "", events.c.cost_nanos > 0)))
    return saving
