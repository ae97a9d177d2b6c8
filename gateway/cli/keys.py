"""`tollway keys`: create, list, revoke and rotate virtual keys in the ledger database."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.cli.asking import Signed, print_json
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.admin.keyring import Keyring
    from gateway.admin.shapes import KeyView, NewKeyView
    from gateway.settings.load import Written

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_HELP = """Create, list, revoke and rotate virtual keys.

Keys live in the ledger database as keyed hashes (secrets.key_hash of the configuration); running gateways take every
change within a second. Keys written under teams.NAME.keys of the configuration are changed there.
"""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    keys = typer.Typer(name="keys", help=_HELP, no_args_is_help=True)
    keys.command("create")(create)
    keys.command("list")(list_keys)
    keys.command("revoke", cls=Signed)(revoke)
    keys.command("rotate", cls=Signed)(rotate)
    app.add_typer(keys)


def create(
    team: Annotated[str, typer.Option(help="Team that pays; must be in the configuration.")],
    name: Annotated[str, typer.Option(help="What the key is for, for people.")] = "",
    expires: Annotated[str | None, typer.Option(help="Age such as 90d, or a UTC date such as 2027-01-31.")] = None,
    models: Annotated[str | None, typer.Option(help="Models it may use, a,b,prefix*; default: all its team's.")] = None,
    tags: Annotated[str | None, typer.Option(help="Cost attribution tags, k=v,k=v.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Make a key. Its secret is shown this once.

    Example: tollway keys create --team search --name ci --expires 90d --models gpt-4o-mini
    """
    with _keyring(config, json) as (keyring, written):
        made = keyring.create(
            team=team,
            teams=written.root.teams,
            known_models=written.root.models,
            team_models=section.models if (section := written.root.teams.get(team)) is not None else None,
            name=name,
            expires=expires,
            models=_models(models),
            tags=_tags(tags),
        )
    _show_new(made, json)


def list_keys(
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    active: Annotated[bool, typer.Option("--active", help="Only keys that work now.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """List keys by prefix and last four characters, oldest first."""
    from gateway.admin.keyring import check_team

    with _keyring(config, json) as (keyring, written):
        listed = keyring.list(team)
        if team is not None and not listed:  # a team that is not configured any more may have keys still
            check_team(team, written.root.teams)
        found = [key for key in listed if not active or key.state in ("active", "replaced")]
    if json:
        print_json({"keys": found})
        return
    in_file = sum(len(section.keys) for name, section in written.root.teams.items() if team in (None, name))
    _print_table(found, in_file, team)


def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, as listed.")],
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """End a key now; every gateway refuses it within a second."""
    with _keyring(config, json) as (keyring, _):
        revoked = keyring.revoke(key_id)
    if json:
        print_json(revoked)
    else:
        print(f"Revoked {revoked.id} ({revoked.prefix}…{revoked.last4}, team {revoked.team}) at {revoked.revoked_at}.")


def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, as listed.")],
    overlap: Annotated[str, typer.Option(help="How long the old key works on, such as 24h; 0 ends it now.")] = "24h",
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Replace a key by a new one of the same team, name, models, tags and expiry."""
    with _keyring(config, json) as (keyring, _):
        made = keyring.rotate(key_id, overlap)
    _show_new(made, json)
    if not json:
        print(
            f"The old key {key_id} works for another {overlap}." if overlap != "0" else f"The old key {key_id} ended."
        )


@contextmanager
def _keyring(config: Path, json: bool) -> Generator[tuple[Keyring, Written]]:
    """The keyring of the configured ledger. What goes wrong ends the command: exit 2 for wrong use, else 1."""
    from gateway.admin.keyring import open_keyring
    from gateway.cli.who import actor
    from gateway.clock import SystemClock
    from gateway.errors import BadRequest, ConfigError, LedgerError, Refusal
    from gateway.settings.load import load_config

    try:
        written = load_config(config)
    except ConfigError as error:
        _fail(str(error), 2, json)
    if written.ledger is None:
        _fail("the configuration keeps no ledger (ledger: off), and keys live in it", 2, json)
    secret = written.root.secrets.key_hash
    server_secret = None if secret is None else secret.get_secret_value().encode()
    try:
        with open_keyring(written.ledger.url, server_secret, SystemClock(), actor()) as keyring:
            yield keyring, written
    except Refusal as error:
        wrong_use = isinstance(error, BadRequest) or error.code == "key_hash_missing"
        _fail(error.message, 2 if wrong_use else 1, json)
    except LedgerError as error:
        _fail(str(error), 1, json)


def _fail(message: str, code: int, json: bool) -> NoReturn:
    if json:
        print_json({"error": message})
    print(f"tollway keys: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _models(text: str | None) -> list[str] | None:
    from gateway.errors import BadRequest

    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise BadRequest("--models is empty; leave it out for all that the team may use.", param="models")
    return names


def _tags(text: str | None) -> dict[str, str]:
    from gateway.errors import BadRequest

    found: dict[str, str] = {}
    for pair in (text or "").split(","):
        name, equals, value = pair.partition("=")
        if not pair.strip():
            continue
        if not equals or not name.strip():
            lacks = "a name before its '='" if equals else "'=' and a value"
            raise BadRequest(f"--tags: '{pair.strip()[:100]}' lacks {lacks}; allowed is k=v,k=v.", param="tags")
        if name.strip() in found:
            raise BadRequest(f"--tags: '{name.strip()[:100]}' is given twice.", param="tags")
        found[name.strip()] = value.strip()
    return found


def _show_new(made: NewKeyView, json: bool) -> None:
    if json:
        print_json(made)
        return
    print(f"Key {made.id} of team {made.team}{f' ({made.name})' if made.name else ''}:")
    print(f"\n    {made.secret}\n")
    print("This is the only time it is shown: it is stored as a hash. Keep it where secrets are kept.")
    models = "all its team may use" if made.models is None else ", ".join(made.models) or "none"
    print(f"Expires: {made.expires_at or 'never'}. Models: {models}.")


def _print_table(keys: list[KeyView], in_file: int, team: str | None) -> None:
    from gateway.cli.tables import Column, Row, Sheet, console_for_people, print_sheet

    names = ("id", "team", "name", "key", "state", "models", "created", "ends", "last change")
    columns = [Column(name, "prose" if name == "models" else "name") for name in names]
    rows: list[Row] = []
    for key in keys:
        ends = min((end for end in (key.expires_at, key.replaced_until) if end is not None), default="never")
        cells = (
            key.id, key.team, key.name, f"{key.prefix}…{key.last4}", key.state,
            "all" if key.models is None else ", ".join(key.models), key.created_at, ends, _last_change(key),
        )  # fmt: skip
        rows.append(Row(cells))
    console = console_for_people()
    if rows:
        print_sheet(console, Sheet(columns, rows))
    else:
        console.print(f"No keys{f' of team {team}' if team else ''} in the ledger.", markup=False)
    if in_file:
        console.print(f"{in_file} more in the configuration file.", style="dim", highlight=False)


def _last_change(key: KeyView) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at}"
    return f"replaces {key.rotated_from}" if key.rotated_from is not None else ""
