"""Counters a shared store has lost, counted again from the ledger: exactly once, whoever does it, whatever goes on."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import SystemClock
from gateway.errors import LedgerError
from gateway.ledger.posting import post
from gateway.ledger.store import identity, open_engine, writing
from gateway.limits.program import Clause, LimitProgram, Roster
from gateway.limits.shared.packing import counter_name
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.stores import open_store
from gateway.limits.windows import period
from gateway.quota import Admitted, Bound, Calendar, Charge, Refused, Rolling, Rule, Scope, Smooth
from gateway.recount import PARTS, Recounted, places, recount
from gateway.settings.snapshot import LedgerOptions
from tests.gateway.ledger.helpers import T0, end
from tests.gateway.limits.helpers import apart, holds, until
from tests.support.ledgers import ready_ledger
from tests.support.redis_servers import RedisServer, running

SECOND = 10**9
SCOPE = Scope(team=("search",))
YEAR = Rule(id="year", measure="usd", amount=10**12, window=Calendar("year"), scope=SCOPE)
HOUR = Rule(id="hour", measure="requests", amount=1000, window=Rolling(3600), scope=SCOPE)
PROGRAM = LimitProgram([Clause(rule=YEAR), Clause(rule=HOUR)], Roster(teams=("search",)))
BOUNDS = PROGRAM.known()


class Host:
    """A gateway in small: a store of its own on the common Redis, a ledger, and no journal beside it."""

    def __init__(self, url: str, directory: Path, name: str) -> None:
        self.clock = SystemClock()
        self.ledger = LedgerOptions(url=f"sqlite:///{directory}/{name}.db", journal=str(directory / name))
        ready_ledger(self.ledger.url)
        self.engine = open_engine(self.ledger.url)
        store = open_store(url, clock=self.clock, worker=name, patience=5.0, restored=True)
        assert isinstance(store, SharedStore)
        self.store = store
        self.told: list[Recounted] = []

    async def recount(self) -> Recounted | None:
        done = await recount(self.store, PROGRAM, self.ledger, self.engine, self.clock)
        self.told += [] if done is None else [done]
        return done

    async def restored(self) -> None:
        """Do what is this host's turn until the store decides again."""
        async with asyncio.timeout(60):
            while not self.store.gauges().up:
                with contextlib.suppress(Exception):
                    await self.recount()
                await asyncio.sleep(0.01)

    async def serve(self, hold: str, nanos: int, *, loaded: bool = True) -> None:
        began = self.clock.now_ns()
        assert isinstance(await self.store.admit(hold, BOUNDS, Charge(nanos=10**9), 600.0), Admitted)
        self.store.settle(hold, Charge(nanos=nanos))
        await self.store.levels(BOUNDS)  # answered after it: the settlement has arrived
        if loaded:
            self.load(began, nanos)

    def load(self, began: int, nanos: int) -> None:
        with writing(self.engine) as connection:
            booked = end(received_ns=began, finished_ns=self.clock.now_ns(), cost_nanos=nanos)
            post(connection, [booked], self.clock.now_ns())


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    with running(tmp_path / "redis") as server:
        yield server


@contextlib.asynccontextmanager
async def hosts(redis: RedisServer, directory: Path, *names: str) -> AsyncIterator[list[Host]]:
    """Hosts of these ledgers; those of one name share it."""
    made = [Host(apart(redis.url), directory, name) for name in names]
    try:
        await asyncio.gather(*(host.restored() for host in made))
        yield made
    finally:
        for host in made:
            await host.store.aclose()
            host.engine.dispose()


async def lose(redis: RedisServer, made: list[Host]) -> None:
    """The server is killed, and comes back without anything."""
    await asyncio.to_thread(redis.stop)
    await until(lambda: not any(host.store.gauges().up for host in made), "all to notice")
    await asyncio.to_thread(redis.start)


