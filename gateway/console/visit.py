"""One request of somebody who is logged in: who it is, what they may do, and how a page is answered."""

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.admin.access import MATRIX, Permission
from gateway.admin.endpoint import Call
from gateway.admin.world import AdminWorld
from gateway.console.render import Renderer
from gateway.console.session import Session, Sessions
from gateway.errors import BadRequest, BodyTooLarge, Forbidden
from gateway.settings.snapshot import AdminKey

MAX_FORM = 2 * 1024 * 1024
COOKIE = "tollway_console"
TOKEN = "token"  # noqa: S105 - the name of a form's field
SAID = {
    "reloaded": "The configuration was read again and is in force.",
    "unchanged": "The configuration was read again: nothing has changed.",
    "rolled_back": "The files of the earlier version are back, and in force.",
    "switched": "The switch is on. Every worker follows within a second.",
    "cleared": "The switch is off. Every worker follows within a second.",
    "acknowledged": "You look after this incident now.",
    "noted": "Your note is in the timeline.",
    "judged": "Your judgement is kept. No policy has changed by it.",
}
"""What a page says after a change, by the name in its address: nobody else can put words there."""


class Section(msgspec.Struct, frozen=True):
    """One entry of the navigation."""

    path: str
    title: str
    permission: Permission


SECTIONS = (
    Section("/console/cost", "Cost", "read_spend"),
    Section("/console/incidents", "Incidents", "read_incidents"),
    Section("/console/guardrails", "Guardrails", "read_config"),
    Section("/console/configuration", "Configuration", "read_config"),
)


class Visit(Call):
    """A request with its session. As a `Call` it may be handed to what the admin API is made of."""

    __slots__ = ("_renderer", "_sessions", "session")

    def __init__(
        self,
        world: AdminWorld,
        request: Request,
        admin: AdminKey,
        session: Session,
        sessions: Sessions,
        renderer: Renderer,
    ) -> None:
        super().__init__(world, request, admin)
        self.session = session
        self._sessions = sessions
        self._renderer = renderer

    @property
    def role(self) -> str:
        return "" if self.admin is None else self.admin.role

    def may(self, permission: Permission) -> bool:
        return self.role in MATRIX[permission]

    def need(self, permission: Permission) -> None:
        """Raises `Forbidden` where the role does not allow it."""
        if not self.may(permission):
            roles = ", ".join(sorted(MATRIX[permission]))
            raise Forbidden(
                f"The role '{self.role}' of admin key '{self.admin_id}' does not allow this; it takes one of: {roles}.",
                code="role_not_allowed",
            )

    def holds(self) -> bool:
        """Whether the session holds still; a long answer asks again and again."""
        cookie = self.request.cookies.get(COOKIE, "")
        world = self.world
        return self._sessions.read(cookie, world.configuration.snapshot, world.clock.now_ns()) is not None

    def sections(self) -> list[Section]:
        return [section for section in SECTIONS if self.may(section.permission)]

    async def form(self) -> dict[str, str]:
        """The fields of a posted form. Raises `Forbidden` when it does not come from a page of this session."""
        check_origin(self.request)
        fields = await read_form(self.request)
        if not self._sessions.fits(self.session, fields.pop(TOKEN, "")):
            raise Forbidden(
                "This form is not of your session: it was made before you logged in again. Go back and load its page "
                "again.",
                code="form_token",
            )
        return fields

    async def page(self, template: str, context: Mapping[str, object], status: int = 200) -> Response:
        """A page with the frame around it. Rendered on a thread, because a long one takes milliseconds."""
        section = next((each for each in SECTIONS if self.request.url.path.startswith(each.path)), None)
        frame = {
            "admin_id": self.admin_id,
            "role": self.role,
            "sections": self.sections(),
            "section": section,
            "token": self._sessions.token(self.session),
            "may": self.may,
            "trace_url": self.world.configuration.snapshot.telemetry.trace_url,
            "said": SAID.get(self.request.query_params.get("said", ""), ""),
            "now_ns": self.world.clock.now_ns(),
        }
        return await asyncio.to_thread(self._renderer.page, template, {**frame, **context}, status)

    def done(self, path: str, said: str) -> Response:
        """After a change: on to a page that can be loaded again without changing anything twice. `said`: of `SAID`."""
        return RedirectResponse(f"{path}?said={said}", 303)


def check_origin(request: Request) -> None:
    """Raises `Forbidden` when a browser says that another site makes this request."""
    site = request.headers.get("sec-fetch-site")
    if site is None:  # an old browser, or none: its origin must be where it thinks we are
        origin = request.headers.get("origin")
        ours = origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
    else:
        ours = site in ("same-origin", "none")
    if not ours:
        raise Forbidden("This request comes from another site.", code="cross_site")


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, the first of each name. Raises `BadRequest` or `BodyTooLarge`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise BadRequest("A form was expected (application/x-www-form-urlencoded).")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM:
            raise BodyTooLarge(f"The form is larger than {MAX_FORM} bytes.")
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=50, errors="replace")
    except ValueError:
        raise BadRequest("The form cannot be read.") from None
    return {name: values[0] for name, values in fields.items()}
