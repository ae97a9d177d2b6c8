"""Names of hosts to addresses, so that a name nobody answers for holds up no other.

The event loop looks names up on a few threads (four with uvloop), which a resolver that hangs keeps for ten seconds a
question: a dozen requests to one provider would stop new connections to all of them, even those given by address. So an
address is never looked up, and of one name one question is under way at a time, whoever waits for it. What a name was
last known to mean is used when its resolver says that it cannot tell now (EAI_AGAIN), or nothing for `PATIENCE`.
"""

import asyncio
import socket
from itertools import chain, zip_longest

from gateway.tasks import TaskGroup

PATIENCE = 1.0
"""Seconds a resolver is waited for where addresses are known from before."""
SocketAddress = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
Address = tuple[int, int, int, str, SocketAddress]
_Key = tuple[str, int]


class Names:
    """Looks up names for one event loop."""

    def __init__(self, tasks: TaskGroup) -> None:
        """`tasks` owns the questions under way: they outlive who asked."""
        self._tasks = tasks
        self._asked: dict[_Key, asyncio.Task[list[Address] | OSError | UnicodeError]] = {}
        self._known: dict[_Key, list[Address]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Addresses in the resolver's order, families alternating from its first (RFC 8305 section 4). Raises `OSError`
        and, for what cannot be a name, `UnicodeError`."""
        if (given := literal(host, port)) is not None:
            return [given]
        key = host, port
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = self._tasks.start(self._ask(key), "look up a name")
        known = self._known.get(key)
        await asyncio.wait((task,), timeout=None if known is None else PATIENCE)
        if known is not None and not task.done():
            return known
        if task.cancelled():
            raise OSError("the transport is closed")
        found = task.result()
        if not isinstance(found, OSError | UnicodeError):
            return found
        if known is not None and isinstance(found, socket.gaierror) and found.errno == socket.EAI_AGAIN:
            return known
        raise found

    async def _ask(self, key: _Key) -> list[Address] | OSError | UnicodeError:
        """Errors are values here: they are told to each who waits."""
        host, port = key
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            return error
        finally:
            del self._asked[key]
        if not found:
            return OSError("the name has no addresses")
        first = found[0][0]
        same = [address for address in found if address[0] == first]
        other = [address for address in found if address[0] != first]
        ordered: list[Address] = [a for a in chain.from_iterable(zip_longest(same, other)) if a is not None]
        self._known[key] = ordered
        return ordered


def literal(host: str, port: int) -> Address | None:
    """The address that `host` is; None: it is a name, or an address with a scope."""
    for family, target in ((socket.AF_INET, (host, port)), (socket.AF_INET6, (host, port, 0, 0))):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", target)
    return None
