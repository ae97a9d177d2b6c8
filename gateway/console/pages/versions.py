"""Earlier configurations: one of them, what differs between two, and rolling back to one."""

import msgspec
from starlette.responses import Response

from gateway.admin.config_history import Versions, number, rolled_back, with_versions
from gateway.admin.config_shapes import DifferenceView, RollBack, VersionDetail
from gateway.console.visit import Visit
from gateway.errors import BadRequest, Refusal
from gateway.ledger.config_history import ConfigEvent
from gateway.settings.versions import text_difference

HOME = "/console/configuration"


class _Shown(msgspec.Struct, frozen=True):
    detail: VersionDetail
    numbers: list[int]
    """All versions, newest first."""
    before: int | None
    """The version before it; None: it is the first, or the one before is not kept any more."""
    text: list[str] | None
    """What it changed, as lines of a unified difference; None: there is nothing to compare with."""


async def show(visit: Visit) -> Response:
    return await _page(visit)


async def compare(visit: Visit) -> Response:
    query = visit.request.query_params
    old, new = (number(query.get(name, ""), name) for name in ("old", "new"))

    def work(versions: Versions) -> tuple[DifferenceView, list[int]]:
        return versions.difference(old, new), _numbers(versions)

    found, numbers = await with_versions(visit, work)
    return await visit.page("versions.html", {"it": found, "numbers": numbers})


async def roll_back(visit: Visit) -> Response:
    """What is refused is said on the version's page, which keeps what was typed."""
    fields = await visit.form()
    version = _version(visit)
    reason = fields.get("reason", "").strip()
    try:
        if not reason:
            raise BadRequest("Say why: it goes into the history and the audit log.")
        await rolled_back(visit, RollBack(version=version, reason=reason, discard_edits="discard" in fields))
    except Refusal as error:
        return await _page(visit, str(error), reason, error.status)
    return visit.done(HOME, "rolled_back")


async def _page(visit: Visit, failure: str = "", reason: str = "", status: int = 200) -> Response:
    version = _version(visit)

    def work(versions: Versions) -> _Shown:
        detail, numbers = versions.show(version), _numbers(versions)
        before = next((each for each in numbers if each < version), None)
        text = None if before is None else _changed(versions.event(before), versions.event(version))
        return _Shown(detail, numbers, before, text)

    found = await with_versions(visit, work)
    context: dict[str, object] = {
        "it": found.detail.version,
        "files": found.detail.files,
        "numbers": found.numbers,
        "before": found.before,
        "text": found.text,
        "failure": failure,
        "reason": reason,
    }
    return await visit.page("version.html", context, status)


def _changed(before: ConfigEvent, it: ConfigEvent) -> list[str] | None:
    if before.files is None or it.files is None:
        return None
    return text_difference(before.files, it.files, f"version {before.version}", f"version {it.version}")


def _numbers(versions: Versions) -> list[int]:
    return [each.version for each in versions.list().versions if each.version is not None]


def _version(visit: Visit) -> int:
    return number(visit.request.path_params["version"], "version")
