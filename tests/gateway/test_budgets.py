"""Windows, forecasts, and a store rebuilt from the ledger while requests go on."""

import asyncio
import random
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

import gateway.budgets
from gateway.budgets import (
    Rebuilt,
    amount_of,
    forecast,
    iso_in,
    question,
    rebuild,
    restore,
    running,
    unit_of,
    used_of,
    window_of,
)
from gateway.clock import ManualClock
from gateway.errors import LedgerError
from gateway.facts import Cost, Usage
from gateway.ledger.journal import Journal
from gateway.ledger.loader import Loader
from gateway.ledger.store import open_engine
from gateway.ledger.used import Question
from gateway.limits.memory import MemoryStore
from gateway.limits.program import Clause, LimitProgram, Roster
from gateway.limits.windows import Period
from gateway.quota import Admitted, Bound, Calendar, Charge, Rolling, Rule, Scope, Smooth, Window
from tests.gateway.ledger.helpers import T0, exchange
from tests.support.ledgers import ready_ledger


def rule(name: str = "teams.search.budget", measure: str = "usd", window: Window | None = None, **more: object) -> Rule:
    fields: dict[str, object] = {"amount": 10**12, "scope": Scope(team=("search",)), "window": window, **more}
    return Rule(id=name, measure=measure, **fields)  # type: ignore[arg-type]


def bound(*args: object, **more: object) -> Bound:
    made = rule(*args, **more)  # type: ignore[arg-type]
    return Bound(made, made.id, scope=made.scope)


MONTH = bound(window=Calendar("month", "Europe/Berlin"))
ROLLING = bound("r", "tokens", Rolling(3600))


def test_what_is_asked_of_the_ledger() -> None:
    begun = round(datetime(2025, 9, 30, 22, tzinfo=UTC).timestamp()) * 10**9
    over = round(datetime(2025, 10, 31, 23, tzinfo=UTC).timestamp()) * 10**9
    assert question(MONTH, T0) == Question(MONTH.scope, "usd", begun, over, MONTH.key)
    assert question(ROLLING, T0) == Question(ROLLING.scope, "tokens", T0 - 3600 * 10**9, T0 + 3600 * 10**9, ROLLING.key)
    assert question(bound("s", "requests", Smooth(60, 10)), T0) is None
    assert question(bound("c", "concurrent"), T0) is None
    assert question(bound("c", "streams"), T0) is None


def test_how_bounds_are_spoken_of() -> None:
    assert (unit_of(MONTH), window_of(MONTH), amount_of(MONTH, 1)) == ("USD", "month (Europe/Berlin)", "0.000000001")
    assert (unit_of(ROLLING), window_of(ROLLING), amount_of(ROLLING, 1)) == ("tokens", "rolling 3600s", 1)
    assert amount_of(MONTH, None) is None
    assert window_of(bound("s", "requests", Smooth(60, 10))) == "rate per 60s"
    assert (unit_of(bound("c", "concurrent")), window_of(bound("c", "concurrent"))) == ("at one time", "")
    window = running(MONTH, T0)
    assert window is not None
    assert iso_in(MONTH, window.end_ns) == "2025-11-01T00:00:00+01:00"
    assert iso_in(None, window.end_ns) == "2025-10-31T23:00:00Z"


@given(used=st.integers(0, 2**53), start=st.integers(0, 2**60), length=st.integers(1, 2**55), share=st.integers(0, 999))
def test_the_forecast_is_linear(used: int, start: int, length: int, share: int) -> None:
    """«In proportion to the share of the window that is over, rounded half up; none in its first twentieth.»"""
    over = length * share // 1000
    found = forecast(used, Period("x", start, start + length), start + over)
    if over * 20 < length:
        assert found is None
    else:
        exact = Fraction(used * length, max(over, 1)) if over else None
        assert found is not None
        assert exact is None or abs(found - exact) <= Fraction(1, 2)
        assert found >= used