async def test_what_was_spent_before_is_spent_still(redis: RedisServer, tmp_path: Path) -> None:
    """ "Recovery without operator": two workers, of which one counts again, and both wait for it. What is under way and
    what ends while the store is away stays what it is."""
    async with hosts(redis, tmp_path, "a", "a") as (one, other):
        await one.serve("h1", 5 * 10**9)
        await other.serve("h2", 7 * 10**9)
        assert isinstance(await other.store.admit("h3", BOUNDS, Charge(nanos=10**9), 600.0), Admitted)
        await holds(one.store, BOUNDS[0], 12 * 10**9, 10**9)
        await lose(redis, [one, other])
        await one.serve("h4", 100)
        await asyncio.gather(one.restored(), other.restored())
        await holds(one.store, BOUNDS[0], 12 * 10**9 + 100, 10**9)
        await holds(one.store, BOUNDS[1], 3, 1)
        other.store.settle("h3", Charge(nanos=1))
        await holds(one.store, BOUNDS[0], 12 * 10**9 + 101)
        done = [each for host in (one, other) for each in host.told if each.anew and each.behind]
        assert len(done) == 1, "by one of them"


async def test_until_it_is_counted_nobody_spends_it_again(redis: RedisServer, tmp_path: Path) -> None:
    """An empty store is as good as one that is away: a rule that must hold refuses, the others count on their share."""
    async with hosts(redis, tmp_path, "a") as (host,):
        await host.serve("h1", 5)
        await lose(redis, [host])
        await until(lambda: host.store.restoring, "it to be there again")
        strict = Bound(Rule(id="s", measure="usd", amount=9, window=Calendar("year"), on_store_failure="closed"), "s")
        decision = await host.store.admit("h2", [strict], Charge(nanos=1), 60.0)
        assert not isinstance(decision, Admitted)
        assert decision.store_away
        assert "lost what it held" in host.store.gauges().reason
        await host.restored()
        assert isinstance(await host.store.admit("h3", [strict], Charge(nanos=1), 60.0), Admitted)


async def test_what_is_loaded_later_is_added_once(redis: RedisServer, tmp_path: Path) -> None:
    """Another machine's journal may be behind. Said twice, by two at once, it counts once."""
    async with hosts(redis, tmp_path, "a", "a") as (one, other):
        began = one.clock.now_ns()
        await one.serve("h1", 5)
        await one.serve("h2", 6, loaded=False)
        await lose(redis, [one, other])
        await asyncio.gather(one.restored(), other.restored())
        await holds(one.store, BOUNDS[0], 5)
        await one.serve("h3", 20)
        generations = one.store.generations
        assert generations is not None
        cut = generations._known["g"].cut_ns
        with writing(one.engine) as connection:
            late = end(received_ns=began, finished_ns=cut - 1, cost_nanos=6)
            post(connection, [late], one.clock.now_ns())
        for _ in range(2):
            redis.ask("DEL", f"{one.store.prefix}:{{g}}:recounting:{generations.ledger}")
            await asyncio.gather(one.recount(), other.recount())
        await holds(one.store, BOUNDS[0], 31)
        await holds(one.store, BOUNDS[1], 3)


