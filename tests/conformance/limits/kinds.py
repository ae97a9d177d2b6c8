"""What the suite of `gateway.seams.LimitStore` runs on, and the words its tests are written in.

A kind opens a `Place`: a store, and a way to let time pass. Where time can be turned by hand it is; where it cannot
(a server's own clock), the tests wait for what they expect to see, with windows of a second or two.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.clock import ManualClock, SystemClock
from gateway.limits.memory import MemoryStore
from gateway.limits.shared.address import parse_address
from gateway.limits.shared.lease import Terms
from gateway.limits.shared.redis_open import SharedStore
from gateway.quota import Admitted, Bound, Calendar, Charge, Decision, Level, Measure, Refused, Rule, Window
from gateway.seams import LimitStore
from tests.support.redis_servers import RedisServer

LONG = 3600.0
"""Seconds a hold lives in tests that are not about its end."""
PATIENCE = 20.0
"""Seconds until something that is waited for counts as never coming, on a slow machine."""
STEP = 0.02


@dataclass
class Place:
    """One store under test."""

    store: LimitStore
    turn: Callable[[float], None] | None = None
    """Set this place's time forward by seconds; None: time passes by itself."""
    turned: float = 0.0
    """Seconds that time was turned by hand."""
    own: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    """Sets the names of this place apart from those of other tests on the same server."""

    def bound(
        self,
        measure: Measure,
        amount: int,
        window: Window | None = None,
        name: str = "",
        *,
        lenient: bool = False,
        **rule: object,
    ) -> Bound:
        """A bound on a counter of this place; `name` tells those of one measure apart."""
        made = Rule(id=f"{measure}{name}", measure=measure, amount=amount, window=window, **rule)
        return Bound(made, f"{self.own}.{measure}{name}", f"t:{self.own}", lenient)

    async def admit(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float = LONG) -> Decision:
        """As the road does: at once if the store can, else by waiting for it."""
        named = f"{self.own}-{hold}"
        decision = self.store.admit_now(named, bounds, charge, seconds)
        return decision if decision is not None else await self.store.admit(named, bounds, charge, seconds)

    async def admitted(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float = LONG) -> Admitted:
        decision = await self.admit(hold, bounds, charge, seconds)
        assert isinstance(decision, Admitted), decision
        return decision

    async def refused(self, hold: str, bounds: Sequence[Bound], charge: Charge, seconds: float = LONG) -> Refused:
        decision = await self.admit(hold, bounds, charge, seconds)
        assert isinstance(decision, Refused), decision
        return decision

    def settle(self, hold: str, actual: Charge) -> None:
        self.store.settle(f"{self.own}-{hold}", actual)

    async def extend(self, hold: str, more: Charge, seconds: float = LONG) -> bool:
        return await self.store.extend(f"{self.own}-{hold}", more, seconds)

    async def level(self, bound: Bound) -> tuple[int, int]:
        """Used and reserved."""
        found: Level = (await self.store.levels([bound]))[0]
        return found.used, found.reserved

    async def reaches(self, bound: Bound, used: int, reserved: int = 0) -> None:
        """Wait until the counter holds this: a settlement may still be on its way."""
        seen: list[tuple[int, int]] = []

        async def there() -> bool:
            seen[:] = [await self.level(bound)]
            return seen[0] == (used, reserved)

        await self.until(there, lambda: f"{bound.key} is at {seen[0]}, not at {(used, reserved)}")

    def now(self) -> float:
        """Seconds, from any beginning, on the clock of this place."""
        return time.monotonic() if self.turn is None else self.turned

    async def pass_time(self, seconds: float) -> None:
        """A moment passes, or time is turned."""
        if self.turn is None:
            await asyncio.sleep(seconds)
        else:
            self.turn(seconds)
            self.turned += seconds

    async def until(
        self, there: Callable[[], Awaitable[bool]], what: Callable[[], str] = lambda: "it never came"
    ) -> None:
        """Let time pass until `there()`."""
        begun = self.now()
        while not await there():
            assert self.now() - begun < PATIENCE, what()
            await self.pass_time(STEP)


@dataclass(frozen=True)
class Kind:
    """A way to open a place."""

    name: str
    open: Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Place]]
    """Gets the test's request, so that it can ask for a server's fixture (`request.getfixturevalue`)."""
    manual: bool = False
    """Its time can be turned by hand."""


@asynccontextmanager
async def memory_by_hand(_request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    clock = ManualClock()
    store = MemoryStore(clock)
    yield Place(store, clock.advance)
    await store.aclose()


@asynccontextmanager
async def memory(_request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    store = MemoryStore(SystemClock())
    yield Place(store)
    await store.aclose()


@asynccontextmanager
async def shared(url: str, lease: Terms | None = None) -> AsyncIterator[Place]:
    """A store kept by servers; as patient as a slow machine needs it to be."""
    store = SharedStore(parse_address(url), SystemClock(), "suite", 1, PATIENCE, lambda up, reason: None, lease)
    place = Place(store)

    async def answers() -> bool:
        await store.levels([place.bound("usd", 1, Calendar("year"), "first")])
        return store.up

    await place.until(answers)
    yield place
    await store.aclose()


@asynccontextmanager
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    server: RedisServer = request.getfixturevalue("redis_server")
    async with shared(server.url) as place:
        yield place


@asynccontextmanager
async def redis_leased(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Every counter is leased as soon as it is counted on."""
    server: RedisServer = request.getfixturevalue("redis_server")
    async with shared(server.url, Terms(share=0.3, hot=0.0, tick=0.002)) as place:
        yield place


@asynccontextmanager
async def redis_cluster(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    nodes: list[RedisServer] = request.getfixturevalue("redis_cluster")
    async with shared(f"redis+cluster://127.0.0.1:{nodes[0].port}") as place:
        yield place


KINDS: tuple[Kind, ...] = (
    Kind("memory, time by hand", memory_by_hand, manual=True),
    Kind("memory", memory),
    Kind("Redis", redis),
    Kind("Redis, leased", redis_leased),
    Kind("Redis Cluster", redis_cluster),
)
