"""Opening connections: which address is tried when, and what an operator is told when none works."""

import asyncio
import errno
import math
import socket

import pytest

from gateway.errors import ConnectFailed
from gateway.seams import Origin
from gateway.tasks import TaskGroup
from gateway.transport import connect as connecting
from gateway.transport.connect import connect
from gateway.transport.names import Address, Names
from gateway.transport.tls import Contexts


def names() -> Names:
    return Names(TaskGroup(lambda name, error: None))


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

    async def addresses(self: Names, host: str, port: int) -> list[Address]:
        targets = [refused, full.getsockname(), good.getsockname()]
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", target) for target in targets]

    monkeypatch.setattr(Names, "addresses", addresses)
    origin = Origin("http", "x.test", 80)
    protocol = await connect(origin, asyncio.Protocol, Contexts(), names(), timeout=4, deadline=math.inf)
    assert isinstance(protocol, asyncio.Protocol)
    peer, _ = good.accept()
    peer.close()
    for sock in (full, good, *fillers):
        sock.close()


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
        await connect(Origin("http", "x.test", 80), asyncio.Protocol, Contexts(), names(), timeout=1, deadline=math.inf)
    assert "x.test:80" in str(caught.value)
    assert not caught.value.sent