@pytest.mark.parametrize("seed", range(3))
async def test_counting_again_races_with_requests(redis: RedisServer, tmp_path: Path, seed: int) -> None:
    """In the end the counter holds what was spent, each nano-dollar once, however losses, what is under way, and the
    turns of those who count again fall together."""
    chance = random.Random(seed)
    spent, number = 0, itertools.count()
    async with hosts(redis, tmp_path, "a", "a", "b") as made:

        async def serve(host: Host) -> None:
            nonlocal spent
            hold, nanos, began = f"h{next(number)}", chance.randrange(1, 1000), host.clock.now_ns()
            await host.store.admit(hold, BOUNDS, Charge(nanos=1000), 600.0)
            await asyncio.sleep(chance.random() / 50)
            host.store.settle(hold, Charge(nanos=nanos))
            spent += nanos
            host.load(began, nanos)

        async def settled() -> None:
            for host in made:
                await host.store.levels(BOUNDS)

        for _ in range(3):
            await asyncio.gather(*(serve(chance.choice(made)) for _ in range(10)))
            await settled()
            under_way = [asyncio.ensure_future(serve(chance.choice(made))) for _ in range(chance.randrange(5))]
            if under_way:
                await asyncio.sleep(0)
                await asyncio.gather(*under_way)
                await settled()
            held = [asyncio.ensure_future(serve(chance.choice(made))) for _ in range(5)]
            await asyncio.to_thread(redis.stop)
            await until(lambda: not any(host.store.gauges().up for host in made), "all to notice")
            await asyncio.gather(*held, *(serve(chance.choice(made)) for _ in range(5)))
            await asyncio.to_thread(redis.start)
            await asyncio.gather(*(host.restored() for host in made), *(serve(chance.choice(made)) for _ in range(10)))
        await settled()
        end_at = asyncio.get_running_loop().time() + 60
        used = -1
        while used < spent and asyncio.get_running_loop().time() < end_at:
            used = (await made[0].store.levels(BOUNDS))[0].used
        # Those that ended in the moment in which the server was killed may count twice, and none less than once.
        assert spent <= used <= spent + 3 * 5 * 1000


async def test_gateways_of_two_ledgers_tell_what_each_knows(redis: RedisServer, tmp_path: Path) -> None:
    async with hosts(redis, tmp_path, "a", "b") as made:
        await made[0].serve("h1", 5)
        await made[1].serve("h2", 7)
        await lose(redis, made)
        await asyncio.gather(*(host.restored() for host in made))
        await holds(made[0].store, BOUNDS[0], 12)
        assert identity(made[0].engine) != identity(made[1].engine)


async def test_a_store_flushed_under_its_connections(redis: RedisServer, tmp_path: Path) -> None:
    async with hosts(redis, tmp_path, "a") as (host,):
        await host.serve("h1", 5)
        redis.ask("FLUSHALL")
        await until(lambda: not host.store.gauges().up, "it to be noticed")
        await host.restored()
        await holds(host.store, BOUNDS[0], 5)


async def test_a_new_store_and_one_of_earlier_gateways_need_nothing(redis: RedisServer, tmp_path: Path) -> None:
    """A store that has its counters, and the mark gateways left there before, is taken over as it is."""
    url = apart(redis.url)
    prefix = url.rpartition("=")[2]
    store = open_store(url, clock=SystemClock(), worker="before", patience=5.0)
    assert isinstance(store, SharedStore)
    await until(lambda: store.up, "the store")
    await store.put(BOUNDS[0], 5)
    await store.aclose()
    redis.ask("SET", f"{prefix}:{{g}}:kept", "1")
    host = Host(url, tmp_path, "a")
    host.load(host.clock.now_ns(), 5)
    await until(lambda: host.store.gauges().up, "it to be taken over")
    await holds(host.store, BOUNDS[0], 5)
    assert await host.recount() is None
    await host.store.aclose()
    host.engine.dispose()


async def test_a_ledger_that_is_away_is_said(redis: RedisServer, tmp_path: Path) -> None:
    host = Host(apart(redis.url), tmp_path, "a")
    nowhere = LedgerOptions(url="postgresql://nobody@127.0.0.1:9/x", journal=str(tmp_path))
    engine = open_engine(nowhere.url)
    with pytest.raises(LedgerError):
        await recount(host.store, PROGRAM, nowhere, engine, host.clock)
    assert (
        await recount(
            open_store(redis.url, clock=host.clock, worker="w"),
            PROGRAM,
            host.ledger,
            host.engine,
            host.clock,  # type: ignore[arg-type]
        )
        is None
    ), "one that nobody asked to be restored"
    await host.store.aclose()


