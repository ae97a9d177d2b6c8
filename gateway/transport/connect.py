"""Opening one connection: name to addresses, addresses to a socket, TLS on top, and every failure in words.

Strategy: resolve; race the addresses the way RFC 8305 says (families alternate, the next one starts 250 ms after the
last); then hand the socket to the event loop, which does TLS. We race ourselves because uvloop's `create_connection`
has no `happy_eyeballs_delay`. One time-out spans all of it.
"""

import asyncio
import math
import os
import socket
from asyncio.staggered import staggered_race
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from gateway.errors import ConnectFailed, ConnectTimeout, DeadlineExceeded
from gateway.ride import in_task
from gateway.seams import Origin
from gateway.transport import tls
from gateway.transport.names import Address, Names

_STAGGER = 0.25
"""Seconds before the next address is tried as well (RFC 8305 section 5, "Connection Attempt Delay")."""

P = TypeVar("P", bound=asyncio.BaseProtocol)


async def connect(
    origin: Origin, make: Callable[[], P], contexts: tls.Contexts, names: Names, *, timeout: float, deadline: float
) -> P:
    """Open a connection and return its protocol.

    `timeout` in seconds, for names, TCP and TLS together; `deadline` in monotonic seconds. Raises `ConnectFailed`,
    `ConnectTimeout`, `DeadlineExceeded`.
    """
    await in_task()
    loop = asyncio.get_running_loop()
    limit = loop.time() + timeout
    where = f"{origin.host}:{origin.port}"
    try:
        async with asyncio.timeout_at(min(limit, deadline) if min(limit, deadline) < math.inf else None):
            return await _open(loop, origin, make, contexts, names)
    except TimeoutError:
        if deadline <= limit:
            raise DeadlineExceeded(f"the exchange's time was over while connecting to {where}") from None
        raise ConnectTimeout(f"no connection to {where} within {timeout:g} s") from None
    except UnicodeError:
        raise ConnectFailed(f"cannot connect to {where}: its name is not a host name") from None
    except OSError as error:
        raise ConnectFailed(f"cannot connect to {where}: {_cause(error)}") from None


async def _open(
    loop: asyncio.AbstractEventLoop, origin: Origin, make: Callable[[], P], contexts: tls.Contexts, names: Names
) -> P:
    context = None
    if origin.scheme == "https":
        if not contexts.has(origin.tls):
            await loop.run_in_executor(None, contexts.get, origin.tls)
        context = contexts.get(origin.tls)
    sock = await _race(loop, await names.addresses(origin.host, origin.port))
    try:
        if context is None:
            _, protocol = await loop.create_connection(make, sock=sock)
        else:
            name = (origin.tls and origin.tls.server_name) or origin.host
            # The surrounding time-out rules; asyncio's own default of 60 s must not come first.
            _, protocol = await loop.create_connection(
                make, sock=sock, ssl=context, server_hostname=name, ssl_handshake_timeout=86_400.0
            )
    except BaseException:
        sock.close()
        raise
    return protocol


async def _race(loop: asyncio.AbstractEventLoop, addresses: list[Address]) -> socket.socket:
    if len(addresses) == 1:
        return await _dial(loop, addresses[0])
    winner, _, errors = await staggered_race([partial(_dial, loop, address) for address in addresses], _STAGGER)
    if winner is None:
        raise next(error for error in errors if error is not None)
    return winner


async def _dial(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    family, kind, protocol, _, target = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Streams may think for minutes; a peer that vanished meanwhile is found by the kernel's probes.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await loop.sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


def _cause(error: OSError) -> str:
    if (words := tls.failure(error)) is not None:
        return words
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error).lower() or "the connection was closed"
