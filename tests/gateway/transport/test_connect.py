"""Opening connections: which address is tried when, and what an operator is told when none works."""

import asyncio
import errno
import math
import socket
from collections.abc import Callable

import pytest

from gateway.errors import ConnectFailed
from gateway.seams import Origin
from gateway.transport import connect as connecting
from gateway.transport.connect import Address, connect
from gateway.transport.tls import Contexts


async def test_happy_eyeballs(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305: an address that does not answer delays the next one by 250 ms, not by a time-out; one that refuses,
    not at all."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    good = socket.create_server(("127.0.0.1", 0))
    refusing = socket.create_server(("127.0.0.1", 0))
    refused = refusing.getsockname()
    refusing.close()

    async def addresses(loop: asyncio.AbstractEventLoop, origin: Origin) -> list[Address]:
        targets = [refused, full.getsockname(), good.getsockname()]
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", target) for target in targets]

    monkeypatch.setattr(connecting, "_addresses", addresses)
    protocol = await connect(Origin("http", "x.test", 80), asyncio.Protocol, Contexts(), timeout=4, deadline=math.inf)
    assert isinstance(protocol, asyncio.Protocol)
    peer, _ = good.accept()
    peer.close()
    for sock in (full, good, *fillers):
        sock.close()


def addresses_of(found: list[tuple[int, str]]) -> Callable[..., object]:
    async def getaddrinfo(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(family, socket.SOCK_STREAM, 0, "", (host, 80)) for family, host in found]

    return getaddrinfo


async def test_address_families_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305 section 4, with the resolver's first family first."""
    six, four = socket.AF_INET6, socket.AF_INET
    loop = asyncio.get_running_loop()
    found = [(six, "a"), (six, "b"), (six, "c"), (four, "d"), (four, "e")]
    monkeypatch.setattr(loop, "getaddrinfo", addresses_of(found))
    ordered = await connecting._addresses(loop, Origin("http", "x.test", 80))
    assert [address[4][0] for address in ordered] == ["a", "d", "b", "e", "c"]
    monkeypatch.setattr(loop, "getaddrinfo", addresses_of([]))
    with pytest.raises(OSError, match="no addresses"):
        await connecting._addresses(loop, Origin("http", "x.test", 80))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('10.0.0.1', 80)"), "refused"),
        (OSError(errno.EHOSTUNREACH, "x"), "no route to host"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "cannot be resolved"),
        (UnicodeError("label empty or too long"), "not a host name"),
        (OSError("no addresses at all"), "no addresses at all"),
        (ConnectionResetError(), "closed"),
    ],
)
async def test_failures_in_words(error: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host and the cause, in the same words on every event loop."""

    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(connecting, "_open", fail)
    with pytest.raises(ConnectFailed, match=words) as caught:
        await connect(Origin("http", "x.test", 80), asyncio.Protocol, Contexts(), timeout=1, deadline=math.inf)
    assert "x.test:80" in str(caught.value)
    assert not caught.value.sent
