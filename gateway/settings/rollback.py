"""Puts the files of an earlier configuration back: checked first, each replaced whole, or refused for a reason that is
said.

What is refused: a version whose texts are not kept; one that was read from other files than there are now; files that
were edited and never in force (unless told to discard that); a literal secret that the files do not have any more; a
configuration that cannot be used; files that cannot be written. Nothing is written before all of it is known.
"""

import contextlib
import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from gateway.errors import ConfigError, TollwayError
from gateway.ledger.config_history import ConfigEvent, digest_of
from gateway.seams import Clock
from gateway.settings.compile import compile_snapshot
from gateway.settings.gate_files import GateFiles
from gateway.settings.load import Written, load_config
from gateway.settings.masking import Lost, filled
from gateway.settings.reload import gates_of
from gateway.settings.versions import kept_files, meaning_difference, relative
from gateway.settings.workshop import Workshop
from gateway.settings.yaml_marks import decode


class RollbackError(TollwayError):
    """Why an earlier configuration is not put back."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A roll back that can be done. Its texts hold literal secrets: it is never printed."""

    version: int
    texts: dict[Path, bytes]
    """What is to be written, the main file last."""
    before: dict[Path, bytes]
    """What stands there now."""
    written: Written
    """What will be in force."""
    difference: list[str]
    """What it means, against the files as they are; empty where they cannot be read."""
    notes: list[str] = []
    """What is not as it was in spite of it."""


def prepare(
    path: Path,
    target: ConfigEvent,
    known: Collection[str],
    clock: Clock,
    *,
    in_force: Written | None = None,
    env: Mapping[str, str] | None = None,
    workers: int | None = None,
    discard: bool = False,
) -> Prepared:
    """Work out what rolling back to `target` (with its files) would write, and judge it.

    `known`: digests of the versions that were in force. `in_force`: what a running gateway has, whose literal secrets
    are taken where the file cannot be read. Blocks, for seconds where guardrail detectors are made. Raises
    `RollbackError`.
    """
    if target.files is None:
        raise RollbackError(f"The texts of version {target.version} are not kept: they were too large.")
    try:
        disk = load_config(path, env=env, workers=workers)
    except ConfigError:
        disk = None
    if (disk is None or digest_of(kept_files(disk)) not in known) and not discard:
        raise RollbackError(
            "The files were edited, and what they say was never in force. It would be lost: reload it, or say that it "
            "may be discarded."
        )
    places = {file.name: _place(path, file.name, target.version) for file in target.files}
    now = {place: place.read_bytes() for place in places.values()}
    texts = _texts(target, path, now, places, in_force if disk is None else None)
    made = {places[name]: text.encode() for name, text in texts.items()}
    changed = {
        place: data for place, data in reversed(made.items()) if now[place].removeprefix(b"\xef\xbb\xbf") != data
    }
    if not changed:
        raise RollbackError(f"The files are already as version {target.version} has them.")
    for place in changed:
        _writable(place)
    written = _judged(path, made, target, clock, env, workers)
    notes = []
    if written.hash != target.hash:
        notes = ["It means something else than it did: variables, secrets or files of terms have changed since."]
    return Prepared(
        version=target.version,
        texts=changed,
        before={place: now[place] for place in changed},
        written=written,
        difference=[] if disk is None else meaning_difference(kept_files(disk), target.files),
        notes=notes,
    )


def put(texts: Mapping[Path, bytes]) -> None:
    """Write files, each replaced whole and with the mode and owner it has; should one fail, those before it are put
    back. Raises `RollbackError`."""
    new: dict[Path, Path] = {}
    try:
        for path, data in texts.items():
            new[path] = _beside(path, data)
    except OSError as error:
        _forget(new.values())
        raise _unwritten(error) from None
    done: dict[Path, bytes] = {}
    try:
        for path, made in new.items():
            before = path.read_bytes()
            os.replace(made, path)
            done[path] = before
    except OSError as error:
        _forget(new.values())
        for path, before in done.items():
            os.replace(_beside(path, before), path)
        raise _unwritten(error) from None


def _place(main: Path, name: str, version: int) -> Path:
    """Where a file of a version is now; symbolic links are followed, so that what they point at is replaced."""
    place = Path(os.path.normpath(Path(os.path.abspath(main)).parent / name)).resolve()
    if not place.is_file():
        raise RollbackError(
            f"Version {version} was read from {name}, too, and that file is not there any more. Put it back first, "
            "with what it held then."
        )
    return place


def _texts(
    target: ConfigEvent, main: Path, now: Mapping[Path, bytes], places: Mapping[str, Path], in_force: Written | None
) -> dict[str, str]:
    masked = {file.name: file.text for file in target.files or []}
    try:
        try:
            return filled(masked, {name: now[place].decode("utf-8-sig", "replace") for name, place in places.items()})
        except Lost:
            if in_force is None:
                raise
            return filled(
                masked, {relative(main, path): decode(data, path.name) for path, data in in_force.texts.items()}
            )
    except Lost as lost:
        raise RollbackError(
            f"Version {target.version} holds literal secrets, which a history does not keep, and the files have none "
            f"at the same place now: {', '.join(lost.places[:10])}. Put them into ${{env:NAME}} or ${{file:/path}}."
        ) from None


def _judged(
    path: Path,
    made: Mapping[Path, bytes],
    target: ConfigEvent,
    clock: Clock,
    env: Mapping[str, str] | None,
    workers: int | None,
) -> Written:
    """What the files would come to. Raises `RollbackError`."""
    try:
        written = load_config(path, env=env, workers=workers, instead=made)
        names, before = {relative(path, each) for each in written.texts}, {file.name for file in target.files or []}
        if names != before:
            told = ", ".join(sorted(names ^ before)[:10])
            raise RollbackError(
                f"Other files are included now than version {target.version} was read from: {told}. Rolling back "
                "writes files, and neither makes nor removes any."
            )
        compile_snapshot(written, clock=clock, workshop=Workshop(GateFiles(gates_of(written), write=False)))
    except ConfigError as error:
        raise RollbackError(f"Version {target.version} cannot be used now:\n{error}") from None
    return written


def _writable(path: Path) -> None:
    """Raises `RollbackError` for what a file system, or whoever took the write permission away, wants to stay."""
    mode = path.stat().st_mode
    if not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise _read_only(path, "its mode says that nobody may write it")
    if not os.access(path.parent, os.W_OK):
        raise _read_only(path, "its directory cannot be written")


def _read_only(path: Path, why: str) -> RollbackError:
    return RollbackError(
        f"{path} is read-only: {why}. Change it where it comes from (a ConfigMap, a repository); `tollway config show` "
        "prints what it held."
    )


def _beside(path: Path, data: bytes) -> Path:
    """A complete new file next to `path`, which no include pattern matches. Raises `OSError`."""
    made = path.with_name(f".{path.name}.{os.getpid()}.new")
    was = path.stat()
    fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(was.st_mode))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        made.unlink(missing_ok=True)
        raise
    return made


def _forget(paths: Collection[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _unwritten(error: OSError) -> RollbackError:
    return RollbackError(f"{error.filename or 'A file'} cannot be written: {error.strerror}. Nothing was changed.")
