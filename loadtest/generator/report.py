"""The HTML report of a run: one self-contained file with a table and inline SVG plots, for light and dark screens."""

from html import escape

from loadtest.generator.result import Result, StageResult, Summary
from loadtest.generator.svg import Axis, Line, plot

_COLOURS = ("var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)")
_STYLE = """
:root{--bg:#fff;--fg:#1d2129;--dim:#667080;--line:#e3e6ea;--warn:#9a4a00;
--c1:#2563c9;--c2:#c2410c;--c3:#15803d;--c4:#8b3fc4;--c5:#0e7490;--c6:#b91c5c}
@media(prefers-color-scheme:dark){:root{--bg:#14171c;--fg:#e5e8ec;--dim:#97a1ad;--line:#2c323a;--warn:#f5b365;
--c1:#7aa7f5;--c2:#f2996b;--c3:#6fcf97;--c4:#c79bf2;--c5:#67cfe0;--c6:#f58bb4}}
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;max-width:1360px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}.sub{color:var(--dim);margin:.2rem 0 1.2rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}th,td{padding:.35rem .7rem;text-align:right;border-bottom:1px solid var(--line);
white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{color:var(--dim);font-weight:500}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,480px),1fr));gap:1rem}
figure{margin:0;border:1px solid var(--line);border-radius:8px;padding:.7rem}figcaption{font-weight:600}
svg{width:100%;height:auto;display:block}svg text{fill:var(--dim);font-size:11px}.grid{stroke:var(--line)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;color:var(--dim);font-size:.85rem}
.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}
.warn{color:var(--warn)}.none{color:var(--dim)}
"""
# (share, text) of the percentile axis: each step right is a tenth of what was left.
_TAIL = ((0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99"))


def html_report(result: Result) -> str:
    """The whole document."""
    title = f"Load: {result.scenario or 'unnamed'}"
    warnings = "".join(f'<p class="warn">⚠ {escape(text)}</p>' for text in result.warnings)
    stages = "".join(_stage(stage) for stage in result.stages)
    overview = f'<div class="plots">{_curves(result)}</div>'
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="sub">{escape(result.base_url)} · {result.processes} generator '
        f"{'process' if result.processes == 1 else 'processes'}</p>{warnings}{_table(result)}{overview}{stages}"
        "</body></html>\n"
    )


def _table(result: Result) -> str:
    heads = ("stage", "answers/s", "correct", "failed", "p50", "p90", "p99", "p99.9", "max", "TTFT p50", "TTFT p99")
    rows = [
        "".join(
            f"<td>{cell}</td>"
            for cell in (
                escape(s.name),
                f"{s.rps:,.1f}",
                f"{s.ok:,}",
                f"{s.failed:,}",
                _ms(s.latency_ms.p50),
                _ms(s.latency_ms.p90),
                _ms(s.latency_ms.p99),
                _ms(s.latency_ms.p99_9),
                _ms(s.latency_ms.max),
                _ms(s.ttft_ms.p50),
                _ms(s.ttft_ms.p99),
            )
        )
        for s in result.stages
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _stage(stage: StageResult) -> str:
    # What was answered after the stage is no second of its own: it would look like a fall at the end.
    seconds = [(float(p.second), p) for p in stage.series if p.second < stage.duration_s]
    shape = f"{stage.concurrency} users" if stage.mode == "closed" else f"{stage.rate:g} arrivals per second"
    facts = [f"{stage.mode} loop, {shape}, {stage.duration_s:g} s", f"{stage.connections} connections"]
    if stage.events:
        facts.append(f"{stage.events:,} events, gap p50 {_ms(stage.gap_ms.p50)}, p99 {_ms(stage.gap_ms.p99)}")
    facts.append(f"{stage.input_tokens:,} tokens in, {stage.output_tokens:,} out")
    if stage.errors:
        facts.append("errors: " + ", ".join(f"{kind} {count}" for kind, count in stage.errors.items()))
    rates = [Line("correct answers", [(x, float(p.done)) for x, p in seconds], _COLOURS[0])]
    if stage.failed:
        rates.append(Line("errors", [(x, float(p.errors)) for x, p in seconds], _COLOURS[1]))
    latency = [
        Line("p50", [(x, p.p50) for x, p in seconds], _COLOURS[0]),
        Line("p99", [(x, p.p99) for x, p in seconds], _COLOURS[1]),
    ]
    clock = Axis("second of the stage")
    return (
        f'<h2>{escape(stage.name)}</h2><p class="sub">{escape(" · ".join(facts))}</p><div class="plots">'
        + plot("Answers per second", rates, clock, Axis("per second"))
        + plot("Latency over time", latency, clock, Axis("milliseconds", log=True))
        + plot("Latencies compared", _kinds(stage), _quantiles(), Axis("milliseconds", log=True))
        + "</div>"
    )


def _kinds(stage: StageResult) -> list[Line]:
    named = [("latency", stage.latency_ms), ("TTFT", stage.ttft_ms), ("gap", stage.gap_ms), ("sent late", stage.lag_ms)]
    return [
        Line(name, points, _COLOURS[index])
        for index, (name, summary) in enumerate(named)
        if (points := _points(summary))
    ]


def _points(summary: Summary) -> list[tuple[float, float | None]]:
    values = ((0.5, summary.p50), (0.9, summary.p90), (0.95, summary.p95), (0.99, summary.p99), (0.999, summary.p99_9))
    return [(1 / (1 - share), max(value, 0.001)) for share, value in values if value is not None]


def _curves(result: Result) -> str:
    lines = [
        Line(
            stage.name,
            [(1 / (1 - min(share, 0.99999)), max(value, 0.001)) for share, value in stage.curve],
            _COLOURS[index % len(_COLOURS)],
        )
        for index, stage in enumerate(result.stages)
    ]
    return plot("Latency by percentile", lines, _quantiles(), Axis("milliseconds", log=True))


def _quantiles() -> Axis:
    return Axis("percentile", log=True, ticks=[(1 / (1 - share), text) for share, text in _TAIL])


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value / 1000:,.2f} s" if value >= 1000 else f"{value:,.2f} ms"
