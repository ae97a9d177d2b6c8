"""Plain commands beside the counters: in order, within the patience, and lost when the server is."""

import pytest

from gateway.limits.shared.wire import WireLost
from tests.gateway.limits.helpers import opened, until
from tests.support.redis_servers import RedisServer


async def test_commands_are_carried_out_in_order(redis_server: RedisServer) -> None:
    async with opened(redis_server.url) as store:
        key = f"{store.prefix}:asking"
        assert await store.ask("g", [("SET", key, b"\x00"), ("APPEND", key, "1"), ("GET", key)]) == [b"OK", 2, b"\x001"]


async def test_a_command_that_fails_is_lost_and_its_words_are_not_repeated(redis_server: RedisServer) -> None:
    async with opened(redis_server.url) as store:
        with pytest.raises(WireLost, match="it answers: ERR"):
            await store.ask("g", [("NONSENSE", "private")])
        assert await store.ask("g", [("ECHO", "still there")]) == [b"still there"]


async def test_a_cluster_s_node_is_found(redis_cluster: list[RedisServer]) -> None:
    async with opened(f"redis+cluster://127.0.0.1:{redis_cluster[0].port}") as store:
        for group in ("a", "b", "c", "d"):
            key = f"{store.prefix}:{{{group}}}:asking"
            assert await store.ask(group, [("SET", key, group), ("GET", key)]) == [b"OK", group.encode()]


async def test_a_server_that_is_away_is_not_waited_for(redis_server: RedisServer) -> None:
    async with opened(redis_server.url) as store:
        await store.aclose()
        await until(lambda: not store.gauges().up, "the store to be closed")
        with pytest.raises(WireLost):
            await store.ask("g", [("PING",)])
