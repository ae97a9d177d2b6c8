"""What `tollway guardrails` prints for people."""

from collections.abc import Iterable, Mapping

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrails.comparison import CHANGES, Comparison
from guardrails.evaluation import DetectorReport, Interval, Report, SourceReport
from guardrails.explain import SPOKEN, Explained, Explanation, Outcome

_STYLES: Mapping[Outcome, str] = {
    "acted": "bold red",
    "recorded": "bold yellow",
    "below_threshold": "dim",
    "allowed": "green",
    "switched_off": "dim",
    "other_type": "dim",
    "beyond_scan": "dim",
}
_WEAKEST: tuple[Outcome, ...] = ("other_type", "switched_off", "below_threshold", "beyond_scan", "allowed")
MOST_MATCHES = 200
"""Matches of a text that are shown one by one."""
MOST_TEXT = 20_000
"""Characters that are shown of it."""
_VISIBLE = {
    **{code: 0x2400 + code for code in range(0x20) if code not in b"\t\n"},
    0x7F: 0x2421,
    **dict.fromkeys([*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD),
}
"""Characters that a terminal takes for orders or that turn the line around, by ones that show where they are."""
MOST_SHOWN = 20
"""Texts that change, in one table."""


def show_explanation(explanation: Explanation, text: str, what: str, *, everything: bool = False) -> None:
    """Each match in colour, in the text and in a list; and what passes on. `everything`: also what is far from being
    a finding: below half of the threshold, or of a type that no rule asks for."""
    console = Console(highlight=False, soft_wrap=True)
    verdict = explanation.verdict
    head = Text(what + ": ")
    head.append(verdict.enforced, "bold red" if verdict.enforced not in ("allow", "flag") else "bold green")
    if verdict.enforced != verdict.action:
        head.append(f" (were every rule enforced: {verdict.action})", "yellow")
    console.print(head)
    matches = [match for match in explanation.matches if everything or _telling(match)]
    if not matches:
        console.print("nothing was found", style="green")
    else:
        console.print(_highlighted(text, matches))
        for match in matches[:MOST_MATCHES]:
            console.print(_lines(match, text))
    if explanation.read < len(text):
        console.print(f"matches of the first {explanation.read:,} characters; the verdict is of all", style="dim")
    if len(matches) > MOST_MATCHES:
        console.print(f"{len(matches) - MOST_MATCHES:,} more matches; --json has all", style="dim")
    if len(matches) < len(explanation.matches):
        hidden = len(explanation.matches) - len(matches)
        console.print(f"{hidden} faint match{'es' * (hidden > 1)} left out; --all shows all", style="dim")
    for failure in verdict.failures:
        console.print(f"{failure.detector} failed ({failure.error}): {', '.join(failure.rules)}", style="bold red")
    if explanation.text is None:
        console.print("the text does not pass", style="bold red")
        if verdict.answer:
            console.print(Text("answer instead: ").append(_shown(verdict.answer)))
        elif verdict.message:
            console.print(Text("error instead: ").append(_shown(verdict.message)))
    elif verdict.enforced == "reroute":
        console.print(f"served by {verdict.reroute} instead", style="bold red")
    elif explanation.text != text:
        console.print(Text("passes on as: ", "bold").append(_shown(explanation.text), "not bold"))


def _shown(text: str) -> str:
    """The beginning of a text, with nothing in it that a terminal obeys."""
    rest = len(text) - MOST_TEXT
    return text[:MOST_TEXT].translate(_VISIBLE) + (f"… ({rest:,} characters more)" if rest > 0 else "")


def _telling(match: Explained) -> bool:
    if match.outcome == "below_threshold":
        return 2 * match.score >= match.threshold
    return match.outcome != "other_type"


def _highlighted(text: str, matches: Iterable[Explained]) -> Text:
    shown = Text(_shown(text))
    matches = [match for match in matches if match.start < MOST_TEXT]
    for match in sorted(matches, key=lambda match: _strength(match.outcome)):
        shown.stylize(f"{_STYLES[match.outcome]} underline", match.start, min(match.end, MOST_TEXT))
    return shown


def _strength(outcome: Outcome) -> int:
    return _WEAKEST.index(outcome) if outcome in _WEAKEST else len(_WEAKEST) + (outcome == "acted")


def _lines(match: Explained, text: str) -> Text:
    """What was found, and below it how, and what that means."""
    style = _STYLES[match.outcome]
    sign = "≥" if match.score >= match.threshold else "<"
    line = Text("• ")
    line.append(match.type, style).append(
        f" “{_cut(text[match.start : match.end].translate(_VISIBLE))}”, {match.start}-{match.end}: "
    )
    line.append(SPOKEN[match.outcome], style)
    line.append(f"\n    {match.rule} ({match.evidence or 'no evidence named'}), score {match.score:.2f} {sign} ")
    line.append(f"{match.threshold:.2f}\n    {match.policy_rule}: {match.action}, {match.mode}; digest {match.digest}")
    return line


def show_report(report: Report) -> None:
    """A table of each detector by source, one of entities, one of latencies."""
    console = Console(highlight=False)
    texts = f"{report.texts:,} text{'s' * (report.texts != 1)}"
    console.print(f"{texts}, {report.characters:,} characters; in brackets the interval at 95 %")
    for name, detector in report.detectors.items():
        parts = parts_of(detector)
        table = _table("source", "attacks", "recall", "benign", "false positives")
        table.title = f"{name}, from score {detector.threshold:g}"
        for source, part in parts:
            table.add_row(
                _cell(source), *_share(part.attacks, part.recall, part.recall_interval),
                *_share(part.benign, part.false_positive_rate, part.false_positive_rate_interval),
                style="bold" if part is detector else "",
            )  # fmt: skip
        if parts:
            console.print(table)
    if report.entities:
        entities = _table("entity", "spans", "recall", "matches", "precision")
        for name, entity in report.entities.items():
            entities.add_row(
                _cell(name), *_share(entity.gold, entity.recall, entity.recall_interval),
                *_share(entity.matches, entity.precision, entity.precision_interval),
            )  # fmt: skip
        console.print(entities)
    latency = _table("detector", "p50 µs", "p99 µs")
    for name, detector in report.detectors.items():
        latency.add_row(name, f"{detector.latency_us.p50:,.0f}", f"{detector.latency_us.p99:,.0f}")
    console.print(latency)


def parts_of(detector: DetectorReport) -> list[tuple[str, SourceReport | DetectorReport]]:
    """What is told of a detector source by source, and of all of them where they are several. Rows that name no source
    have the name that the sum has."""
    parts = detector.by_source
    if len(parts) < 2:
        return list(parts.items())
    return [*(("(no source)" if name == "all" else name, part) for name, part in parts.items()), ("all", detector)]


def _share(total: int, share: float | None, interval: Interval | None) -> tuple[str, str]:
    return (f"{total:,}", spoken_share(share, interval)) if total else ("", "")


def spoken_share(share: float | None, interval: Interval | None) -> str:
    """Such as `91.2 % (88.7–93.1)`; a dash for nothing."""
    if share is None or interval is None:
        return "-"
    return f"{100 * share:.1f} % ({100 * interval[0]:.1f}–{100 * interval[1]:.1f})"


def show_comparison(name: str, comparison: Comparison, texts: Mapping[int, str]) -> None:
    """What changes for one policy. `texts`: by number, those that are to be shown."""
    console = Console(highlight=False)
    console.print(
        f"policy {name}: {comparison.old_acted:,} of {comparison.texts:,} texts are acted on, "
        f"{comparison.new_acted:,} would be",
        style="bold",
    )
    console.print(", ".join(f"{comparison.counts[change]:,} {change.replace('_', ' ')}" for change in CHANGES))
    rules = _table("rule", "found", "would find", "acts", "would act")
    for rule, counts in sorted(comparison.rules.items()):
        style = "" if (counts.old_found, counts.old_acted) == (counts.new_found, counts.new_acted) else "yellow"
        numbers = (counts.old_found, counts.new_found, counts.old_acted, counts.new_acted)
        rules.add_row(rule, *(f"{number:,}" for number in numbers), style=style)
    if rules.row_count:
        console.print(rules)
    if comparison.changed:
        changed = _table("text", "change", "was", "would be", "by", *(["it reads"] if texts else []))
        for each in comparison.changed[:MOST_SHOWN]:
            shown = [_cell(_cut(texts.get(each.number, ""), 200))] if texts else []
            changed.add_row(
                str(each.number), each.change.replace("_", " "), each.old, each.new, ", ".join(each.rules), *shown
            )
        console.print(changed)
        if len(comparison.changed) > MOST_SHOWN:
            console.print(f"and {len(comparison.changed) - MOST_SHOWN:,} more; --json lists all")


def comparison_data(comparison: Comparison, texts: Mapping[int, str]) -> dict[str, object]:
    """The same for scripts."""
    changed: list[dict[str, object]] = []
    for each in comparison.changed:
        row: dict[str, object] = msgspec.to_builtins(each)
        changed.append({**row, "text": texts[each.number]} if each.number in texts else row)
    return {
        "texts": comparison.texts,
        "old_acted": comparison.old_acted,
        "new_acted": comparison.new_acted,
        **comparison.counts,
        "rules": msgspec.to_builtins(comparison.rules),
        "changed": changed,
    }


def _cell(text: str) -> Text:
    """Of a table: words of a corpus, in which nothing is markup or obeyed by a terminal."""
    return Text(text.translate(_VISIBLE))


def _cut(text: str, longest: int = 40) -> str:
    spoken = " ".join(text.split())
    return spoken if len(spoken) <= longest else spoken[: longest - 1] + "…"


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, title_justify="left")
    numbers = {"attacks", "benign", "spans", "matches", "found", "would find", "acts", "would act", "p50 µs", "p99 µs"}
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table
