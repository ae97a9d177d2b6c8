"""The Starlette application behind the road: health, metrics, and the JSON admin API."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.admin import openapi
from gateway.admin.access import authorize, sent_key
from gateway.admin.endpoint import Call, Endpoint, json_answer
from gateway.admin.gauges import join_metrics
from gateway.admin.routes import ROUTES
from gateway.admin.workers import Reporter
from gateway.admin.world import AdminWorld
from gateway.errors import LedgerError, MethodNotAllowed, NotFound, Overloaded, Refusal
from gateway.telemetry.logs import alert
from gateway.wire.envelopes import error_body


def admin_app(world: AdminWorld) -> Starlette:
    """The application for `world`. Also joins the World's gauges to its metrics, and reports its reloads."""
    if world.metrics is not None:
        join_metrics(world, world.metrics)
    Reporter(world.configuration.snapshot.server.runtime_dir, world.clock).follow(world.configuration)
    routes = [_route(world, endpoint) for endpoint in ROUTES]
    routes.append(Route(openapi.PATH, _serve_document, methods=["GET"]))
    return Starlette(
        routes=routes,
        exception_handlers={Refusal: _refused, LedgerError: _ledger_away, HTTPException: _no_route, Exception: _defect},
    )


def _route(world: AdminWorld, endpoint: Endpoint) -> Route:
    """A route that looks at the key before anything else of the request."""
    permission = endpoint.permission

    async def serve(request: Request) -> Response:
        admin = None
        if permission is not None:
            key = sent_key(request.headers.get("authorization"), request.headers.get("x-api-key"))
            admin = authorize(world.configuration.snapshot, key, permission)
        return await endpoint.handler(Call(world, request, admin))

    # A counter's name may hold a slash, as names of models do.
    path = endpoint.path.replace("{rule}", "{rule:path}")
    return Route(path, serve, methods=[endpoint.method], name=endpoint.handler.__name__)


async def _serve_document(request: Request) -> Response:
    return json_answer(openapi.document(ROUTES))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in error.headers}
    headers["cache-control"] = "no-store"
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(error_body(error, "openai"), error.status, headers, "application/json")


async def _ledger_away(request: Request, error: Exception) -> Response:
    refusal = Overloaded(f"{error}.", code="ledger_unavailable", headers=((b"retry-after", b"5"),))
    return await _refused(request, refusal)


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status == 405:
        allowed = (error.headers or {}).get("Allow", "") if isinstance(error, HTTPException) else ""
        return await _refused(
            request,
            MethodNotAllowed(f"{request.method} is not possible here.", headers=((b"allow", allowed.encode()),)),
        )
    hint = "the API is below /v1/, such as /v1/chat/completions (with OpenAI's SDKs the base URL ends with /v1)"
    return await _refused(request, NotFound(f"There is nothing at this path; {hint}.", code="unknown_path"))


async def _defect(request: Request, error: Exception) -> Response:
    """Answers only; the error's text might quote the request, so that the log gets its class."""
    alert("admin_defect", path=request.scope.get("path", ""), error=type(error).__name__)
    return await _refused(request, Refusal("The gateway failed to handle this request.", code="internal_error"))
