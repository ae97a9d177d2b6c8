"""The ASGI application: the road in front, Starlette with health, metrics, admin and console behind it.

Under our own server a connection takes the road without ASGI in between (`road`); under any other, `__call__` does.
"""

from collections.abc import Coroutine
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.client import AsgiClient, Client
from gateway.console.mount import Front
from gateway.exchange import drive
from gateway.ride import Live, TaskLive
from gateway.wire.head import Head
from gateway.world import World


class App:
    """One callable for the server. Starting and stopping are the server's (`gateway/server.py`), not a lifespan's."""

    def __init__(self, world: World, behind: ASGIApp) -> None:
        self.world = world
        self.behind = Front(world, behind)

    def road(self, client: Client, head: Head | None, live: Live) -> Coroutine[Any, Any, None]:
        """Serve one request below /v1. `head`: what is known of its head already; `live`: how it can be stopped."""
        return drive(self.world, client, Head(client.headers) if head is None else head, live)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            return await self.behind(scope, receive, send)
        client, live = AsgiClient(scope, receive, send), TaskLive()
        watcher = self.world.tasks.start(_stop_when_left(client, live), "watch client")
        try:
            await self.road(client, None, live)
        finally:
            watcher.cancel()


async def _stop_when_left(client: AsgiClient, live: Live) -> None:
    await client.left()
    live.stop("client_left")