def test_a_forecast_at_the_very_beginning() -> None:
    assert forecast(5, Period("x", 0, 10), 0) is None
    assert forecast(5, Period("x", 0, 10**9), 5 * 10**8) == 10


class Served:
    """A gateway in small: a memory store, a journal, and a ledger that is loaded when the test says so."""

    def __init__(self, directory: Path, *rules: Rule) -> None:
        self.clock = ManualClock(T0)
        self.store = MemoryStore(self.clock)
        self.directory = directory / "journal"
        self.url = f"sqlite:///{directory}/x.db"
        ready_ledger(self.url)
        self.engine: Engine = open_engine(self.url)
        self.journal = Journal(self.directory, clock=self.clock, fsync_interval=0)
        roster = Roster(teams=("search", "ads"), keys={"search-dev": "search"})
        self.program = LimitProgram([Clause(rule=each) for each in rules], roster)
        self.number = 0

    def begin(self) -> str:
        """Admit a request of 1 USD and 1000 tokens, before it is known what it takes."""
        self.number += 1
        bounds = self.program.bounds("search-dev", "search", "gpt-4o-mini", "chat.completions", {})
        charge = Charge(input_tokens=500, output_tokens=500, nanos=10**9)
        assert isinstance(self.store.admit_now(f"h{self.number}", bounds, charge, 60.0), Admitted)
        return f"h{self.number}"

    def finish(self, hold: str, nanos: int) -> None:
        """As a gateway ends a request: settled and written in one turn of the loop."""
        x = exchange(self.number, usage=Usage(input_tokens=10, output_tokens=5), cost=Cost(nanos=nanos))
        x.started = self.journal.start(x)
        self.store.settle(hold, Charge(input_tokens=10, output_tokens=5, nanos=nanos))
        self.journal.finish_soon(x)

    def serve(self, nanos: int) -> None:
        self.finish(self.begin(), nanos)

    def load(self) -> None:
        self.journal.flush()
        Loader(self.url, self.directory, clock=self.clock).step()

    async def rebuild(self, **more: object) -> list[Rebuilt]:
        return await rebuild(
            self.store, self.program, self.engine, self.clock, journal=self.directory, flush=self.journal.flush, **more
        )  # type: ignore[arg-type]

    def used(self) -> list[int]:
        return [level.used for level in asyncio.run(self.store.levels(self.program.known()))]


RULES = (
    rule(window=Calendar("month", "Europe/Berlin")),
    rule("day", "tokens", Calendar("day")),
    rule("rolling", "requests", Rolling(3600)),
    rule("rate", "requests", Smooth(60, 10**6)),
    rule("now", "concurrent"),
)


@pytest.mark.parametrize("loaded", [True, False])
async def test_a_store_that_forgot_is_as_it_was(tmp_path: Path, loaded: bool) -> None:
    """After a restart a monthly budget does not begin at zero, though the loader may be behind."""
    served = Served(tmp_path, *RULES)
    for nanos in (10**9, 2 * 10**9):
        served.serve(nanos)
    served.load()
    served.serve(4 * 10**9)
    if loaded:
        served.load()
    before = [level.used for level in await served.store.levels(served.program.known())]
    assert before[:3] == [7 * 10**9, 45, 3]
    served.store = MemoryStore(served.clock)
    done = await served.rebuild()
    assert [(each.bound.key, each.before, each.used) for each in done] == [
        ("teams.search.budget", 0, 7 * 10**9), ("day", 0, 45), ("rolling", 0, 3),
    ]  # fmt: skip
    assert [level.used for level in await served.store.levels(served.program.known())][:3] == before[:3]


