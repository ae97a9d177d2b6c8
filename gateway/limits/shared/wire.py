"""One connection to a Redis server: commands out, replies in the order they were asked for, nothing else.

redis-py's asyncio client costs a hundred microseconds a command (a stream reader, locks, a task switch for each); a
request may cost that much in all. Here a command is one write, and its reply is handed to a callback by the read that
brought it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from ssl import SSLError
from typing import Any, cast

import hiredis

from gateway.limits.shared.address import Login, Place

Reply = Any
"""int, bytes, None, a list of replies, or a `hiredis.ReplyError`."""
Taker = Callable[[Reply], None]

ReplyError = hiredis.ReplyError
_ECHO = ", with args"


def told(error: ReplyError) -> str:
    """What a server says of its refusal, without the words it was sent: one that does not know AUTH or HELLO repeats
    what came with it, a password too."""
    return str(error).partition(_ECHO)[0][:200]


class WireLost(Exception):
    """The connection is gone, or was never made. Its text says how, without credentials.

    `sent`: the command was written before; nobody can say whether it was carried out.
    """

    def __init__(self, reason: str, sent: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent


class TurnedAway(WireLost):
    """The server is there, and one side does not accept the other: no waiting mends that."""


UNWELCOME = ("WRONGPASS", "NOAUTH", "NOPERM")


def answer_lost(place: str, error: ReplyError) -> WireLost:
    """What becomes of a new connection that is answered with an error."""
    kind = TurnedAway if str(error).split(" ")[0] in UNWELCOME else WireLost
    return kind(f"{place}: {told(error)}")


def encode(*parts: bytes | str | int) -> bytes:
    """One command, as RESP."""
    # Its stub says that a command has one word.
    return hiredis.pack_command(parts)  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType,reportArgumentType]


class Wire(asyncio.Protocol):
    """`on_lost(reason)` is called once, after every taker still waiting was handed a `WireLost`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[[str], None]) -> None:
        self._loop = loop
        self._on_lost: Callable[[str], None] | None = on_lost
        self._reader = hiredis.Reader()
        self._takers: deque[tuple[Taker, float]] = deque()
        self._transport: asyncio.Transport | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not subclass asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def send(self, command: bytes, taker: Taker) -> None:
        """Write one encoded command; `taker` is handed its reply, or a `WireLost`."""
        if self.closed or self._transport is None:
            return taker(WireLost("not connected"))
        self._takers.append((taker, self._loop.time()))
        self._transport.write(command)

    async def ask(self, commands: Sequence[bytes]) -> list[Reply]:
        """Send commands in one write and return their replies. Raises `WireLost`; error replies are returned."""
        asked: list[asyncio.Future[Reply]] = [self._loop.create_future() for _ in commands]
        for command, future in zip(commands, asked, strict=True):
            self.send(command, _resolver(future))
        replies = [await future for future in asked]
        for reply in replies:
            if isinstance(reply, WireLost):
                raise reply
        return replies

    def waiting_since(self) -> float | None:
        """The loop's time at which the oldest command without a reply was sent."""
        return self._takers[0][1] if self._takers else None

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            reply = self._reader.gets()
            while reply is not False:
                if not self._takers:
                    return self.close("it said something nobody asked for")
                self._takers.popleft()[0](reply)
                reply = self._reader.gets()
        except hiredis.ProtocolError:
            self.close("it does not speak RESP")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.close("it closed the connection" if exc is None else f"the connection broke: {exc}")

    def close(self, reason: str) -> None:
        """Close at once. Idempotent."""
        if self.closed:
            return
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        lost = WireLost(reason, sent=True)
        while self._takers:
            self._takers.popleft()[0](lost)
        on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            on_lost(reason)


def _resolver(future: asyncio.Future[Reply]) -> Taker:
    def resolve(reply: Reply) -> None:
        if not future.done():
            future.set_result(reply)

    return resolve


def greeting(login: Login | None, db: int = 0) -> list[bytes]:
    """What a connection begins with."""
    commands: list[bytes] = []
    if login is not None:
        commands.append(encode("AUTH", *([login.user] if login.user else []), login.password))
    if db:
        commands.append(encode("SELECT", db))
    return commands


async def connect(
    loop: asyncio.AbstractEventLoop,
    place: Place,
    ssl: Any,
    server_name: str | None,
    on_lost: Callable[[str], None],
) -> Wire:
    """A connection. Raises `WireLost`."""
    host, port = place
    try:
        name = (server_name or host) if ssl is not None else None
        _, wire = await loop.create_connection(
            lambda: Wire(loop, on_lost),
            host,
            port,
            ssl=ssl,
            server_hostname=name,
            ssl_handshake_timeout=5 if ssl else None,
        )
    except OSError as error:
        kind = TurnedAway if isinstance(error, SSLError) else WireLost
        raise kind(f"{host}:{port}: {error.strerror or error}") from None
    return wire
