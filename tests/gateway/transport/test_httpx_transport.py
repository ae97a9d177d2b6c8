"""What only the httpx transport does: an egress proxy, HTTP/2, and nothing that httpx would add by itself."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
import trustme

from gateway.errors import ConnectFailed
from gateway.seams import Late, Origin, Tls
from gateway.transport.httpx_transport import HttpxTransport
from tests.conformance.transport.hostile import Peer, Talk, ask, soon, whole

HI = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@pytest.fixture
async def transport() -> AsyncIterator[HttpxTransport]:
    defects: list[BaseException] = []
    made = HttpxTransport(on_error=lambda _, error: defects.append(error))
    yield made
    await made.aclose()
    assert defects == []


async def test_plain_requests_go_to_the_proxy(transport: HttpxTransport) -> None:
    """RFC 9112 section 3.2.2: absolute-form towards a proxy; credentials in their own field; no other field is
    added."""

    async def proxy(talk: Talk) -> None:
        talk.heard.append(await talk.request())
        await talk.say(HI)

    peer = await Peer(proxy).start()
    origin = Origin("http", "provider.test", 80, proxy=f"http://user:secret@127.0.0.1:{peer.port}")
    assert await whole(await transport.send(ask(origin, target=b"/v1/a%20b?q=%2F"))) == b"hi"
    heard = peer.talks[0].heard[0]
    assert heard.line == b"POST http://provider.test/v1/a%20b?q=%2F HTTP/1.1"
    names = {name.lower() for name, _ in heard.headers}
    assert names == {b"host", b"x-a", b"content-length", b"proxy-authorization"}
    await peer.stop()


async def test_https_tunnels_through_the_proxy(transport: HttpxTransport, tmp_path: Path) -> None:
    """CONNECT, then TLS with the provider itself: the proxy sees no request."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("provider.test").configure_cert(context)

    async def provider(talk: Talk) -> None:
        talk.heard.append(await talk.request())
        await talk.say(HI)

    async def proxy(talk: Talk) -> None:
        talk.heard.append(await talk.head())
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        await talk.say(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                sink.write(data)
            sink.close()

        await asyncio.gather(copy(talk.reader, writer), copy(reader, talk.writer))

    upstream = await Peer(provider, context).start()
    peer = await Peer(proxy).start()
    origin = Origin(
        "https", "provider.test", 443, tls=Tls(ca_file=str(tmp_path / "ca.pem")), proxy=f"http://127.0.0.1:{peer.port}"
    )
    assert await whole(await transport.send(ask(origin))) == b"hi"
    assert peer.talks[0].heard[0].line == b"CONNECT provider.test:443 HTTP/1.1"
    assert upstream.talks[0].heard[0].header(b"host") == b"provider.test"
    await peer.stop()
    await upstream.stop()


async def test_a_proxy_that_refuses(transport: HttpxTransport) -> None:
    async def proxy(talk: Talk) -> None:
        await talk.head()
        await talk.say(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")

    peer = await Peer(proxy).start()
    origin = Origin("https", "provider.test", 443, proxy=f"http://user:secret@127.0.0.1:{peer.port}")
    with pytest.raises(ConnectFailed, match="407") as caught:
        await transport.send(ask(origin))
    assert "secret" not in str(caught.value)
    await peer.stop()


@pytest.mark.parametrize("proxy", ["ftp://user:secret@127.0.0.1", "socks5://user:secret@127.0.0.1:1", "http://["])
async def test_unusable_proxy_urls(transport: HttpxTransport, proxy: str) -> None:
    """The error does not repeat the URL: it may hold a password."""
    with pytest.raises(ConnectFailed) as caught:
        await transport.send(ask(Origin("http", "provider.test", 80, proxy=proxy)))
    assert "secret" not in str(caught.value)


async def test_proxy_and_server_name_exclude_each_other(transport: HttpxTransport) -> None:
    origin = Origin("https", "provider.test", 443, tls=Tls(server_name="other.test"), proxy="http://127.0.0.1:1")
    with pytest.raises(ConnectFailed, match="server_name"):
        await transport.send(ask(origin))


async def test_environment_is_ignored(transport: HttpxTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    async def polite(talk: Talk) -> None:
        await talk.request()
        await talk.say(HI)

    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    peer = await Peer(polite).start()
    assert await whole(await transport.send(ask(peer.origin()))) == b"hi"
    await peer.stop()


async def test_cookies_are_not_kept(transport: HttpxTransport) -> None:
    async def baker(talk: Talk) -> None:
        while True:
            talk.heard.append(await talk.request())
            await talk.say(b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\ncontent-length: 0\r\n\r\n")

    peer = await Peer(baker).start()
    for _ in range(2):
        await whole(await transport.send(ask(peer.origin())))
    assert [heard.header(b"cookie") for heard in peer.talks[0].heard] == [None, None]
    await peer.stop()


async def test_http2(transport: HttpxTransport, tmp_path: Path) -> None:
    """Negotiated by ALPN; two requests share a connection; a slow body can be late without loss."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    go = asyncio.Event()
    seen: list[dict[bytes, bytes]] = []

    async def script(talk: Talk) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        http.initiate_connection()
        await talk.say(http.data_to_send())
        while data := await talk.reader.read(65_536):
            for event in http.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    seen.append(dict(event.headers))
                if isinstance(event, h2.events.StreamEnded):
                    http.send_headers(event.stream_id, [(":status", "200"), ("x-a", "1")])
                    await talk.say(http.data_to_send())
                    await go.wait()
                    http.send_data(event.stream_id, b"hi", end_stream=True)
            await talk.say(http.data_to_send())

    peer = await Peer(script, context).start()
    origin = peer.origin(tls=Tls(ca_file=str(tmp_path / "ca.pem")), http2=True)
    response = await transport.send(ask(origin))
    assert (response.status, response.headers) == (200, [(b"x-a", b"1")])
    with pytest.raises(Late):
        await response.chunk(soon(0.02))
    go.set()
    assert await whole(response) == b"hi"
    assert await whole(await transport.send(ask(origin))) == b"hi"
    assert len(peer.talks) == 1
    assert seen[0][b":authority"] == b"127.0.0.1:%d" % peer.port
    assert {name for name in seen[0] if not name.startswith(b":")} == {b"x-a", b"content-length"}
    await transport.aclose()
    await peer.stop()
