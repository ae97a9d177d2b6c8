"""`tollway`: one command, a module for each sub-command. They are listed here, in the order of `--help`."""

import importlib

import typer

from gateway import __version__

COMMANDS = (
    "serve",
    "check",
    "reload",
    "config",
    "keys",
    "budgets",
    "spend",
    "incidents",
    "switch",
    "audit",
    "price",
    "guardrails",
    "slo",
    "demo",
    "loadtest",
)
"""Modules of `gateway.cli`; each has `register(app)`. They import what they need when they run, not before."""

app = typer.Typer(
    name="tollway",
    help="Tollway, the LLM gateway: keys, budgets, guardrails, spend and proof, at wire speed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(show: bool) -> None:
    if show:
        print(f"tollway {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", callback=_version, is_eager=True
    ),
) -> None:
    """Tollway, the LLM gateway."""


def main() -> None:
    """Entry point of the `tollway` command."""
    for name in COMMANDS:
        importlib.import_module(f"gateway.cli.{name}").register(app)
    app()


if __name__ == "__main__":
    main()
