"""What the terminal shows of a run: the progress bar while it lasts, tables at the end."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from loadtest.generator.messages import stages_of
from loadtest.generator.result import Result
from loadtest.generator.scenario import LoadScenario


class Compared(Protocol):
    """A line of the comparison's table."""

    @property
    def name(self) -> str: ...
    @property
    def rate(self) -> float | None: ...
    @property
    def ratio_to_nginx(self) -> float | None: ...
    @property
    def cpu_us(self) -> float | None: ...
    @property
    def p50_ms(self) -> float | None: ...
    @property
    def p99_ms(self) -> float | None: ...


@contextmanager
def progress_bar(load: LoadScenario, console: Console) -> Generator[Callable[[int, int, int, int], None]]:
    """A bar per stage; the value is the function to call with (stage, started, ok, failed)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        tasks = {
            index: progress.add_task(stage.label, total=float(stage.duration), counts="", start=False)
            for index, stage in stages_of(load)
        }
        started: set[int] = set()

        def update(stage: int, begun: int, ok: int, failed: int) -> None:
            task = tasks[stage]
            if stage not in started:
                started.add(stage)
                progress.start_task(task)
            for earlier, other in tasks.items():
                if earlier < stage:
                    progress.update(other, completed=progress.tasks[other].total)
            elapsed = progress.tasks[task].elapsed or 0.0
            counts = f"{ok:,} answered, {failed:,} failed, {begun - ok - failed:,} open"
            progress.update(task, completed=elapsed, counts=counts)

        yield update


def table_of(result: Result) -> Table:
    """The stages of a run; times in milliseconds. Narrow enough for 80 columns: the rest is in JSON and report."""
    title = f"{result.scenario or 'load'} on {result.base_url}, milliseconds"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("stage", no_wrap=True)
    for name in ("per s", "correct", "failed", "p50", "p99", "p99.9", "TTFT p50", "gap p99"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage in result.stages:
        latency = stage.latency_ms
        table.add_row(
            stage.name,
            _short(stage.rps),
            f"{stage.ok:,}",
            f"{stage.failed:,}",
            *(_short(v) for v in (latency.p50, latency.p99, latency.p99_9, stage.ttft_ms.p50, stage.gap_ms.p99)),
        )
    return table


def comparison_table(rows: Sequence[Compared], stream: bool) -> Table:
    """The gateways of a comparison."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("gateway", no_wrap=True)
    per = "event" if stream else "request"
    what = "TTFT" if stream else "latency"
    heads = (f"{per}s/s", "ratio to nginx", f"CPU µs/{per}", f"{what} p50 ms", f"{what} p99 ms")
    for name in heads:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.name,
            _plain(row.rate, ",.0f"),
            _plain(row.ratio_to_nginx, ".4f"),
            _plain(row.cpu_us, ".1f"),
            _ms(row.p50_ms),
            _ms(row.p99_ms),
        )
    return table


def _short(value: float | None) -> str:
    """Three digits, or all before the point."""
    return _plain(value, ",.0f" if (value or 0) >= 100 else ",.1f" if (value or 0) >= 10 else ".2f")


def _ms(value: float | None) -> str:
    return _plain(value, ",.2f")


def _plain(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
