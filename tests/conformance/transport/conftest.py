"""Fixtures of the conformance suite: every transport on every event loop, a hostile provider, certificates."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme
import uvloop

from gateway.seams import Transport
from gateway.transport.pool import Pool
from tests.conformance.transport.hostile import KINDS, Certificates, Kind, Peer, Script


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop is what serves; asyncio's own loop is what everyone can read. They order timers and reads differently."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    peers: list[Peer] = []

    async def start(script: Script, tls: ssl.SSLContext | None = None) -> Peer:
        peers.append(await Peer(script, tls).start())
        return peers[-1]

    yield start
    for peer in peers:
        await peer.stop()
    assert not [failure for peer in peers for failure in peer.failures]


@pytest.fixture
async def transport(kind: Kind, serve: object) -> AsyncIterator[Transport]:
    """The transport under test. After every test it must hold no connection in use and leave no task behind."""
    made = kind.make()
    yield made
    if isinstance(made, Pool):
        assert [line for line in made.stats() if line.in_use or line.waiting] == []
    await made.aclose()
    if isinstance(made, Pool):
        assert made.stats() == []


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority, stranger = trustme.CA(), trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost", "provider.test")
    client = authority.issue_cert("client.test")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    stranger.cert_pem.write_to_path(str(folder / "stranger.pem"))
    client.private_key_and_cert_chain_pem.write_to_path(str(folder / "client.pem"))
    names: list[str | None] = []

    def context(demanding: bool) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(made)
        made.sni_callback = lambda _socket, name, _context: names.append(name)
        if demanding:
            authority.configure_trust(made)
            made.verify_mode = ssl.CERT_REQUIRED
        return made

    return Certificates(
        str(folder / "ca.pem"),
        str(folder / "stranger.pem"),
        str(folder / "client.pem"),
        context(False),
        context(True),
        names,
    )
