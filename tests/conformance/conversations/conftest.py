"""Every kind of store that conversations are kept in."""

from collections.abc import AsyncIterator

import pytest

from gateway.beside import shared_conversations
from gateway.clock import SystemClock
from gateway.pseudonyms.store import ConversationStore, MemoryConversations
from tests.gateway.limits.helpers import opened
from tests.support.redis_servers import RedisServer


@pytest.fixture(params=["memory", "redis", "cluster"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[ConversationStore]:
    """An empty store."""
    if request.param == "memory":
        yield MemoryConversations(SystemClock())
        return
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        url = server.url
    else:
        nodes: list[RedisServer] = request.getfixturevalue("redis_cluster")
        url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
    async with opened(url) as shared:
        yield shared_conversations(shared)
