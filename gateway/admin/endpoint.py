"""What a route of the admin API is: one value from which both the served route and its OpenAPI entry are made."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.access import Conflict, Permission
from gateway.admin.world import AdminWorld
from gateway.errors import BadRequest, BodyTooLarge
from gateway.ledger.store import current_ledger, ledger_at
from gateway.settings.snapshot import AdminKey

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")
MAX_BODY = 64 * 1024
_encode = msgspec.json.Encoder().encode


class Call:
    """One authorized request to the admin API."""

    __slots__ = ("admin", "request", "world")

    def __init__(self, world: AdminWorld, request: Request, admin: AdminKey | None) -> None:
        self.world = world
        self.request = request
        self.admin = admin
        """None on routes that ask for no key."""

    @property
    def admin_id(self) -> str:
        return self.admin.id if self.admin is not None else ""

    @property
    def actor(self) -> str:
        """Who asks, as the audit log says it."""
        return f"key:{self.admin_id}"


Handler = Callable[[Call], Awaitable[Response]]


class Parameter(msgspec.Struct, frozen=True):
    """One query or path parameter."""

    name: str
    description: str
    where: Literal["query", "path"] = "query"
    repeated: bool = False
    default: str | None = None
    choices: tuple[str, ...] = ()


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    summary: str
    permission: Permission | None = None
    """None: no key is asked for."""
    answer: type[msgspec.Struct] | None = None
    """Type of the JSON answer; None: `media` alone."""
    status: int = 200
    media: tuple[str, ...] = ()
    """Other content types it answers with."""
    body: type[msgspec.Struct] | None = None
    body_required: bool = True
    parameters: tuple[Parameter, ...] = ()
    refusals: dict[int, str] = {}
    """Statuses beside 401 and 403 it refuses with, and when."""
    same_shape: tuple[int, ...] = ()
    """Statuses other than `status` that come with `answer`, not with the error envelope."""


async def on_ledger(call: Call, missing: str, work: Callable[[Engine], R]) -> R:
    """Run `work` on the ledger database, on a thread, because it waits for it. Raises `Conflict`, saying `missing`,
    when the gateway keeps no ledger, and `LedgerError`."""
    ledger = call.world.configuration.snapshot.ledger
    if ledger is None:
        raise Conflict(missing, code="ledger_off")
    return await on_database(ledger.url, work)


async def on_database(url: str, work: Callable[[Engine], R]) -> R:
    """Run `work` on the database at `url`, brought up to date, on a thread. Raises `LedgerError`."""

    def run() -> R:
        with current_ledger(url) as engine:
            return work(engine)

    return await asyncio.to_thread(run)


async def read_ledger(url: str, work: Callable[[Engine], R]) -> R:
    """Run `work`, which only reads, on the ledger at `url` as it is, on a thread. Raises `LedgerError`."""

    def run() -> R:
        with ledger_at(url) as engine:
            return work(engine)

    return await asyncio.to_thread(run)


def json_answer(value: object, status: int = 200) -> Response:
    """`value` as JSON that no cache keeps."""
    return Response(_encode(value), status, {"cache-control": "no-store"}, "application/json")


async def read_json(request: Request, shape: type[T]) -> T:
    """The body as `shape`; an empty body is an empty object. Raises `BadRequest` or `BodyTooLarge`."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise BodyTooLarge(f"The body is larger than {MAX_BODY} bytes.")
    try:
        return msgspec.json.decode(body or b"{}", type=shape)
    except msgspec.ValidationError as error:
        # msgspec's text names the place and the expected type, never the value.
        raise BadRequest(f"The body is not as it should be: {error}.") from None
    except msgspec.DecodeError:
        raise BadRequest("The body is not valid JSON.") from None
