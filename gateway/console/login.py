"""Logging in with an admin key, and out."""

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.admin.access import authorize
from gateway.admin.world import AdminWorld
from gateway.console.attempts import Attempts
from gateway.console.mount import PREFIX
from gateway.console.render import Renderer
from gateway.console.session import LIFETIME, Sessions
from gateway.console.visit import COOKIE, Visit, check_origin, read_form
from gateway.errors import Refusal
from gateway.telemetry.logs import alert, info

MOST = 512
"""Characters of a key."""


class Login:
    """The page before all others."""

    def __init__(self, world: AdminWorld, sessions: Sessions, renderer: Renderer) -> None:
        self._world = world
        self._sessions = sessions
        self._renderer = renderer
        self._attempts = Attempts()

    async def form(self, request: Request) -> Response:
        configured = bool(self._world.configuration.snapshot.admin_keys)
        return await self._answer("" if configured else _NO_KEYS, 200)

    async def enter(self, request: Request) -> Response:
        """A right key begins a session. A wrong one is counted; the answer tells nothing of what is wrong with it."""
        check_origin(request)
        world = self._world
        address = request.client.host if request.client is not None else ""
        wait = self._attempts.wait(address, world.clock.monotonic())
        if wait:
            answer = await self._answer(f"Too many wrong keys. Try again in {wait} seconds.", 429)
            answer.headers["retry-after"] = str(wait)
            return answer
        key = (await read_form(request)).get("key", "").strip()
        try:
            admin = authorize(world.configuration.snapshot, key[:MOST] or None, "read_config")
        except Refusal as error:
            if error.code == "admin_not_configured":
                return await self._answer(_NO_KEYS, 403)
            self._attempts.failed(address, world.clock.monotonic())
            alert("console_login_failed", client=address)
            return await self._answer("That is no admin key of this gateway.", 401)
        self._attempts.succeeded(address)
        info("console_login", admin_key_id=admin.id, client=address)
        answer = RedirectResponse(f"{PREFIX}/", 303)
        answer.set_cookie(
            COOKIE,
            self._sessions.begin(admin, world.clock.now_ns()),
            max_age=LIFETIME,
            path=PREFIX,
            secure=_encrypted(request),
            httponly=True,
            samesite="strict",
        )
        return answer

    async def leave(self, visit: Visit) -> Response:
        """Forget the session's cookie."""
        await visit.form()
        answer = RedirectResponse(f"{PREFIX}/login", 303)
        answer.delete_cookie(COOKIE, path=PREFIX, secure=_encrypted(visit.request), httponly=True, samesite="strict")
        return answer

    async def _answer(self, message: str, status: int) -> Response:
        return await asyncio.to_thread(self._renderer.page, "login.html", {"message": message}, status)


_NO_KEYS = (
    "This gateway has no admin keys yet. Add one under admin.keys of its configuration, such as "
    "{id: ops, role: admin, hash: 'sha256:…'} with the SHA-256 of a key of yours."
)


def _encrypted(request: Request) -> bool:
    """Whether the browser's side of the connection is TLS: ours, or that of a proxy in front, which says so. Who makes
    that header up spoils nothing but the own cookie."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "").lower() == "https"
