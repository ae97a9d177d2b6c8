"""What commands that work on a running gateway, or on its ledger, have in common."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer
from typer.core import TyperCommand

from gateway.cli.admin_client import AdminClient, AdminError, find_gateway

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from gateway.settings.load import Written

T = TypeVar("T")
_NEGATIVE = re.compile(r"-\.?[0-9]")


class Signed(TyperCommand):
    """A command whose arguments may begin with a minus and a digit, so that what is wrong with `-5 USD` can be told: it
    is no option that does not exist."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.ignore_unknown_options = any(_NEGATIVE.match(arg) for arg in args)
        return super().parse_args(ctx, args)


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def gateway_of(config: Path, url: str | None, key: str | None) -> AdminClient | None:
    """The way to the gateway that was named, or that runs with this configuration; None: no key, or none runs. Raises
    `AdminError`, `ConfigError`."""
    if key is None:
        if url is not None:
            raise AdminError("--admin-url needs an admin key: --admin-key, or TOLLWAY_ADMIN_KEY", 400)
        return None
    if url is None:
        from gateway.settings.load import load_config

        url = find_gateway(load_config(config), config)
    return None if url is None else AdminClient(url, key)


def in_ledger(config: Path, what: str, work: Callable[[Engine, Written], T]) -> T:
    """Work on the configured ledger. `what` lives in it, as errors say. Raises `ConfigError`, `LedgerError`."""
    from gateway.errors import ConfigError
    from gateway.ledger.store import current_ledger
    from gateway.settings.load import load_config

    written = load_config(config)
    if written.ledger is None:
        raise ConfigError([f"the configuration keeps no ledger (ledger: off), and {what} live in it"])
    with current_ledger(written.ledger.url) as engine:
        return work(engine, written)


@contextmanager
def answering(command: str, json: bool, wrong: Collection[int] = (400,)) -> Generator[None]:
    """Errors as one line and an exit code: 2 for what was asked wrongly (refused with a status in `wrong`), 1 for what
    could not be done."""
    from gateway.errors import ConfigError, LedgerError, Refusal

    try:
        yield
    except (AdminError, ConfigError, LedgerError, Refusal) as error:
        if json:
            print_json({"error": str(error)})
        print(f"tollway {command}: {error}", file=sys.stderr)
        status = 0 if isinstance(error, (ConfigError, LedgerError)) else error.status
        raise typer.Exit(2 if isinstance(error, ConfigError) or status in wrong else 1) from None


def print_json(value: object) -> None:
    """Indented, for people and programs alike."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