async def test_what_is_settled_while_the_ledger_is_read_counts_once(tmp_path: Path, monkeypatch) -> None:
    """«What is settled while the ledger is read is told from what it holds by the journal's length at the beginning.»
    Whatever is settled, flushed and loaded in between: the counter is right to the nano-dollar."""
    chance = random.Random(7)
    served = Served(tmp_path, *RULES)
    total = 0

    def some(least: int = 0) -> None:
        nonlocal total
        for _ in range(chance.randint(least, 4)):
            nanos = chance.randrange(10**9)
            served.serve(nanos)
            total += nanos

    for _ in range(12):
        some(1)
        if chance.random() < 0.5:
            served.load()
        some()
        under_way = served.begin()
        meanwhile = chance.random()
        read = used_of

        def reading(*args, meanwhile=meanwhile, read=read):
            some()
            if meanwhile < 0.6:
                served.load()
            some()
            if meanwhile < 0.3:
                served.load()
            found = read(*args)
            some()
            return found

        monkeypatch.setattr(gateway.budgets, "used_of", reading)
        await served.rebuild()
        monkeypatch.setattr(gateway.budgets, "used_of", read)
        (level,) = await served.store.levels(served.program.known()[:1])
        assert (level.used, level.reserved) == (total, 10**9)
        served.finish(under_way, 3)
        total += 3


async def test_only_one_team(tmp_path: Path) -> None:
    served = Served(tmp_path, *RULES, rule("teams.ads.budget", window=Calendar("month"), scope=Scope(team=("ads",))))
    served.serve(5)
    assert [each.bound.key for each in await served.rebuild(team="ads")] == ["teams.ads.budget"]
    assert len(await served.rebuild()) == 4
    assert await served.rebuild(team="nobody") == []


async def test_keys_of_the_ledger_are_rebuilt_too(tmp_path: Path) -> None:
    served = Served(tmp_path, rule("per-key", window=Calendar("day"), scope=Scope(), each=("key",)))
    served.serve(5)
    done = await served.rebuild(keys={"key-1": "search"})
    assert [(each.bound.key, each.used) for each in done] == [("per-key:search-dev", 5), ("per-key:key-1", 0)]


async def test_nothing_is_set_while_the_database_is_away(tmp_path: Path) -> None:
    served = Served(tmp_path, *RULES)
    served.serve(5)
    (tmp_path / "x.db").unlink()
    served.engine.dispose()
    with pytest.raises(LedgerError):
        await served.rebuild()
    assert [level.used for level in await served.store.levels(served.program.known()[:1])] == [5]


async def test_a_start_waits_for_the_database_and_is_exact_then(tmp_path: Path) -> None:
    """The database is away at the start: requests go on, and are not counted twice when it is back."""
    served = Served(tmp_path, *RULES)
    for _ in range(3):
        served.serve(10**9)
    served.journal.flush()
    served.engine.dispose()
    kept = (tmp_path / "x.db").read_bytes()
    (tmp_path / "x.db").unlink()
    (tmp_path / "x.db").mkdir()
    served.store = MemoryStore(served.clock)
    told: list[str] = []
    work = restore(
        served.store, lambda: served.program, served.url, served.clock, served.directory, served.journal.flush,
        told.append,
    )  # fmt: skip
    task = asyncio.ensure_future(work)
    async with asyncio.timeout(60):
        while not told:
            await asyncio.sleep(0.01)
        served.serve(10**9)
        (tmp_path / "x.db").rmdir()
        (tmp_path / "x.db").write_bytes(kept)
        assert await task == 3
    assert len(told) == 1
    (level,) = await served.store.levels(served.program.known()[:1])
    assert level.used == 4 * 10**9


async def test_what_a_dead_process_was_doing_is_booked_first(tmp_path: Path) -> None:
    served = Served(tmp_path, *RULES)
    started = exchange(1, usage=None, cost=Cost(nanos=None), reserved_nanos=7)
    assert served.journal.start(started)
    served.journal.close()
    served.store = MemoryStore(served.clock)
    assert await restore(served.store, lambda: served.program, served.url, served.clock, served.directory) == 3
    (level,) = await served.store.levels(served.program.known()[:1])
    assert level.used == 7
    assert await restore(served.store, lambda: None, served.url, served.clock, served.directory) == 0
