"""The history of the configuration, over HTTP, for the command line and for the console; and rolling back."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine
from starlette.responses import Response

from gateway.admin.access import Conflict
from gateway.admin.audit import note
from gateway.admin.config_shapes import (
    DifferenceView,
    FileView,
    RollBack,
    RolledBack,
    VersionDetail,
    VersionList,
    VersionView,
)
from gateway.admin.endpoint import Call, json_answer, on_ledger, read_json
from gateway.admin.reasons import checked_reason
from gateway.admin.shapes import iso
from gateway.admin.workers import signal_others
from gateway.errors import BadRequest, LedgerError, NotFound
from gateway.ledger.config_history import ConfigEvent, ConfigHistory, Origin
from gateway.settings.history import tell_now
from gateway.settings.masking import for_eyes
from gateway.settings.reload import ReloadResult
from gateway.settings.rollback import Prepared, RollbackError, prepare, put
from gateway.settings.versions import meaning_difference, source_of, text_difference
from gateway.telemetry.logs import alert, info

T = TypeVar("T")
MISSING = "This gateway keeps no ledger (ledger: off), and the history of its configuration lives in it."


class Versions:
    """The versions of one configuration. Methods block, and raise `LedgerError` when the database is away."""

    def __init__(self, engine: Engine, source: Path | str) -> None:
        """`source`: the main file."""
        self._source = source_of(source)
        self._history = ConfigHistory(engine, self._source)

    def list(self) -> VersionList:
        found = self._history.list()
        newest = max((each.version for each in found), default=0)
        return VersionList(self._source, [view(each, newest) for each in found])

    def show(self, version: int) -> VersionDetail:
        """Raises `NotFound`."""
        found = self.event(version)
        files = None if found.files is None else [FileView(file.name, for_eyes(file.text)) for file in found.files]
        return VersionDetail(view(found, self._newest()), files)

    def difference(self, old: int, new: int | None) -> DifferenceView:
        """From one version to another; None: to the newest. Raises `NotFound` and `Conflict`."""
        new = self._newest() if new is None else new
        before, after = self.event(old), self.event(new)
        if before.files is None or after.files is None:
            raise Conflict("The texts of a version were too large to be kept.", code="not_kept")
        return DifferenceView(
            old=old,
            new=new,
            meaning=meaning_difference(before.files, after.files),
            text=text_difference(before.files, after.files, f"version {old}", f"version {new}"),
        )

    def event(self, version: int) -> ConfigEvent:
        """One version with its files. Raises `NotFound`."""
        found = self._history.find(version)
        if found is None:
            raise NotFound(
                f"There is no version {version} of this configuration; the newest is {self._newest()}.",
                code="unknown_version",
            )
        return found

    def known(self) -> set[str]:
        """Digests of every version that was in force."""
        return {each.digest for each in self._history.list() if each.version}

    def _newest(self) -> int:
        return max((each.version for each in self._history.list()), default=0)


def view(event: ConfigEvent, newest: int) -> VersionView:
    """An entry as it is shown."""
    return VersionView(
        version=event.version or None,
        at=iso(event.at_ns),
        hash=event.hash,
        cause=event.cause,
        actor=event.actor,
        reason=event.reason,
        changes=event.changes,
        error=event.error,
        in_force=event.version == newest > 0,
    )


async def list_history(call: Call) -> Response:
    return json_answer(await with_versions(call, lambda versions: versions.list()))


async def show_version(call: Call) -> Response:
    version = number(call.request.path_params["version"], "version")
    return json_answer(await with_versions(call, lambda versions: versions.show(version)))


async def show_difference(call: Call) -> Response:
    query = call.request.query_params
    if "old" not in query:
        raise BadRequest("old: the number of a version is needed.", param="old")
    old = number(query["old"], "old")
    new = number(query["new"], "new") if "new" in query else None
    return json_answer(await with_versions(call, lambda versions: versions.difference(old, new)))


async def roll_back(call: Call) -> Response:
    asked = await read_json(call.request, RollBack)
    return json_answer(await rolled_back(call, asked))


async def rolled_back(call: Call, asked: RollBack) -> RolledBack:
    """Put a version's files back, have them in force in every worker, and write it down. Raises `BadRequest`,
    `NotFound`, `Conflict` and `LedgerError`."""
    reason = checked_reason(asked.reason)
    world = call.world
    configuration = world.configuration

    def work(engine: Engine) -> Prepared:
        versions = Versions(engine, configuration.written.path)
        return prepare(
            configuration.written.path,
            versions.event(asked.version),
            versions.known(),
            world.clock,
            in_force=configuration.written,
            workers=configuration.written.workers,
            discard=asked.discard_edits,
        )

    try:
        prepared = await on_ledger(call, MISSING, work)
        await asyncio.to_thread(put, prepared.texts)
    except RollbackError as error:
        raise Conflict(str(error), code="not_rolled_back") from None
    result = await world.reload(f"rollback to version {asked.version} by admin key {call.admin_id}")
    if not result.ok:
        await asyncio.to_thread(put, prepared.before)
        raise Conflict(
            f"It was not put in force, and the files are as they were.\n{result.error}", code="not_rolled_back"
        )
    await _written_down(call, asked, reason, result)
    info("admin_config_rolled_back", admin_key_id=call.admin_id, version=asked.version, hash=result.new_hash)
    return RolledBack(
        version=asked.version,
        old_hash=result.old_hash,
        new_hash=result.new_hash,
        files=[str(path) for path in prepared.texts],
        difference=prepared.difference,
        notes=prepared.notes,
        restart=result.restart,
        signalled=signal_others(configuration.snapshot.server.runtime_dir),
    )


async def _written_down(call: Call, asked: RollBack, reason: str, result: ReloadResult) -> None:
    """The roll back has happened: what cannot be written down any more is said in the log."""
    configuration, clock = call.world.configuration, call.world.clock
    origin = Origin(f"rollback to version {asked.version}", call.actor, reason)
    try:
        await on_ledger(call, MISSING, lambda engine: tell_now(configuration, engine, clock, origin, result))
    except (LedgerError, Conflict) as error:
        alert("config_history_behind", reason=str(error))
    ledger = configuration.snapshot.ledger
    if ledger is not None:
        await asyncio.to_thread(
            note,
            ledger.url,
            clock,
            actor=call.actor,
            action="config.rollback",
            object=configuration.snapshot.source,
            before={"hash": result.old_hash},
            after={"hash": result.new_hash, "version": asked.version},
            reason=reason,
        )


async def with_versions(call: Call, work: Callable[[Versions], T]) -> T:
    """Run `work` on the versions of this gateway's configuration, on a thread. Raises `Conflict` or `LedgerError`."""
    source = call.world.configuration.written.path
    return await on_ledger(call, MISSING, lambda engine: work(Versions(engine, source)))


def number(text: str, param: str) -> int:
    """A version's number. Raises `BadRequest`."""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) < 2**31):
        raise BadRequest(f"{param}: allowed is the number of a version.", param=param)
    return int(text)
