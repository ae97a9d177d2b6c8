"""`tollway`: one command, a module for each sub-command. They are listed here, in the order of `--help`."""

import importlib
import inspect
import re

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


def flow(text: str) -> str:
    """A help text whose paragraphs are one line each, for the terminal to break where it ends. Kept as they stand:
    paragraphs with indented lines, and those that begin with the mark `\\b`, which is taken away."""

    def flowing(paragraph: str) -> str:
        if paragraph.startswith("\b\n"):
            return paragraph[2:]
        return paragraph if re.search(r"^ ", paragraph, re.MULTILINE) else paragraph.replace("\n", " ")

    return "\n\n".join(map(flowing, inspect.cleandoc(text).split("\n\n")))


def _flow_all(group: typer.Typer) -> None:
    for command in group.registered_commands:
        command.help = flow(command.help or inspect.getdoc(command.callback) or "")
    for below in group.registered_groups:
        if below.typer_instance is not None:
            if isinstance(below.typer_instance.info.help, str):
                below.typer_instance.info.help = flow(below.typer_instance.info.help)
            _flow_all(below.typer_instance)


def main() -> None:
    """Entry point of the `tollway` command."""
    for name in COMMANDS:
        importlib.import_module(f"gateway.cli.{name}").register(app)
    _flow_all(app)
    app()


if __name__ == "__main__":
    main()
