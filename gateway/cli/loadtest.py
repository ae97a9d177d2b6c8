"""`tollway mock-provider` and `tollway loadtest`: the bundled provider, load, and the comparison with peers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from loadtest.compare import Comparison
    from loadtest.generator import LoadScenario, Result

_MOCK = """The bundled provider: OpenAI chat, completions, responses, embeddings, models; Anthropic messages.

Latency, errors and broken streams by scenario: a YAML file or the name of a bundled one
(slow, flaky, e429, stallmid, …). A request chooses another with the header `x-mock-scenario: NAME` or a model
name that ends in `-NAME`. What was truly served is at /stats.

\b
Examples:
  tollway mock-provider --port 9000
  tollway mock-provider --port 9000 --scenario flaky
"""
_RUN = """Load a gateway by a scenario and report rates, latency percentiles, TTFT and errors.

SCENARIO is a YAML file or the name of a bundled one (load-smoke, load-steps, load-streams, load-mixed).
Only this machine may be loaded, unless --allow-remote says otherwise. Exit 1 if nothing was answered correctly.

\b
Examples:
  tollway loadtest run load-smoke --base-url http://127.0.0.1:8080/v1 --key sk-…
  tollway loadtest run my.yaml --base-url http://127.0.0.1:8080/v1 --key-file keys.txt --json --html report.html
"""
_COMPARE = """Measure Tollway, nginx and other gateways that are installed, in one run, and print ratios to nginx.

Peers are LiteLLM, Portkey, rolter and ferrogw; how to install a missing one is printed. Runs alternate; medians count.

\b
Examples:
  tollway loadtest compare
  tollway loadtest compare --only tollway-bare,rolter --seconds 4 --runs 3 --json
"""
_FAIRNESS = """Measure what one team at ten times its share does to another team's latency.

Starts a gateway in front of the mock provider with limited capacity, loads it with a quiet team alone and then beside
a noisy one, several times, and prints both p99 and their ratio.

\b
Examples:
  tollway loadtest fairness
  tollway loadtest fairness --seconds 30 --runs 5 --json
  tollway loadtest fairness --one-team          # what it would be without sharing