@given(
    seconds=st.integers(60, 86_400),
    away=st.integers(0, 2 * 86_400 * SECOND),
    ages=st.lists(st.integers(1, 3 * 86_400 * SECOND), max_size=20),
)
def test_parts_of_a_rolling_window(seconds: int, away: int, ages: list[int]) -> None:
    """«What was received in the window before the cut is asked for exactly once, and leaves the window no earlier, and
    at most a part later, than it should.»"""
    bound = Bound(Rule(id="r", measure="usd", amount=1, window=Rolling(seconds)), "r")
    cut, now = T0, T0 + away
    found = list(places(bound, cut, now))
    for age in ages:
        received = cut - age
        inside = [each for each in found if each.question.since_ns <= received < each.question.until_ns]
        if received >= now - seconds * SECOND:
            assert len(inside) == 1
        assert len(inside) <= 1
        for each in inside:
            assert 0 <= each.place_us * 1000 - received + 1000 <= seconds * SECOND // PARTS + 2000


@given(away=st.integers(0, 400 * 86_400 * SECOND), unit=st.sampled_from(["day", "week", "month", "year"]))
def test_the_period_of_a_calendar_window(away: int, unit: str) -> None:
    """«The calendar period that runs now», as far as it was before the cut: none when it began after."""
    window = Calendar(unit, "Europe/Berlin")  # type: ignore[arg-type]
    running_now = period(window, T0 + away)
    found = list(places(Bound(Rule(id="r", measure="usd", amount=1, window=window), "r"), T0, T0 + away))
    if running_now.start_ns >= T0:
        assert found == []
    else:
        (each,) = found
        assert each.place_us == running_now.start_ns // 1000
        asked = each.question
        assert (asked.since_ns, asked.until_ns, asked.finished_ns) == (running_now.start_ns, T0, T0)


def test_what_the_ledger_does_not_know() -> None:
    for measure, window in (("requests", Smooth(60, 10)), ("concurrent", None), ("tokens", Rolling(10))):
        made = Rule(id="r", measure=measure, amount=1, window=window)  # type: ignore[arg-type]
        assert list(places(Bound(made, "r"), T0, T0)) == []


async def test_a_server_that_was_set_back_is_counted_again(tmp_path: Path) -> None:
    """A snapshot that is older than the crash, as `save` leaves it, holds a part of what was spent: neither that part
    alone nor both together are the truth."""
    with running(tmp_path / "redis", "--dbfilename", "old.rdb") as redis:
        async with hosts(redis, tmp_path, "a", "a") as (one, other):
            await one.serve("h1", 5 * 10**9)
            assert isinstance(await other.store.admit("early", BOUNDS, Charge(nanos=10**9), 600.0), Admitted)
            await holds(one.store, BOUNDS[0], 5 * 10**9, 10**9)
            redis.ask("SAVE")
            await looked(redis)
            await other.serve("h2", 7 * 10**9)
            other.store.settle("early", Charge(nanos=3))
            other.load(other.clock.now_ns(), 3)
            assert isinstance(await one.store.admit("late", BOUNDS, Charge(nanos=10**9), 600.0), Admitted)
            await holds(one.store, BOUNDS[0], 12 * 10**9 + 3, 10**9)
            await lose(redis, [one, other])
            await asyncio.gather(one.restored(), other.restored())
            await holds(one.store, BOUNDS[0], 12 * 10**9 + 3, 10**9)
            await holds(one.store, BOUNDS[1], 3, 1)


async def test_counters_without_their_generation_do_not_count_twice(redis: RedisServer, tmp_path: Path) -> None:
    """A server that evicts keys may drop the one and keep the others."""
    async with hosts(redis, tmp_path, "a", "a") as (one, other):
        await one.serve("h1", 5 * 10**9)
        assert isinstance(await other.store.admit("h2", BOUNDS, Charge(nanos=10**9), 600.0), Admitted)
        before = generation(one)
        redis.ask("DEL", f"{one.store.prefix}:{{g}}:generation")
        await until(lambda: before not in (generation(one), generation(other)), "both to notice")
        await asyncio.gather(one.restored(), other.restored())
        await holds(one.store, BOUNDS[0], 5 * 10**9, 10**9)


