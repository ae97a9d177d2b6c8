"""TLS: whom we trust, whom we say we are, and what an operator is told when it fails."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.errors import ConnectFailed, Disconnected, TransportError
from gateway.seams import Origin, Tls, Transport
from tests.conformance.transport.hostile import Certificates, Peer, Talk, ask, whole

Serve = Callable[..., Awaitable[Peer]]
HI = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


async def polite(talk: Talk) -> None:
    while True:
        talk.heard.append(await talk.request())
        await talk.say(HI)


async def test_custom_authority(transport: Transport, serve: Serve, certificates: Certificates) -> None:
    """Verified, kept, and large enough bodies to span many TLS records."""
    peer = await serve(polite, certificates.server)
    origin = peer.origin(tls=Tls(ca_file=certificates.ca_file))
    for size in (2, 500_000):
        assert await whole(await transport.send(ask(origin, body=b"x" * size))) == b"hi"
    assert len(peer.talks) == 1
    assert [len(heard.body) for heard in peer.talks[0].heard] == [2, 500_000]


async def test_untrusted_authority(transport: Transport, serve: Serve, certificates: Certificates) -> None:
    peer = await serve(polite, certificates.server)
    for tls in (None, Tls(ca_file=certificates.stranger_file)):
        with pytest.raises(ConnectFailed, match="not trusted") as caught:
            await transport.send(ask(peer.origin(tls=tls)))
        assert not caught.value.sent


async def test_server_name_is_sent_and_verified(transport: Transport, serve: Serve, certificates: Certificates) -> None:
    peer = await serve(polite, certificates.server)
    certificates.names.clear()
    origin = peer.origin(tls=Tls(ca_file=certificates.ca_file, server_name="provider.test"))
    assert await whole(await transport.send(ask(origin))) == b"hi"
    assert certificates.names == ["provider.test"]
    assert peer.talks[0].heard[0].header(b"host") == b"127.0.0.1:%d" % peer.port


async def test_wrong_name(transport: Transport, serve: Serve, certificates: Certificates) -> None:
    peer = await serve(polite, certificates.server)
    with pytest.raises(ConnectFailed, match="not trusted"):
        await transport.send(ask(peer.origin(tls=Tls(ca_file=certificates.ca_file, server_name="other.test"))))


async def test_client_certificate(transport: Transport, serve: Serve, certificates: Certificates) -> None:
    peer = await serve(polite, certificates.strict_server)
    tls = Tls(ca_file=certificates.ca_file, cert_file=certificates.client_file)
    assert await whole(await transport.send(ask(peer.origin(tls=tls)))) == b"hi"


async def test_client_certificate_missing(transport: Transport, serve: Serve, certificates: Certificates) -> None:
    """In TLS 1.3 the server's refusal comes after our side of the handshake is complete (RFC 8446 section 4.4.2.4),
    so it may look like a connection that broke."""
    peer = await serve(polite, certificates.strict_server)
    with pytest.raises((Disconnected, ConnectFailed)):
        await transport.send(ask(peer.origin(tls=Tls(ca_file=certificates.ca_file))))
    assert [talk.heard for talk in peer.talks if talk.heard] == []


async def test_a_refused_client_is_told_why(transport: Transport, serve: Serve, certificates: Certificates) -> None:
    """The alert that refuses our certificate comes as bytes are read, after the handshake (RFC 8446 section 4.4.2.4):
    it is a broken connection with a reason, and no defect of ours. The peer keeps its socket open meanwhile, lest a
    reset overtake the alert."""
    over = threading.Event()

    def refuse(listener: socket.socket) -> None:
        talk, _ = listener.accept()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        side = certificates.strict_server.wrap_bio(incoming, outgoing, server_side=True)
        with talk, contextlib.suppress(ssl.SSLCertVerificationError, ssl.SSLError):
            try:
                while True:
                    with contextlib.suppress(ssl.SSLWantReadError):
                        side.do_handshake()
                    talk.sendall(outgoing.read())
                    incoming.write(talk.recv(65536))
            finally:
                talk.sendall(outgoing.read())
                over.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = threading.Thread(target=refuse, args=(listener,))
        refusing.start()
        origin = Origin("https", "127.0.0.1", listener.getsockname()[1], tls=Tls(ca_file=certificates.ca_file))
        try:
            with pytest.raises(Disconnected, match="certificate required"):
                await transport.send(ask(origin))
        finally:
            over.set()
            refusing.join()


async def test_cut_in_the_handshake(transport: Transport, serve: Serve, certificates: Certificates) -> None:
    """Nothing is said of TLS that TLS did not say."""

    async def script(talk: Talk) -> None:
        await talk.reader.read(1)
        talk.writer.close()

    peer = await serve(script)
    with pytest.raises(ConnectFailed, match=r"closed|reset"):
        await transport.send(ask(Origin("https", "127.0.0.1", peer.port, tls=Tls(ca_file=certificates.ca_file))))


async def test_plain_server(transport: Transport, serve: Serve, certificates: Certificates) -> None:
    """HTTP where TLS was expected."""

    async def script(talk: Talk) -> None:
        await talk.say(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await talk.gone()

    peer = await serve(script)
    origin = peer.origin(tls=Tls(ca_file=certificates.ca_file))
    with pytest.raises(ConnectFailed):
        await transport.send(ask(type(origin)("https", origin.host, origin.port, tls=origin.tls)))


@pytest.mark.parametrize("option", ["ca_file", "cert_file"])
@pytest.mark.parametrize("content", [None, "-----BEGIN CERTIFICATE-----\nsecret\n-----END CERTIFICATE-----\n"])
async def test_unusable_files(
    transport: Transport, serve: Serve, tmp_path: Path, option: str, content: str | None
) -> None:
    """The error names the option, and repeats nothing of the file."""
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_text(content)
    peer = await serve(polite)
    origin = type(peer.origin())("https", "127.0.0.1", peer.port, tls=Tls(**{option: str(file)}))
    with pytest.raises(TransportError) as caught:
        await transport.send(ask(origin))
    assert isinstance(caught.value, ConnectFailed)
    assert option in str(caught.value)
    assert "secret" not in str(caught.value)
    assert peer.talks == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_protocol(transport: Transport, serve: Serve, certificates: Certificates) -> None:
    """Below TLS 1.2 there is no connection."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    peer = await serve(polite, old)
    with pytest.raises(ConnectFailed):
        await transport.send(ask(peer.origin(tls=Tls(ca_file=certificates.ca_file))))


async def test_truncated_by_a_stranger(transport: Transport, serve: Serve, certificates: Certificates) -> None:
    """A TCP close inside a body of known length is an error under TLS as well."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        talk.writer.transport.abort()

    peer = await serve(script, certificates.server)
    response = await transport.send(ask(peer.origin(tls=Tls(ca_file=certificates.ca_file))))
    with pytest.raises(Disconnected):
        await whole(response)
    response.close()
