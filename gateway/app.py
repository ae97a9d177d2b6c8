"""The ASGI application: the road in front, Starlette with health, metrics and admin behind it."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.exchange import drive
from gateway.world import World


class App:
    """One callable for the server. Starting and stopping are the server's (`gateway/server.py`), not a lifespan's."""

    def __init__(self, world: World, behind: ASGIApp) -> None:
        self.world = world
        self._behind = behind

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Not a coroutine of its own: it would be one more frame to go through at every step of a request.
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            return drive(self.world, scope, receive, send)
        return self._behind(scope, receive, send)
