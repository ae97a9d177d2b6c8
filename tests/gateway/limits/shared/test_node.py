"""One server, watched: that it is there, that it is gone, and what is not held against it."""

import asyncio
import time

import pytest

from gateway.clock import SystemClock
from gateway.limits.shared.node import BEAT, OVERDUE, PING, Node
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.shared.remote import Remote
from gateway.limits.shared.wire import encode
from gateway.limits.stores import is_up, open_store
from tests.gateway.limits.helpers import PATIENT, States, opened, until
from tests.support.redis_servers import RedisServer
from tests.support.stalling_proxy import stalling


def test_a_silence_is_noticed_in_time() -> None:
    """In the worst case it begins just after an answer: a ping comes PING and a beat later, and is overdue."""
    assert PING + BEAT + OVERDUE + BEAT < 0.25


async def test_an_idle_connection_is_kept_and_asked(redis_server: RedisServer) -> None:
    async with opened(redis_server.url) as store:
        for _ in range(5):
            await asked(store)
        assert store.up
        assert store.gauges().connections == 1


async def test_a_server_that_refuses_is_tried_again_and_again(redis_server: RedisServer) -> None:
    states = States()
    async with (
        stalling(redis_server.port) as proxy,
        opened(f"redis://127.0.0.1:{proxy.port}", states=states) as store,
    ):
        proxy.refusing = True
        proxy.cut()
        await until(lambda: not store.up, "the store to notice")
        await until(lambda: proxy.connections >= 5, "more tries")
        proxy.refusing = False
        await until(lambda: store.up, "recovery")
        assert store.gauges().connections == 2
    assert [up for up, _, _ in states.seen[:3]] == [True, False, True]


async def test_a_process_that_was_paused_does_not_blame_the_server(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads before it judges. A look that comes late says nothing (`EXCUSES`); neither does the first in time: the
    answer may lie in the socket. Here looks are never late, and it is the second look alone that spares the server."""
    monkeypatch.setattr("gateway.limits.shared.node.EXCUSES", 0)
    async with opened(redis_server.url) as store:
        [node] = store._fleet.nodes()
        for _ in range(3):
            node.send(encode("PING"), lambda _: None)
            block(3 * OVERDUE)
            suspected = look(node)
            assert suspected, "the answer lies unread, and is overdue"
            assert store.up
            await asked(store)
            assert not node._suspected
        assert store.gauges().connections == 1
        assert store.gauges().silences == 0


async def test_who_says_nothing_at_the_second_look_is_away(redis_server: RedisServer) -> None:
    async with stalling(redis_server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as store:
        [node] = store._fleet.nodes()
        proxy.stall()
        await until(lambda: not store.up, "it to be given up")
        assert node.silences == 1
        proxy.flow()
        await until(lambda: store.up, "it to be there again")


def look(node: Node) -> bool:
    """What its timer does next, before the loop reads; whether it is suspected then."""
    assert node._beat is not None
    node._beat.cancel()
    node._look()
    return node._suspected


async def asked(store: SharedStore) -> None:
    """Until an idle connection has been asked whether it is there, by a look that found nothing overdue."""
    [node] = store._fleet.nodes()
    before = node._last_sent
    await until(lambda: node._last_sent > before, "a ping")


def block(seconds: float) -> None:
    """Keep the loop from running, as a machine does that is too busy."""
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


async def test_nothing_is_left_behind_when_it_is_closed(redis_server: RedisServer) -> None:
    async with opened(redis_server.url, patience=PATIENT) as store:
        pass
    assert not store.up
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not any(name.startswith("limits:") for name in names)


async def test_an_error_of_ours_leaves_no_connection_open_and_is_no_storm(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It connected as fast as it could and kept every connection, until the server had no more for anybody."""
    tries: list[float] = []

    def broken(*_: object) -> bytes:
        tries.append(time.monotonic())
        raise LookupError("secret")

    async with stalling(redis_server.port) as proxy:
        monkeypatch.setattr(Remote, "trial", broken)
        store = open_store(f"redis://127.0.0.1:{proxy.port}", clock=SystemClock(), worker="w")
        assert isinstance(store, SharedStore)
        await until(lambda: len(tries) >= 5, "some tries")
        assert tries[-1] - tries[0] >= 0.2
        assert store.gauges().reason.endswith(": LookupError")
        assert "secret" not in store.gauges().reason
        await until(lambda: proxy.open <= 1, "no connection to be left")
        monkeypatch.undo()
        await until(lambda: is_up(store), "it to be there after all")
        await store.aclose()
