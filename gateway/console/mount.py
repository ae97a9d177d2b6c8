"""Puts the console before the admin application: /console goes to it, everything else behind it.

It is built at its first request, so that a gateway nobody looks at pays nothing for templates.
"""

from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.admin.world import AdminWorld

PREFIX = "/console"
_NO_TEMPLATES = (
    "The console needs the package jinja2, which is not installed; install tollway[console]. Everything else works.\n"
)


class Front:
    """An ASGI application in front of another one."""

    def __init__(self, world: AdminWorld, behind: ASGIApp) -> None:
        self._world = world
        self._behind = behind
        self._console: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(PREFIX):
            return await self._behind(scope, receive, send)
        if path == PREFIX:
            return await RedirectResponse(PREFIX + "/", 308)(scope, receive, send)
        if not path.startswith(PREFIX + "/"):
            return await self._behind(scope, receive, send)
        if self._console is None:
            try:
                from gateway.console.app import console_app
            except ModuleNotFoundError as error:
                if error.name != "jinja2":
                    raise
                return await PlainTextResponse(_NO_TEMPLATES, 503)(scope, receive, send)
            self._console = console_app(self._world)
        await self._console(scope, receive, send)
