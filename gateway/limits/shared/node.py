"""One Redis server, kept connected: found, greeted, watched, and looked for again when it is away.

A server is away from the moment something is wrong with it (the connection breaks, it says nothing for `OVERDUE`
seconds though it was asked, it says that it cannot write) until a new connection was made and has proved that it can be
written to. In between nobody waits for it. An idle one is asked every `PING` seconds whether it is there.
"""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable

from gateway.limits.shared.address import Address, Place
from gateway.limits.shared.circuit import Backoff
from gateway.limits.shared.wire import (
    Reply,
    ReplyError,
    Taker,
    TurnedAway,
    Wire,
    WireLost,
    answer_lost,
    connect,
    encode,
    greeting,
    told,
)
from gateway.seams import Clock
from gateway.tasks import TaskGroup

BEAT = 0.03
"""Seconds between two looks at the connection."""
PING = 0.05
OVERDUE = 0.12
"""With BEAT and PING less than the 250 ms within which a silent server is noticed."""
EXCUSES = 10
"""How often a silence is not judged because our own timer was late."""
CONNECT = 0.5
"""Seconds a connection, its TLS handshake and its greeting may take."""

Find = Callable[[], Awaitable[Place]]
Prove = Callable[[Wire], Awaitable[None]]


class Node:
    """`find` says where the server is now; `prove` makes a fresh connection ready, or raises `WireLost`."""

    def __init__(
        self,
        address: Address,
        context: ssl.SSLContext | None,
        find: Find,
        prove: Prove,
        clock: Clock,
        on_change: Callable[["Node", bool, str], None],
    ) -> None:
        self._address = address
        self._context = context
        self._find = find
        self._prove = prove
        self._clock = clock
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._tasks = TaskGroup(lambda name, error: self._failed(error))
        self._wire: Wire | None = None
        self._lost = asyncio.Event()
        self._closed = False
        self._beat: asyncio.TimerHandle | None = None
        self._beat_due = 0.0
        self._excuses = 0
        self._suspected = False
        self._last_sent = 0.0
        self.up = False
        self.place: Place = address.places[0]
        """Where it was found last."""
        self._ahead_ns = clock.now_ns() - round(clock.monotonic() * 1e9)
        self.reason = "not connected yet"
        self.connections = 0
        """Connections made since the start."""
        self.silences = 0
        """Times it was given up because it said nothing."""

    def start(self) -> None:
        self._tasks.start(self._keep(), "limits: connection")

    def send(self, command: bytes, taker: Taker) -> None:
        """Only for what may be lost: `taker` is handed a `WireLost` when it is away."""
        if self._wire is None:
            return taker(WireLost(self.reason))
        self._last_sent = self._loop.time()
        self._wire.send(command, taker)

    def now_ns(self) -> int:
        """The server's wall clock, nanoseconds, as it was last heard of. That of this machine may step meanwhile."""
        return self._ahead_ns + round(self._clock.monotonic() * 1e9)

    def heard(self, now_us: int) -> None:
        """What its clock says now."""
        self._ahead_ns = now_us * 1000 - round(self._clock.monotonic() * 1e9)

    def answers(self, patience: float) -> bool:
        """It is there, and the oldest question to it is younger than `patience` seconds."""
        if self._wire is None:
            return False
        since = self._wire.waiting_since()
        return since is None or self._loop.time() - since < patience

    async def log_in(self, address: Address) -> str:
        """Come with another login from now on: at once where it is connected, else when it connects. Returns what the
        server says against it; "": nothing, or it is away. A connection that was let in stays as it was then."""
        self._address = address
        wire, login = self._wire, address.login
        if wire is None or login is None:
            return ""
        try:
            async with asyncio.timeout(CONNECT):
                (said,) = await wire.ask(greeting(login))
        except (TimeoutError, WireLost):
            return ""  # who connects anew is told then
        return f"{address}: {told(said)}" if isinstance(said, ReplyError) else ""

    def give_up(self, reason: str) -> None:
        """It cannot do what it is there for: connect anew, perhaps to another one."""
        if self._wire is not None:
            self._wire.close(reason)

    async def aclose(self) -> None:
        self._closed = True
        if self._beat is not None:
            self._beat.cancel()
        if self._wire is not None:
            self._wire.close("closed by us")
        await self._tasks.close()

    # --- inside -------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        backoff = Backoff(random.random)
        while not self._closed:
            await asyncio.sleep(backoff.pause())
            wire = await self._connected()
            if wire is None:
                continue
            began = self._loop.time()
            self._wire, self.up, self.reason = wire, True, ""
            self.connections += 1
            self._look_again(self._loop.time() + BEAT)
            self._on_change(self, True, "")
            await self._lost.wait()
            backoff.held(self._loop.time() - began)

    async def _connected(self) -> Wire | None:
        """A connection that was proved; None: it could not be had, and why is noted."""
        self._lost.clear()
        wire: Wire | None = None
        for_good = False
        try:
            place = self.place = await self._find()
            async with asyncio.timeout(CONNECT):
                name = self._address.encryption.server_name if self._address.encryption else None
                wire = await connect(self._loop, place, self._context, name, self._gone)
                await self._greet(wire)
                await self._prove(wire)
            if not wire.closed:
                return wire
            reason = self.reason
        except TimeoutError:
            reason = f"{self._address}: no connection within {CONNECT:g} s"
        except WireLost as error:
            reason, for_good = str(error), isinstance(error, TurnedAway)
        except Exception as error:
            # An error of ours: told by its name, tried again with a pause as any other, and no connection is left open.
            reason = f"{self._address}: {type(error).__name__}"
        if wire is not None:
            wire.close(reason)
        self._note(reason)
        if for_good:
            self._on_change(self, False, reason)
        return None

    async def _greet(self, wire: Wire) -> None:
        replies = await wire.ask([*greeting(self._address.login, self._address.db), encode("TIME")])
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise answer_lost(str(self._address), reply)
        seconds, micros = replies[-1]
        self.heard(int(seconds) * 1_000_000 + int(micros))

    def _gone(self, reason: str) -> None:
        was_up, self.up, self._wire = self.up, False, None
        self._note(reason)
        self._lost.set()
        if was_up:
            self._on_change(self, False, reason)

    def _note(self, reason: str) -> None:
        self.reason = reason

    def _failed(self, error: BaseException) -> None:
        self._note(f"{type(error).__name__}: {error}")
        if not self._closed:
            self._tasks.start(self._keep(), "limits: connection")

    def _look_again(self, at: float) -> None:
        self._beat_due = at
        self._beat = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        """Judge a silence only after the loop had another chance to read: a process that was paused must not blame the
        server."""
        wire, now = self._wire, self._loop.time()
        if wire is None or self._closed:
            return
        since = wire.waiting_since()
        overdue = since is not None and now - since >= OVERDUE
        if overdue and now - self._beat_due > BEAT and self._excuses < EXCUSES:
            # This process itself does not get to run in time; on a machine that is so busy the server may not either.
            self._excuses += 1
            return self._look_again(now + BEAT)
        self._excuses = 0
        if overdue and self._suspected:
            self.silences += 1
            self._suspected = False
            return wire.close(f"{self._address}: no reply within {OVERDUE * 1000:.0f} ms")
        self._suspected = overdue
        if overdue:
            return self._look_again(now + 0.002)
        if since is None and now - self._last_sent >= PING:
            self.send(encode("PING"), _ignore)
        self._look_again(now + BEAT)


def _ignore(reply: Reply) -> None:
    """A ping's answer says enough by coming."""