"""


def register(app: typer.Typer) -> None:
    """Add `mock-provider` and the `loadtest` commands to `app`."""
    app.command("mock-provider", help=_MOCK)(mock_provider)
    load = typer.Typer(name="loadtest", help="Generate load, and compare gateways.", no_args_is_help=True)
    load.command("run", help=_RUN)(run)
    load.command("compare", help=_COMPARE)(compare)
    load.command("fairness", help=_FAIRNESS)(fairness)
    app.add_typer(load)


def mock_provider(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")],
    scenario: Annotated[str | None, typer.Option(help="Scenario: a YAML file or a bundled name.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve until interrupted."""
    from loadtest.mock import ScenarioError, run_mock
    from loadtest.mock.__main__ import announce, scenario_path

    try:
        run_mock(port, scenario_path(scenario), host, announce)
    except ScenarioError as error:
        _wrong(str(error))
    except OSError as error:
        print(f"cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None


def run(
    scenario: Annotated[str, typer.Argument(help="A YAML file, or a bundled name such as load-smoke.")],
    base_url: Annotated[str, typer.Option(help="Base URL of what is loaded, such as http://127.0.0.1:8080/v1.")],
    key: Annotated[
        list[str] | None, typer.Option(envvar="TOLLWAY_LOAD_KEY", help="Virtual key (may be repeated).")
    ] = None,
    key_file: Annotated[Path | None, typer.Option(help="File with one key per line, instead of --key.")] = None,
    model: Annotated[str | None, typer.Option(help="Model to ask for, instead of the scenario's.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, max=64, help="Generator processes.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write an HTML report with plots to this file.")] = None,
    allow_remote: Annotated[bool, typer.Option(help="Allow a target that is not this machine.")] = False,
) -> None:
    """Run a load scenario."""
    from loadtest.generator import LoadError, read_load
    from loadtest.generator.report import html_report
    from loadtest.markedyaml import ScenarioError

    try:
        keys = [*(key or []), *(_lines(key_file) if key_file else [])]
        load = _adapted(read_load(scenario), model, processes)
    except ScenarioError as error:
        _wrong(str(error))
    except (OSError, UnicodeDecodeError) as error:
        _wrong(f"{key_file}: cannot be read: {getattr(error, 'strerror', None) or 'it is not text in UTF-8'}")
    if not all(each.isascii() and each.isprintable() for each in keys):
        _wrong("--key: a key has characters that no key has: was it pasted whole?")
    if html is not None and not html.parent.is_dir():
        _wrong(f"{html}: there is no directory {html.parent}")
    try:
        result = _run(load, base_url, keys, allow_remote)
    except LoadError as error:
        _wrong(str(error))
    except OSError as error:
        print(f"tollway loadtest run: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if json:
        print(result.json().decode())
    else:
        _show(result)
    if html is not None:
        _write(html, html_report(result), json)
    if not any(stage.ok for stage in result.stages):
        raise typer.Exit(1)


def compare(
    only: Annotated[str | None, typer.Option(help="Only these, comma-separated; nginx is always measured.")] = None,
    seconds: Annotated[int, typer.Option(min=1, max=600, help="Length of one run in seconds.")] = 4,
    runs: Annotated[int, typer.Option(min=1, max=50, help="Runs of each; medians count.")] = 3,
    concurrency: Annotated[int, typer.Option(min=1, max=10_000, help="Connections, or streams with --stream.")] = 32,
    stream: Annotated[bool, typer.Option("--stream", help="Server-sent events instead of unary JSON.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compare gateways."""
    from loadtest.compare import CompareError, Settings, compare_all
    from loadtest.peers import all_peers

    names = [name.strip() for name in only.split(",")] if only else [peer.name for peer in all_peers()]
    try:
        made = compare_all(
            Settings(names, seconds, runs, concurrency, stream), lambda text: print(text, file=sys.stderr)
        )
    except CompareError as error:
        _wrong(str(error))
    if json:
        print(made.json().decode())
    else:
        _show_comparison(made)
    if not any(row.rate for row in made.rows):
        raise typer.Exit(1)


def fairness(
    seconds: Annotated[int, typer.Option(min=1, max=600, help="Length of one measurement in seconds.")] = 20,
    runs: Annotated[int, typer.Option(min=1, max=50, help="Runs; the median of their ratios counts.")] = 3,
    concurrent: Annotated[int, typer.Option(min=1, max=1000, help="Requests the provider takes at one time.")] = 20,
    latency: Annotated[int, typer.Option(min=1, max=10_000, help="Median latency of its answers, milliseconds.")] = 100,
    noisy: Annotated[float, typer.Option(min=0.1, max=100, help="Load of the noisy team, in shares.")] = 10.0,
    quiet: Annotated[float, typer.Option(min=0.05, max=1, help="Load of the quiet team, in shares.")] = 0.5,
    closed: Annotated[
        bool, typer.Option("--closed", help="The noisy team asks again when answered (fewer a second).")
    ] = (False),
    one_team: Annotated[bool, typer.Option("--one-team", help="Let both be one team: what sharing prevents.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure fairness between two teams."""
    from loadtest.fairness import FairnessError, FairSettings, measure_fairness
    from loadtest.generator import LoadError

    settings = FairSettings(
        concurrent=concurrent,
        latency=latency / 1000,
        quiet=quiet,
        noisy=noisy,
        seconds=seconds,
        runs=runs,
        closed=closed,
        together=one_team,
    )
    try:
        made = measure_fairness(settings, lambda text: print(text, file=sys.stderr))
    except (FairnessError, LoadError) as error:
        print(f"tollway loadtest fairness: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if json:
        print(made.json().decode())
    else:
        print(f"quiet team, p99: {made.alone_p99} ms alone, {made.beside_p99} ms beside the noisy team")
        print(f"ratio: {made.ratio} (median of {len(made.runs)} runs)")
    if made.ratio is None:
        raise typer.Exit(1)


def _write(path: Path, report: str, json: bool) -> None:
    try:
        path.write_text(report, encoding="utf-8")
    except OSError as error:
        print(f"tollway loadtest run: {path}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None
    if not json:
        print(f"report: {path}")


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _adapted(load: LoadScenario, model: str | None, processes: int | None) -> LoadScenario:
    import msgspec

    replace = msgspec.structs.replace
    if processes is not None:
        load = replace(load, processes=processes)
    if model is None:
        return load
    stages = [
        replace(stage, request=replace(stage.request, model=model, models={})) if stage.request else stage
        for stage in load.stages
    ]
    return replace(load, request=replace(load.request, model=model, models={}), stages=stages)


def _run(load: LoadScenario, base_url: str, keys: list[str], allow_remote: bool) -> Result:
    import asyncio

    from loadtest.generator import Run

    if not sys.stderr.isatty():
        return asyncio.run(Run(load, base_url, keys, None, allow_remote).run())
    from rich.console import Console

    from loadtest.generator.bar import progress_bar

    with progress_bar(load, Console(stderr=True)) as update:
        return asyncio.run(Run(load, base_url, keys, update, allow_remote).run())


def _show(result: Result) -> None:
    from rich.console import Console

    from loadtest.generator.bar import table_of

    console = Console()
    console.print(table_of(result))
    for warning in result.warnings:
        console.print(f"[yellow]{warning}[/]", highlight=False)


def _show_comparison(made: Comparison) -> None:
    from rich.console import Console

    from loadtest.generator.bar import comparison_table

    console = Console()
    console.print(comparison_table(made.rows, made.stream))
    for note in made.notes:
        console.print(note, highlight=False, markup=False)


def _wrong(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(2)
