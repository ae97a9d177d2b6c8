"""Charts as SVG made on the server: they need no script, print well, and take their colours from the style sheet.

Only shapes and numbers are made here; a template writes them, so that every name in a chart is escaped as all else is.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

WIDTH, HEIGHT = 960, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 12, 26
TONES = 6
"""Shades that the style sheet has for parts of a whole; the last is for all others together."""
Worded = Callable[[int], str]
"""A value in words."""
_STEPS = (1, 2, Decimal("2.5"), 5, 10)


class Bar(msgspec.Struct, frozen=True):
    """A rectangle, in units of the picture."""

    x: float
    y: float
    width: float
    height: float
    tone: int
    """Which shade, from 0."""
    title: str
    """What it says when pointed at."""


class Tick(msgspec.Struct, frozen=True):
    """A line of the grid, or a word below."""

    at: float
    label: str


class Chart(msgspec.Struct, frozen=True):
    """Stacked columns over time."""

    bars: list[Bar]
    rows: list[Tick]
    columns: list[Tick]
    legend: list[tuple[int, str, int]]
    """Shade, name, sum."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    base: int = HEIGHT - BOTTOM


def nice_steps(most: int, lines: int = 4) -> list[int]:
    """Round values for a grid from 0 to at least `most`: steps of 1, 2, 2.5 or 5 times a power of ten."""
    if most <= 0:
        return [0]
    rough = Decimal(most) / lines
    power = Decimal(1).scaleb(rough.adjusted())
    step = next(int(factor * power) or 1 for factor in _STEPS if factor * power >= rough)
    return [at * step for at in range(-(-most // step) + 1)]


def stacked(
    labels: Sequence[str],
    series: Mapping[str, Sequence[int]],
    titles: Sequence[str],
    word: Worded,
    axis: Worded,
) -> Chart:
    """One column for each label. The `TONES - 1` largest series have a shade each, the rest are one.

    `titles`: the long form of each label; `word` and `axis` word a value, on a column and beside the grid."""
    shown = largest(series)
    tops = [sum(values[at] for values in shown.values()) for at in range(len(labels))]
    grid = nice_steps(max(tops, default=0))
    height, room = HEIGHT - TOP - BOTTOM, WIDTH - LEFT - RIGHT
    scale = height / (grid[-1] or 1)
    step = room / max(len(labels), 1)
    wide = max(min(step * 0.72, 44.0), 1.0)
    bars: list[Bar] = []
    for at, title in enumerate(titles):
        y = float(HEIGHT - BOTTOM)
        for tone, (name, values) in enumerate(shown.items()):
            tall = values[at] * scale
            if tall <= 0:
                continue
            y -= tall
            x = LEFT + step * at + (step - wide) / 2
            bars.append(
                Bar(
                    round(x, 1),
                    round(y, 1),
                    round(wide, 1),
                    round(tall, 1),
                    tone,
                    f"{title}, {name}: {word(values[at])}",
                )
            )
    every = max(1, -(-len(labels) // 16))
    return Chart(
        bars,
        [Tick(round(HEIGHT - BOTTOM - value * scale, 1), axis(value)) for value in grid],
        [Tick(round(LEFT + step * (at + 0.5), 1), label) for at, label in enumerate(labels) if at % every == 0],
        [(tone, name, sum(values)) for tone, (name, values) in enumerate(shown.items())],
    )


def largest(series: Mapping[str, Sequence[int]], most: int = TONES) -> dict[str, Sequence[int]]:
    """The largest series, by sum; where there are more than `most`, the others added up as `others`."""
    ordered = sorted(series.items(), key=lambda item: (-sum(item[1]), item[0]))
    if len(ordered) <= most:
        return {name or "(none)": values for name, values in ordered}
    kept = {name or "(none)": values for name, values in ordered[: most - 1]}
    rest = [sum(column) for column in zip(*(values for _, values in ordered[most - 1 :]), strict=True)]
    return {**kept, f"{len(ordered) - most + 1} others": rest}
