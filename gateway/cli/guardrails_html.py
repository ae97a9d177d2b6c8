"""The report of `tollway guardrails eval` as one web page: no script, nothing fetched, no text of the corpus."""

from collections.abc import Iterable, Sequence
from html import escape

from gateway.cli.guardrails_show import parts_of, spoken_share
from guardrails.evaluation import Interval, Report

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #2a7de1; --bad: #d9534f; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: middle; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td:not(:nth-child(2)) { white-space: nowrap; } div.wide { overflow-x: auto; }
tr.all td { font-weight: 600; }
svg { display: block; } .range { stroke: currentColor; stroke-width: 2; opacity: .6; }
.good { fill: var(--bar); } .false { fill: var(--bad); } .track { fill: var(--line); }
p.note { opacity: .75; }
@media (max-width: 45rem) {
  body { padding: 0 .5rem; } table { font-size: .75rem; } svg { width: 4rem; }
  th, td { padding: .3rem .2rem; } td:not(.n) { white-space: normal; overflow-wrap: anywhere; }
}
"""
WIDTH, HEIGHT = 160, 14


def page(report: Report, corpus: str, policies: Sequence[str], backend: str) -> str:
    """The whole page."""
    title = f"Guardrails on {corpus}"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style>\n</head>\n<body>\n'
        f"<h1>{escape(title)}</h1>\n"
        f"<p>Policy {escape(', '.join(policies))}; {report.texts:,} text{'s' * (report.texts != 1)}, "
        f"{report.characters:,} characters; matching by {escape(backend or 'no gate')}.</p>\n"
        f"{_detectors(report)}{_entities(report)}{_latency(report)}"
        '<p class="note">The line in a bar is the 95 % interval (Wilson). A span counts as found, and a match as '
        "right, when half of it or more is covered.</p>\n</body>\n</html>\n"
    )


def _detectors(report: Report) -> str:
    rows: list[str] = []
    for name, detector in report.detectors.items():
        for source, part in parts_of(detector):
            rows.append(
                f'<tr class="{"all" if part is detector else "one"}"><td>{escape(name)} ≥ {detector.threshold:g}</td>'
                f'<td>{escape(source)}</td><td class="n">{part.attacks:,}</td>'
                f"<td>{_bar(part.recall, part.recall_interval, 'good')}</td>"
                f'<td class="n">{part.benign:,}</td>'
                f"<td>{_bar(part.false_positive_rate, part.false_positive_rate_interval, 'false')}</td></tr>"
            )
    heads = ("detector", "source", "n:attacks", "recall", "n:benign", "false positives")
    return _table("Detectors", heads, rows)


def _entities(report: Report) -> str:
    rows = [
        f'<tr><td>{escape(name)}</td><td class="n">{entity.gold:,}</td>'
        f"<td>{_bar(entity.recall, entity.recall_interval, 'good')}</td>"
        f'<td class="n">{entity.matches:,}</td>'
        f"<td>{_bar(entity.precision, entity.precision_interval, 'good')}</td></tr>"
        for name, entity in report.entities.items()
    ]
    return _table("Entities", ("entity", "n:spans", "recall", "n:matches", "precision"), rows)


def _latency(report: Report) -> str:
    rows = [
        f'<tr><td>{escape(name)}</td><td class="n">{each.latency_us.p50:,.0f}</td>'
        f'<td class="n">{each.latency_us.p99:,.0f}</td></tr>'
        for name, each in report.detectors.items()
    ]
    return _table("Latency of a text, µs", ("detector", "n:p50", "n:p99"), rows)


def _table(title: str, heads: Iterable[str], rows: Sequence[str]) -> str:
    if not rows:
        return ""
    head = "".join(
        f'<th class="n">{escape(each[2:])}</th>' if each.startswith("n:") else f"<th>{escape(each)}</th>"
        for each in heads
    )
    return (
        f'<h2>{escape(title)}</h2>\n<div class="wide"><table>\n<tr>{head}</tr>\n'
        + "\n".join(rows)
        + "\n</table></div>\n"
    )


def _bar(share: float | None, interval: Interval | None, kind: str) -> str:
    """A share as a bar with its interval, and in numbers."""
    if share is None or interval is None:
        return "–"
    low, high = (round(WIDTH * edge, 1) for edge in interval)
    spoken = spoken_share(share, interval)
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{spoken}">'
        f'<rect class="track" width="{WIDTH}" height="{HEIGHT}" rx="2"/>'
        f'<rect class="{kind}" width="{round(WIDTH * share, 1)}" height="{HEIGHT}" rx="2"/>'
        f'<line class="range" x1="{low}" x2="{high}" y1="{HEIGHT // 2}" y2="{HEIGHT // 2}"/></svg>{spoken}'
    )
