"""`tollway demo`: the bundled provider, a gateway, real SDK traffic of three teams, and whether the books agree."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.cli.demo_rig import Rig
    from gateway.cli.demo_traffic import Line

INDENT = " " * 11
"""Of what was said in a call, below it."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("demo")(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after showing, instead of serving until Ctrl-C.")] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the gateway; default 8080, or a free one.")
    ] = None,
) -> None:
    """Show the gateway at work, on this machine alone: no provider account, no network.

    Starts the bundled mock provider and a gateway with three teams, sends traffic with the openai and anthropic SDKs,
    then what must be refused, prints what each team spent and compares it with what the provider counted. Nothing is
    kept. Exit code 1 when any of it is not as it should be.
    """
    from rich.console import Console

    from gateway.cli.demo_rig import DemoFailed, Rig

    console = Console(highlight=False, soft_wrap=True)
    try:
        import anthropic as _anthropic
        import openai as _openai
    except ImportError as error:
        console.print(f"tollway demo needs the SDKs, and {error.name} is missing: pip install 'tollway\\[demo]'")
        raise typer.Exit(1) from None
    del _anthropic, _openai
    rig = Rig(port)
    try:
        _show(console, rig)
        if once:
            console.print("\n[dim]Stopped, for it was to be shown once: make demo goes on serving, for you to try.[/]")
        else:
            _invite(console, rig)
            rig.wait()
    except DemoFailed as failure:
        console.print(f"\n[bold red]The demo failed:[/] {failure}", markup=True)
        console.print(rig.log_tail(), markup=False, style="dim")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("\n[dim]Stopped.[/]")
    finally:
        rig.stop()


def _show(console: Console, rig: Rig) -> None:
    """The whole demonstration, top to bottom. Raises `DemoFailed`."""
    from gateway.cli.demo_traffic import REFUSALS, TRAFFIC, Wires

    console.print("[bold]Tollway demo[/]: one road between applications and model providers\n")
    rig.start()
    console.print(f"  provider  {rig.mock_url}  [dim]the bundled mock; no account, no network[/]")
    console.print(f"  gateway   {rig.url}  [dim]ready {rig.ready_seconds:.1f} s after its start[/]")

    console.print("\n[bold]Three teams, the official SDKs[/]")
    _heading(console)
    with Wires(rig.url) as wires:
        for call in TRAFFIC:
            _print_line(console, call(wires, lambda text: console.print(text, end="", markup=False, style="cyan")))
        console.print("\n[bold]What the gateway refuses[/]")
        for call in REFUSALS:
            _print_line(console, call(wires, lambda _text: None))

    console.print("\n[bold]What each team spent[/]")
    books = rig.books()
    console.file.write(rig.spend_table())
    counted = f"{books.requests:,} requests, {books.tokens:,} tokens"
    console.print(f"[green]The mock provider says {counted}: the books agree.[/]")


def _invite(console: Console, rig: Rig) -> None:
    """What there is to try while it serves."""
    console.print("\n[bold]Try it[/]")
    for name, value in rig.addresses():
        console.print(f"  {name:<9} {value}", markup=False)
    console.print(f"\n{rig.example()}", markup=False, style="cyan")
    console.print("\n[dim]Serving until Ctrl-C; everything is forgotten then.[/]")


def _heading(console: Console) -> None:
    columns = f"  {'team':<9}{'call':<37}{'':<4}{'tokens':>8} {'cost USD':>11} {'time':>7}"
    console.print(columns, style="dim")


def _print_line(console: Console, line: Line) -> None:
    """One call as one line; what it said, where that is worth reading, beneath it."""
    colour = "green" if line.status < 400 else "yellow"
    console.print(
        f"  {line.team:<9}{line.call:<37}[{colour}]{line.status:<4}[/]{line.tokens:>8} {line.cost:>11} "
        f"{line.seconds * 1000:>4.0f} ms"
    )
    if line.said:
        # By words and below the call, where a terminal would break it anywhere and begin at its edge.
        said = fill(line.said, max(console.width, 80), initial_indent=INDENT, subsequent_indent=INDENT)
        console.print(said, markup=False, style="dim")
