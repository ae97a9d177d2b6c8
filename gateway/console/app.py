"""The console as a Starlette application: who may see which page, and what becomes of what goes wrong."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.admin.access import Permission
from gateway.admin.world import AdminWorld
from gateway.console.login import Login
from gateway.console.mount import PREFIX
from gateway.console.pages import cost, exchanges, findings, guardrails, incident, savings, versions
from gateway.console.pages.configuration import Configuring
from gateway.console.pages.incidents import Board
from gateway.console.pages.live import Live
from gateway.console.pulse import Heart
from gateway.console.render import HEADERS, Renderer
from gateway.console.secret import signing_key
from gateway.console.session import Sessions
from gateway.console.visit import COOKIE, Visit
from gateway.errors import LedgerError, NotFound, Refusal
from gateway.telemetry.logs import alert

Page = Callable[[Visit], Awaitable[Response]]

Entry = tuple[str, str, Permission, Page]
"""Method, path below the prefix, what one must be allowed to, and what answers."""


def console_app(world: AdminWorld) -> ASGIApp:
    """The console of `world`."""
    return _Framed(Starlette(routes=[Mount(PREFIX, _Console(world).application())]))


class _Framed:
    """Adds the headers that every answer of the console has, errors and files included."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def framed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    if name != "cache-control" or name not in headers:
                        headers[name] = value
            await send(message)

        await self._inner(scope, receive, framed)


class _Console:
    def __init__(self, world: AdminWorld) -> None:
        snapshot = world.configuration.snapshot
        self._world = world
        self._sessions = Sessions(signing_key(snapshot.server_secret, snapshot.server.runtime_dir))
        self._renderer = Renderer()

    def application(self) -> Starlette:
        login = Login(self._world, self._sessions, self._renderer)
        pages = _pages(self._world)
        routes: list[Route | Mount] = [
            Route("/login", login.form, methods=["GET"]),
            Route("/login", login.enter, methods=["POST"]),
            Route("/logout", self._page("read_config", login.leave), methods=["POST"]),
            Route("/", self._page("read_config", _first), methods=["GET"]),
            *(Route(path, self._page(needed, page), methods=[method]) for method, path, needed, page in pages),
            Mount("/static", _Files(directory=str(files("gateway.console") / "static"))),
        ]
        return Starlette(
            routes=routes,
            exception_handlers={
                Refusal: self._refused,
                LedgerError: self._ledger_away,
                HTTPException: self._no_page,
                Exception: self._defect,
            },
        )

    def _page(self, needed: Permission, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """The page for those who are logged in and may; the way to log in for those who are not."""

        async def serve(request: Request) -> Response:
            visit = self._visit(request)
            if visit is None:
                return RedirectResponse(f"{PREFIX}/login", 303)
            visit.need(needed)
            return await page(visit)

        return serve

    def _visit(self, request: Request) -> Visit | None:
        world = self._world
        cookie = request.cookies.get(COOKIE, "")
        found = self._sessions.read(cookie, world.configuration.snapshot, world.clock.now_ns()) if cookie else None
        if found is None:
            return None
        session, admin = found
        return Visit(world, request, admin, session, self._sessions, self._renderer)

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        visit = self._visit(request)
        if visit is None:
            return self._renderer.page("bare_error.html", {"message": str(error)}, error.status)
        return await visit.page("error.html", {"message": str(error)}, error.status)

    async def _ledger_away(self, request: Request, error: Exception) -> Response:
        return await self._refused(request, _Away(f"The ledger cannot be read: {error}."))

    async def _no_page(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        if status == 404:
            return await self._refused(request, NotFound("There is no such page."))
        return self._renderer.page("bare_error.html", {"message": "That is not possible here."}, status)

    async def _defect(self, request: Request, error: Exception) -> Response:
        """The log gets the error's class alone: its text might quote what was sent."""
        alert("console_defect", path=request.scope.get("path", ""), error=type(error).__name__)
        return self._renderer.page("bare_error.html", {"message": "The gateway failed to make this page."}, 500)


class _Away(Refusal):
    status = 503
    code = "ledger_unavailable"


class _Files(StaticFiles):
    """Our own style and script. Browsers ask again whether they changed, and are mostly told no."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        answer = super().file_response(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        answer.headers["cache-control"] = "no-cache"
        return answer


def _pages(world: AdminWorld) -> tuple[Entry, ...]:
    heart, configuring = Heart(world), Configuring()
    incidents = Board(heart)
    return (
        ("GET", "/live", "read_config", Live(heart).stream),
        ("GET", "/cost", "read_spend", cost.show),
        ("GET", "/cost/exchanges", "read_spend", exchanges.listing),
        ("GET", "/cost/exchanges/{event_id}", "read_spend", exchanges.one),
        ("GET", "/cost/export", "read_spend", cost.export),
        ("GET", "/cost/savings", "read_spend", savings.show),
        ("GET", "/incidents", "read_incidents", incidents.show),
        ("POST", "/incidents/switches", "manage_incidents", incidents.switch),
        ("POST", "/incidents/switches/{switch_id}/clear", "manage_incidents", incidents.clear),
        ("GET", "/incidents/{incident_id}", "read_incidents", incident.show),
        ("GET", "/incidents/{incident_id}/postmortem.md", "read_incidents", incident.postmortem),
        ("POST", "/incidents/{incident_id}/acknowledge", "manage_incidents", incident.acknowledge),
        ("POST", "/incidents/{incident_id}/comment", "manage_incidents", incident.comment),
        ("GET", "/guardrails", "read_config", guardrails.show),
        ("POST", "/guardrails/try", "read_config", guardrails.try_text),
        ("POST", "/guardrails/review", "review_findings", findings.judge),
        ("GET", "/configuration", "read_config", configuring.show),
        ("GET", "/configuration/versions/{version}", "read_audit", versions.show),
        ("POST", "/configuration/versions/{version}/rollback", "roll_back", versions.roll_back),
        ("GET", "/configuration/diff", "read_audit", versions.compare),
        ("POST", "/configuration/reload", "reload", configuring.reload),
        ("POST", "/configuration/validate", "reload", configuring.validate),
    )


async def _first(visit: Visit) -> Response:
    """The first page that this role has."""
    return RedirectResponse(visit.sections()[0].path, 303)
