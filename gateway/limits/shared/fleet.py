"""Which server keeps the counters of which group: one server, the master that sentinels name, or a Cluster's nodes."""

import asyncio
import binascii
import ssl
from collections.abc import Callable
from typing import Protocol

from gateway.limits.shared.address import Address, Login, Place
from gateway.limits.shared.node import Find, Node, Prove
from gateway.limits.shared.wire import Reply, ReplyError, WireLost, connect, encode, greeting, told

SLOTS = 16384
LOOKUP = 0.3
"""Seconds one of several places may take to say who is the master, or how a Cluster is laid out."""

NewNode = Callable[[Find, Prove], Node]


def slot_of(group: str) -> int:
    """The Cluster's slot of every key with hash tag `{group}` (CRC-16/XMODEM, Redis Cluster specification)."""
    return binascii.crc_hqx(group.encode(), 0) % SLOTS


class Fleet(Protocol):
    """Where groups live."""

    together: bool
    """All groups live on one server, and can be asked for in one call."""

    def start(self) -> None: ...

    def node_of(self, group: str) -> Node | None:
        """The server of a group; None: nobody knows one now."""
        ...

    def nodes(self) -> list[Node]: ...

    def moved(self, group: str, place: Place) -> Node | None:
        """A server said that the group lives elsewhere now."""
        ...

    def at(self, place: Place) -> Node | None:
        """The server at a place, for a single question (ASK)."""
        ...

    async def look(self) -> None:
        """See whether the layout has changed, when there is reason to. Called every second."""
        ...

    async def log_in(self, address: Address) -> str:
        """Come with another login to the same servers; see `Node.log_in`."""
        ...

    async def aclose(self) -> None: ...


class Lookup:
    """Questions to servers other than the one that counts: short connections of their own."""

    def __init__(self, address: Address, context: ssl.SSLContext | None) -> None:
        self._address = address
        self._context = context

    async def ask(self, place: Place, login: Login | None, command: bytes) -> Reply:
        """Raises `WireLost`."""
        try:
            async with asyncio.timeout(LOOKUP):
                return await self._ask(place, login, command)
        except TimeoutError:
            raise WireLost(f"{place[0]}:{place[1]}: no answer within {LOOKUP * 1000:.0f} ms") from None

    async def _ask(self, place: Place, login: Login | None, command: bytes) -> Reply:
        name = self._address.encryption.server_name if self._address.encryption else None
        wire = await connect(asyncio.get_running_loop(), place, self._context, name, _nothing)
        try:
            *greeted, reply = await wire.ask([*greeting(login), command])
        finally:
            wire.close("asked")
        for one in (*greeted, reply):
            if isinstance(one, ReplyError):
                raise WireLost(f"{place[0]}:{place[1]}: {told(one)}")
        return reply


class Single:
    """One server: the place given, the master among several places, or the one sentinels name."""

    together = True

    def __init__(self, address: Address, context: ssl.SSLContext | None, new_node: NewNode, prove: Prove) -> None:
        self._address = address
        self._lookup = Lookup(address, context)
        self._node = new_node(self._find, prove)

    def start(self) -> None:
        self._node.start()

    def node_of(self, group: str) -> Node | None:
        return self._node

    def nodes(self) -> list[Node]:
        return [self._node]

    def moved(self, group: str, place: Place) -> Node | None:
        return None

    def at(self, place: Place) -> Node | None:
        return None

    async def look(self) -> None:
        """Its node finds its server anew whenever it connects."""

    async def log_in(self, address: Address) -> str:
        self._address = address
        return await self._node.log_in(address)

    async def aclose(self) -> None:
        await self._node.aclose()

    async def _find(self) -> Place:
        places = self._address.places
        if self._address.kind == "sentinel":
            return await self._named()
        if len(places) == 1:
            return places[0]
        said: list[str] = []
        for place in places:
            try:
                role = await self._lookup.ask(place, self._address.login, encode("ROLE"))
            except WireLost as error:
                said.append(str(error))
                continue
            if role[0] == b"master":
                return place
            said.append(f"{place[0]}:{place[1]} is a {role[0].decode()}")
        raise WireLost("; ".join(said))

    async def _named(self) -> Place:
        said: list[str] = []
        question = encode("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.master)
        for place in self._address.places:
            try:
                answer = await self._lookup.ask(place, self._address.sentinel_login, question)
            except WireLost as error:
                said.append(str(error))
                continue
            if answer:
                return answer[0].decode(), int(answer[1])
            said.append(f"{place[0]}:{place[1]} knows no master {self._address.master}")
        raise WireLost("; ".join(said))


class Cluster:
    """The nodes of a Redis Cluster. A group's keys carry it as their hash tag, so that they live in one slot."""

    together = False

    def __init__(self, address: Address, context: ssl.SSLContext | None, new_node: NewNode, prove: Prove) -> None:
        self._address = address
        self._lookup = Lookup(address, context)
        self._new_node = new_node
        self._prove = prove
        self._nodes: dict[Place, Node] = {}
        self._owners: list[Place | None] = [None] * SLOTS
        self._stale = True

    def start(self) -> None:
        """Nodes are connected when the layout is known: `look`."""

    def node_of(self, group: str) -> Node | None:
        place = self._owners[slot_of(group)]
        node = self._nodes.get(place) if place is not None else None
        if node is None or not node.up:
            self._stale = True
        return node

    def nodes(self) -> list[Node]:
        return list(self._nodes.values())

    def moved(self, group: str, place: Place) -> Node | None:
        self._stale = True
        self._owners[slot_of(group)] = place
        return self.at(place)

    def at(self, place: Place) -> Node | None:
        node = self._nodes.get(place)
        if node is None:

            async def find() -> Place:
                return place

            node = self._nodes[place] = self._new_node(find, self._prove)
            node.start()
        return node

    async def look(self) -> None:
        if not self._stale and all(node.up for node in self._nodes.values()):
            return
        for place in dict.fromkeys((*self._nodes, *self._address.places)):
            try:
                layout = await self._lookup.ask(place, self._address.login, encode("CLUSTER", "SLOTS"))
            except WireLost:
                continue
            if layout:
                return await self._adopt(layout, place)

    async def _adopt(self, layout: Reply, asked: Place) -> None:
        owners: list[Place | None] = [None] * SLOTS
        for first, last, master, *_ in layout:
            # An empty host means: the one that was asked (Redis 7, cluster-preferred-endpoint-type).
            place = (master[0].decode() if master[0] else asked[0], int(master[1]))
            owners[first : last + 1] = [place] * (last - first + 1)
        self._owners = owners
        self._stale = None in owners
        current = {place for place in owners if place is not None}
        for place in current:
            self.at(place)
        for place in [place for place in self._nodes if place not in current]:
            await self._nodes.pop(place).aclose()

    async def log_in(self, address: Address) -> str:
        self._address = address
        said = await asyncio.gather(*(node.log_in(address) for node in self._nodes.values()))
        return next((why for why in said if why), "")

    async def aclose(self) -> None:
        for node in self._nodes.values():
            await node.aclose()


def fleet_for(address: Address, context: ssl.SSLContext | None, new_node: NewNode, prove: Prove) -> Fleet:
    if address.kind == "cluster":
        return Cluster(address, context, new_node, prove)
    return Single(address, context, new_node, prove)


def _nothing(reason: str) -> None:
    """A short connection's end is told by its answers."""
