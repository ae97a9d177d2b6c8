"""`tollway config`: which configurations were in force, what differs between them, and back to an earlier one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from gateway.cli.admin_client import AdminClient, AdminError, KeyOption, UrlOption
from gateway.cli.asking import JsonOption, answering, gateway_of, print_json
from gateway.cli.config_show import print_difference, print_rollback, print_version, print_versions
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.admin.config_history import Versions
    from gateway.admin.config_shapes import RollBack, RolledBack

T = TypeVar("T")
API = "/admin/v1/config"
WAIT = 15.0
"""Seconds for the workers to take up what was rolled back to."""
VersionArgument = Annotated[int, typer.Argument(min=1, metavar="VERSION", help="Number of the version, as listed.")]

_HELP = """Earlier configurations: what was in force when, who brought it, what changed, and back to it.

With an admin key the running gateway is asked; without one, the command reads the ledger itself.
"""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    config = typer.Typer(name="config", help=_HELP, no_args_is_help=True)
    config.command("history")(history)
    config.command("show")(show)
    config.command("diff")(diff)
    config.command("rollback")(rollback)
    app.add_typer(config)


def history(
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List configurations that were in force, and those that were refused, newest first.

    Example: tollway config history
    """
    from gateway.admin.config_shapes import VersionList

    with answering("config", json):
        client = _client(config, admin_url, admin_key)
        if client is not None:
            found = client.get(f"{API}/history", VersionList)
        else:
            found = _in_ledger(config, lambda versions: versions.list())
    if json:
        print_json(found)
    else:
        print_versions(found)


def show(
    version: VersionArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Print the files of a version, literal secrets masked.

    Example: tollway config show 12
    """
    from gateway.admin.config_shapes import VersionDetail

    with answering("config", json):
        client = _client(config, admin_url, admin_key)
        if client is not None:
            found = client.get(f"{API}/history/{version}", VersionDetail)
        else:
            found = _in_ledger(config, lambda versions: versions.show(version))
    if json:
        print_json(found)
    else:
        print_version(found)


def diff(
    old: Annotated[int, typer.Argument(min=1, metavar="OLD", help="Number of a version.")],
    new: Annotated[int | None, typer.Argument(min=1, metavar="[NEW]", help="Of another; default: the newest.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Say what changed from one version to another: what it means, and the lines.

    Example: tollway config diff 11 12
    """
    from gateway.admin.config_shapes import DifferenceView

    with answering("config", json):
        client = _client(config, admin_url, admin_key)
        if client is not None:
            query = {"old": str(old), "new": None if new is None else str(new)}
            found = client.get(f"{API}/diff", DifferenceView, **query)
        else:
            found = _in_ledger(config, lambda versions: versions.difference(old, new))
    if json:
        print_json(found)
    else:
        print_difference(found)


def rollback(
    version: VersionArgument,
    reason: Annotated[str, typer.Option(help="Why; goes into the history and the audit log.")],
    discard_edits: Annotated[
        bool, typer.Option("--discard-edits", help="Overwrite files that were edited and never in force.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Put the files of an earlier version back, and have running gateways take them up.

    They are checked first, and each is replaced whole. Nothing is written, and the exit code is 1, when a file is
    read-only, when other files are included now, or when a file was edited and that edit was never in force. Literal
    secrets stay as they are now: a history keeps none.

    Example: tollway config rollback 11 --reason 'the new limits refuse everybody'
    """
    from gateway.admin.config_shapes import RollBack, RolledBack

    with answering("config", json):
        asked = RollBack(version=version, reason=reason, discard_edits=discard_edits)
        client = _client(config, admin_url, admin_key)
        done = _here(config, asked) if client is None else client.post(f"{API}/rollback", RolledBack, asked)
    if json:
        print_json(done)
    else:
        print_rollback(done)


def _here(config: Path, asked: RollBack) -> RolledBack:
    """Without a gateway's help: the files, its workers by signal, the history and the audit log."""
    from gateway.admin.audit import note
    from gateway.admin.config_shapes import RolledBack
    from gateway.admin.reasons import checked_reason
    from gateway.cli.reload import remember, take_up
    from gateway.cli.who import actor
    from gateway.clock import SystemClock
    from gateway.ledger.config_history import Origin
    from gateway.settings.rollback import Prepared, RollbackError, prepare, put

    reason, clock = checked_reason(asked.reason), SystemClock()

    def work(versions: Versions) -> Prepared:
        target = versions.event(asked.version)
        return prepare(config, target, versions.known(), clock, discard=asked.discard_edits)

    try:
        prepared = _in_ledger(config, work)
        put(prepared.texts)
        outcomes = take_up(config, WAIT)
        refused = next((each.error for each in outcomes if not each.ok), None)
        if refused is not None:
            put(prepared.before)
            raise RollbackError(f"A worker did not take it up, and the files are as they were.\n{refused}")
    except RollbackError as error:
        raise AdminError(str(error)) from None
    changed = next(iter(outcomes), None)
    origin = Origin(f"rollback to version {asked.version}", actor(), reason)
    if changed is not None:
        remember(prepared.written, changed, origin)
    old = "" if changed is None else changed.old_hash
    if prepared.written.ledger is not None:
        note(
            prepared.written.ledger.url,
            clock,
            actor=actor(),
            action="config.rollback",
            object=str(config.absolute()),
            before={"hash": old},
            after={"hash": prepared.written.hash, "version": asked.version},
            reason=reason,
        )
    idle = ["No gateway runs with this configuration: it counts from the next start."] if changed is None else []
    return RolledBack(
        version=asked.version,
        old_hash=old,
        new_hash=prepared.written.hash if changed is None else changed.new_hash,
        files=[str(path) for path in prepared.texts],
        difference=prepared.difference,
        notes=[*prepared.notes, *idle],
        restart=[] if changed is None else changed.restart,
        signalled=len(outcomes),
    )


def _client(config: Path, url: str | None, key: str | None) -> AdminClient | None:
    """The gateway's, if there is a key. A file that is broken, which is when one wants to go back, names none: then the
    ledger is read."""
    from gateway.errors import ConfigError

    try:
        return gateway_of(config, url, key)
    except ConfigError:
        return None


def _in_ledger(config: Path, work: Callable[[Versions], T]) -> T:
    from gateway.admin.config_history import Versions
    from gateway.ledger.store import current_ledger

    url = _ledger_url(config)
    with current_ledger(url) as engine:
        return work(Versions(engine, config))


def _ledger_url(config: Path) -> str:
    """Where the ledger is. Of a file with mistakes elsewhere, what it says of the ledger is enough. Raises
    `ConfigError`."""
    from gateway.errors import ConfigError
    from gateway.settings.load import load_config

    off = ConfigError(["the configuration keeps no ledger (ledger: off), and its history lives in it"])
    try:
        ledger = load_config(config).ledger
    except ConfigError as error:
        url = _written_url(config)
        if url == "off":
            raise off from None
        if url is None or "${" in url:
            raise error from None
        return url
    if ledger is None:
        raise off
    return ledger.url


def _written_url(config: Path) -> str | None:
    """Where a file that may have mistakes elsewhere says that its ledger is, or `off`; None: it cannot be read."""
    import yaml

    from gateway.settings.snapshot import LedgerOptions

    try:
        tree: object = yaml.safe_load(config.read_text("utf-8"))
        section = msgspec.convert(tree, dict[str, object]).get("ledger")
        if section in ("off", False):
            return "off"
        return msgspec.convert(section or {}, dict[str, str]).get("url", LedgerOptions().url)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError):
        return None
