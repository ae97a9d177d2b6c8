"""SIGTERM: no new requests, streams finish within `drain`, then an SSE error event and a settled record."""

import asyncio
import signal
import time

import httpx
import psutil

from gateway.server import SAME_SIGNAL
from tests.support.raw import STREAM_HEAD, USAGE, chunk, delta, raw_server, read_request, sse
from tests.support.served import Gateway, wait_for

from .test_streams import ASK, key, provider, team


def started(serve, url: str, **changes: object) -> Gateway:
    """A gateway with one provider, model and team."""
    return serve(
        providers={"p0": provider(url)},
        models={"one": {"targets": [{"provider": "p0", "model": "gpt-4o-mini"}]}},
        teams={"one": team("one")},
        **changes,
    )


async def begun(gateway: Gateway, client: httpx.AsyncClient):
    """A stream whose first event has come."""
    request = client.build_request(
        "POST", gateway.v1 + "/chat/completions", json={**ASK, "model": "one"}, headers=key("one")
    )
    answer = await client.send(request, stream=True)
    lines = answer.aiter_raw()
    return answer, lines, await anext(lines)


def in_two_halves(go_on: asyncio.Event):
    """A provider whose stream waits in its middle."""

    async def handler(state, reader, writer) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + chunk(sse(delta("Hel"))))
        await go_on.wait()
        writer.write(chunk(sse(delta("lo", "stop"), USAGE, "[DONE]")) + b"0\r\n\r\n")

    return handler


async def test_a_stream_finishes_within_the_drain_time(serve) -> None:
    go_on = asyncio.Event()
    async with raw_server(in_two_halves(go_on)) as upstream, httpx.AsyncClient(timeout=60) as client:
        gateway = started(serve, upstream.url, server={"host": "127.0.0.1", "drain": "60s"})
        _, rest, first = await begun(gateway, client)
        gateway.process.send_signal(signal.SIGTERM)
        async with httpx.AsyncClient() as other:
            while True:
                try:
                    refused = await other.get(gateway.v1 + "/models", headers=key("one"))
                except httpx.TransportError:
                    break
                if refused.status_code == 503:
                    break
        go_on.set()
        body = first + b"".join([piece async for piece in rest])
        assert b"[DONE]" in body
        assert await asyncio.to_thread(gateway.process.wait, 60) == 0
    assert gateway.settled(1)["total"]["estimated_requests"] == 0


async def test_what_is_left_after_the_drain_time_is_ended_and_settled(serve) -> None:
    async def handler(state, reader, writer) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + chunk(sse(delta("Hello"))))
        await state.until_closed(reader)

    async with raw_server(handler) as upstream, httpx.AsyncClient(timeout=60) as client:
        gateway = started(serve, upstream.url)
        _, rest, first = await begun(gateway, client)
        gateway.process.send_signal(signal.SIGTERM)
        body = first + b"".join([piece async for piece in rest])
        assert b'"error"' in body
        assert b"[DONE]" not in body
        await asyncio.wait_for(upstream.closed_by_peer.wait(), 60)
        assert await asyncio.to_thread(gateway.process.wait, 60) == 0
    row = gateway.settled(1)["total"]
    assert row["estimated_requests"] == 1
    assert row["output_tokens"] > 0


async def test_a_signal_to_the_whole_group_is_one_signal(serve) -> None:
    """systemd and a terminal signal every process of a gateway, and the supervisor passes its own on: that is not the
    second signal, which ends what is left at once."""
    go_on = asyncio.Event()
    async with raw_server(in_two_halves(go_on)) as upstream, httpx.AsyncClient(timeout=60) as client:
        gateway = started(serve, upstream.url, server={"host": "127.0.0.1", "drain": "60s", "workers": 2})
        _, rest, first = await begun(gateway, client)
        workers = psutil.Process(gateway.pid).children(recursive=True)
        for process in (*workers, gateway.process):
            process.send_signal(signal.SIGINT)
        await asyncio.to_thread(wait_for, lambda: '"stopped"' in gateway.log.read_text(), "a worker with no stream")
        go_on.set()
        body = first + b"".join([piece async for piece in rest])
        assert b"[DONE]" in body
        assert await asyncio.to_thread(gateway.process.wait, 60) == 0
        _, others = await asyncio.to_thread(psutil.wait_procs, workers, 60)
        assert others == []


async def test_notice_is_given_before_requests_are_refused(serve, mock) -> None:
    """`server.notice`: requests are still taken after SIGTERM, while `/readyz` says no. A second signal ends it."""
    gateway = serve(server={"host": "127.0.0.1", "notice": "10m", "drain": "60s"})
    gateway.process.send_signal(signal.SIGTERM)
    async with httpx.AsyncClient(timeout=60) as client:
        while (await client.get(gateway.url + "/readyz")).status_code != 503:
            await asyncio.sleep(0)
        told = time.monotonic()
        asked = {**ASK, "model": "gpt-4o-mini", "stream": False}
        answer = await client.post(gateway.v1 + "/chat/completions", json=asked, headers=key("search"))
    assert answer.status_code == 200
    await asyncio.to_thread(wait_for, lambda: time.monotonic() > told + SAME_SIGNAL, "a signal to be another one")
    gateway.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(gateway.process.wait, 60) == 0


def test_a_notice_ends_by_itself(serve) -> None:
    gateway = serve(server={"host": "127.0.0.1", "notice": "100ms", "drain": "60s"})
    assert gateway.stop() == 0
    said = gateway.log.read_text()
    assert said.index('"leaving"') < said.index('"draining"') < said.index('"stopped"')


def test_workers_leave_when_their_supervisor_is_killed(serve) -> None:
    gateway = serve("--workers", "2")
    workers = psutil.Process(gateway.pid).children(recursive=True)
    assert len(workers) >= 2
    gateway.process.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