@pytest.mark.parametrize("at", [0, 1], ids=["calendar", "rolling"])
async def test_a_counter_that_was_evicted_is_missed_and_counted_again(
    redis: RedisServer, tmp_path: Path, at: int
) -> None:
    """A server that is short of memory drops what nobody has used for long, a quiet team's budget first: the request
    that would find it empty is not admitted on that, and one that finds all of it is."""
    strict = Bound(
        msgspec.structs.replace(BOUNDS[at].rule, on_store_failure="closed"), BOUNDS[at].key, BOUNDS[at].group
    )
    async with hosts(redis, tmp_path, "a", "a") as (one, other):
        await one.serve("h1", 5 * 10**9)
        await other.serve("h2", 7 * 10**9)
        assert isinstance(await other.store.admit("h3", BOUNDS, Charge(nanos=10**9), 600.0), Admitted)
        before = generation(one)
        assert redis.ask("DEL", counter_name(one.store.prefix, BOUNDS[at])) == 1
        refused = await one.store.admit("h4", [strict], Charge(nanos=10**9), 60.0)
        assert isinstance(refused, Refused)
        assert refused.store_away
        await until(lambda: before not in (generation(one), generation(other)), "both to notice")
        await asyncio.gather(one.restored(), other.restored())
        await holds(one.store, BOUNDS[0], 12 * 10**9, 10**9)
        await holds(one.store, BOUNDS[1], 2, 1)
        other.store.settle("h3", Charge(nanos=1))
        await holds(one.store, BOUNDS[0], 12 * 10**9 + 1)
        assert isinstance(await one.store.admit("h5", [strict], Charge(nanos=10**9), 60.0), Admitted)


async def test_what_the_ledger_does_not_know_is_not_missed(redis: RedisServer, tmp_path: Path) -> None:
    """A counter by tag, and one that lives for a minute, begin at nothing, as they would after any loss."""
    day, short = Calendar("day"), Rolling(60)
    tagged = Bound(Rule(id="t", measure="usd", amount=9, window=day, each=("tag:customer",)), "t:a", BOUNDS[0].group)
    brief = Bound(Rule(id="m", measure="requests", amount=9, window=short), "m", BOUNDS[0].group)
    async with hosts(redis, tmp_path, "a") as (host,):
        assert isinstance(await host.store.admit("h1", [tagged, brief], Charge(nanos=5), 60.0), Admitted)
        for bound in (tagged, brief):
            assert redis.ask("DEL", counter_name(host.store.prefix, bound)) == 1
        assert isinstance(await host.store.admit("h2", [tagged, brief], Charge(nanos=5), 60.0), Admitted)


async def test_who_notices_when_all_is_restored_tells_what_it_holds(redis: RedisServer, tmp_path: Path) -> None:
    """Else others could reserve it a second time until it is settled."""
    async with hosts(redis, tmp_path, "a", "a") as (one, other):
        await one.serve("h1", 5 * 10**9)
        assert isinstance(await other.store.admit("h2", BOUNDS, Charge(nanos=10**9), 600.0), Admitted)
        before = generation(one)
        redis.ask("FLUSHALL")
        one.store._changed.set()
        await until(lambda: generation(one) != before, "one to notice")
        await one.restored()
        await holds(one.store, BOUNDS[0], 5 * 10**9, 10**9)


def generation(host: Host) -> str:
    assert host.store.generations is not None
    return host.store.generations._known["g"].id


async def looked(redis: RedisServer) -> None:
    """Every worker has looked once more."""
    names = redis.ask("KEYS", "*:looks:*")
    assert isinstance(names, list)
    before = {name: redis.ask("GET", name) for name in names}
    await until(lambda: all(redis.ask("GET", name) != value for name, value in before.items()), "all to have looked")
