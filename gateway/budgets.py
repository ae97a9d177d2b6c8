"""Budgets as people manage them: the window that runs, the forecast, what the ledger is asked, and rebuilding a store.

The figures are the limit store's where it is at hand, and the ledger's else; both count by the same windows.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Engine

from gateway.errors import LedgerError
from gateway.ledger.keystore import KeyStore
from gateway.ledger.recovery import recover
from gateway.ledger.spend import usd
from gateway.ledger.store import ensure_schema, open_engine
from gateway.ledger.used import COUNTED, Marks, Question, answers, marks_of
from gateway.limits.program import LimitProgram
from gateway.limits.windows import Period, period
from gateway.quota import Bound, Calendar, Rolling, Smooth
from gateway.seams import Clock, LimitStore

EARLY = 20
"""A forecast is made when a twentieth of the window is over: before, one request more or less would turn it over."""
_FIRST_PAUSE, _MOST_PAUSE = 0.5, 30.0
_HOUR_NS = 3600 * 10**9


class Rebuilt(msgspec.Struct, frozen=True):
    """One counter that was set."""

    bound: Bound
    before: int
    used: int
    """By the ledger, at the moment of `before`."""


def running(bound: Bound, now_ns: int) -> Period | None:
    """The calendar window of a bound that runs; None: it rolls, is smooth, or has none."""
    window = bound.rule.window
    return period(window, now_ns) if isinstance(window, Calendar) else None


def question(bound: Bound, now_ns: int) -> Question | None:
    """What to ask the ledger for what a bound has used in the window that runs; None: the ledger cannot say (rates,
    and what is under way)."""
    rule = bound.rule
    if rule.measure not in COUNTED:
        return None
    if isinstance(rule.window, Calendar):
        found = period(rule.window, now_ns)
        return Question(bound.scope, rule.measure, found.start_ns, found.end_ns, bound.key)
    if isinstance(rule.window, Rolling):
        since_ns = now_ns - rule.window.seconds * 10**9
        # Past now, because a request may be stamped by a clock that is ahead.
        return Question(bound.scope, rule.measure, max(since_ns, 0), now_ns + _HOUR_NS, bound.key)
    return None


def forecast(used: int, window: Period, now_ns: int) -> int | None:
    """What will be used when the window ends, if it goes on as it did since the window began: in proportion to the
    share of the window that is over, rounded half up. None: too early to say."""
    length, over = window.end_ns - window.start_ns, now_ns - window.start_ns
    if over * EARLY < length:
        return None
    return (2 * used * length + over) // (2 * over)


def used_of(
    engine: Engine, bounds: Sequence[Bound], now_ns: int, journal: Path | None = None, marks: Marks | None = None
) -> list[int | None]:
    """What the ledger says each bound has used; None where it cannot. Blocks. Raises `LedgerError`."""
    asked = [question(bound, now_ns) for bound in bounds]
    found = iter(answers(engine, [each for each in asked if each is not None], journal, marks))
    return [None if each is None else next(found) for each in asked]


def unit_of(bound: Bound) -> str:
    """`USD`, `tokens`, `requests`, or `at one time`."""
    match bound.rule.measure:
        case "usd":
            return "USD"
        case "requests":
            return "requests"
        case "concurrent" | "streams":
            return "at one time"
        case "tokens" | "input_tokens" | "output_tokens":
            return "tokens"


def amount_of(bound: Bound, amount: int | None) -> str | int | None:
    """An amount as JSON has it: dollars as an exact decimal string, all else as a number."""
    return usd(amount) if amount is not None and bound.rule.measure == "usd" else amount


def window_of(bound: Bound) -> str:
    """Such as `month (Europe/Berlin)`, `rolling 60s`, `rate per 60s`; "" for what has no window."""
    match bound.rule.window:
        case Calendar(unit, zone):
            return f"{unit} ({zone})"
        case Rolling(seconds):
            return f"rolling {seconds}s"
        case Smooth(seconds, _):
            return f"rate per {seconds}s"
        case None:
            return ""


def iso_in(bound: Bound | None, ns: int) -> str:
    """A time to the second in the zone of a bound's calendar, with its offset; UTC where there is none."""
    window = bound.rule.window if bound is not None else None
    zone = ZoneInfo(window.zone) if isinstance(window, Calendar) and window.zone != "UTC" else UTC
    return datetime.fromtimestamp(ns // 10**9, zone).isoformat().replace("+00:00", "Z")


async def rebuild(
    store: LimitStore,
    program: LimitProgram,
    engine: Engine,
    clock: Clock,
    *,
    journal: Path | None = None,
    flush: Callable[[], None] | None = None,
    team: str | None = None,
    keys: Mapping[str, str] | None = None,
) -> list[Rebuilt]:
    """Set every counter that can be listed to what the ledger says was used: after a start with a store that forgets,
    or after a store was lost.

    `journal`: the directory of this gateway's journal, whose events count though they are not loaded yet; `flush`
    writes out those that wait (`Books.close`). `team`: only counters within it. `keys`: teams of the ledger's keys,
    by id. Counters that nobody has counted on and that cannot be listed (by operation or tag) are left alone.

    Exact with a store in this process: what is settled while the ledger is read is told from what it holds by the
    journal's length at the beginning. With a store that several gateways share, what others settle in these
    milliseconds may be counted twice, and what they have not loaded yet is missing.

    In a rolling window all of it counts from now on: it is given back late, never early.

    Raises `LedgerError` when the database is away; nothing is set then.
    """
    bounds = [bound for bound in program.known(team, keys) if question(bound, clock.now_ns()) is not None]
    if not bounds:
        return []
    if flush is not None:
        flush()
    # From here to `levels` nothing is awaited that lets another request be settled: what the journal holds now is what
    # the counters hold now.
    marks = None if journal is None else marks_of(journal)
    before = await store.levels(bounds)
    sums = await asyncio.to_thread(used_of, engine, bounds, clock.now_ns(), journal, marks)
    rebuilt: list[Rebuilt] = []
    for bound, old, booked in zip(bounds, before, sums, strict=True):
        if booked is not None:
            await store.put(bound, booked, old.used)
            rebuilt.append(Rebuilt(bound, old.used, booked))
    return rebuilt


async def restore(
    store: LimitStore,
    program: Callable[[], LimitProgram | None],
    url: str,
    clock: Clock,
    journal: Path,
    flush: Callable[[], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> int:
    """Rebuild a store that begins empty, at a start; returns how many counters were set. Run it as a task, and let the
    start wait for it for a while: it tries again, every half second and ever more rarely, until the database is there,
    and is exact then too, whatever was served meanwhile.

    What dead processes were doing is booked first (`recover`), as the loader does. `report` is told once why it waits.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            await asyncio.to_thread(recover, journal, clock)
            engine, keys = await asyncio.to_thread(_opened, url, clock)
            try:
                limits = program()
                if limits is None:
                    return 0
                done = await rebuild(store, limits, engine, clock, journal=journal, flush=flush, keys=keys)
                return sum(each.before != each.used for each in done)
            finally:
                engine.dispose()
        except (LedgerError, OSError) as error:
            if report is not None and pause == _FIRST_PAUSE:
                report(str(error))
        await asyncio.sleep(pause)
        pause = min(pause * 2, _MOST_PAUSE)


def _opened(url: str, clock: Clock) -> tuple[Engine, dict[str, str]]:
    """The ledger, and the teams of its keys."""
    ensure_schema(url)
    engine = open_engine(url)
    try:
        return engine, live_keys(engine, clock)
    except BaseException:
        engine.dispose()
        raise


def live_keys(engine: Engine, clock: Clock) -> dict[str, str]:
    """Teams of the ledger's keys that were not revoked, by id."""
    return {key.id: key.team for key in KeyStore(engine, clock).list() if key.revoked_ns is None}
