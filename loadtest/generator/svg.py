"""Line and bar plots as inline SVG, coloured by CSS variables so that one file serves light and dark screens."""

import math
from collections.abc import Sequence
from html import escape

import msgspec

WIDTH, HEIGHT = 640, 260
_LEAST = 1e-6  # what is smaller is drawn as nothing: ticks of it would lose their digits
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 42


class Line(msgspec.Struct):
    """A named series; `colour` is a CSS value. Points whose y is None break the line."""

    name: str
    points: Sequence[tuple[float, float | None]]
    colour: str


class Axis(msgspec.Struct):
    """An axis: its label, and whether it is logarithmic. `ticks` replaces the computed ones: (value, text)."""

    label: str
    log: bool = False
    ticks: Sequence[tuple[float, str]] | None = None


def plot(title: str, lines: Sequence[Line], x: Axis, y: Axis) -> str:
    """One `<figure>` with the plot and its legend."""
    points = [(px, py) for line in lines for px, py in line.points if py is not None]
    if not points:
        return f'<figure><figcaption>{escape(title)}</figcaption><p class="none">nothing measured</p></figure>'
    low_x, high_x = _range([p[0] for p in points], x)
    low_y, high_y = _range([p[1] for p in points], y)
    across = _Scale(low_x, high_x, _LEFT, WIDTH - _RIGHT, x.log)
    up = _Scale(low_y, high_y, HEIGHT - _BOTTOM, _TOP, y.log)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">',
        *_grid(across, up, x, y),
        *(_path(line, across, up) for line in lines),
        "</svg>",
    ]
    legend = "".join(
        f'<span><i style="background:{escape(line.colour, quote=True)}"></i>{escape(line.name)}</span>'
        for line in lines
    )
    return (
        f'<figure><figcaption>{escape(title)}</figcaption>{"".join(parts)}<div class="legend">{legend}</div></figure>'
    )


class _Scale:
    """Maps values to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool) -> None:
        self.low, self.high, self._log = low, high, log
        self._from = math.log10(low) if log else low
        span = (math.log10(high) if log else high) - self._from
        self._start, self._factor = start, (end - start) / (span or 1.0)

    def __call__(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return round(self._start + ((math.log10(inside) if self._log else inside) - self._from) * self._factor, 1)

    def ticks(self) -> list[float]:
        """Four to eight round values, or the powers of ten."""
        if self._log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            values = [m * 10.0**e for e in range(first, last + 1) for m in ((1, 2, 5) if last - first < 3 else (1,))]
            return [v for v in values if self.low * 0.999 <= v <= self.high * 1.001]
        rough = (self.high - self.low) / 5 or 1.0
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= rough)
        count = math.floor((self.high - self.low) / step + 1e-9)
        return [math.ceil(self.low / step - 1e-9) * step + i * step for i in range(count + 1)]


def _range(values: list[float], axis: Axis) -> tuple[float, float]:
    low, high = min(values), max(values)
    if axis.log:
        positive = [v for v in values if v > _LEAST] or [1.0]
        low = 10 ** math.floor(math.log10(min(positive)))
        return low, max(high, low * 10)
    if not axis.ticks:
        low = min(low, 0.0)
    return low, high if high - low > _LEAST else low + 1.0


def _grid(across: _Scale, up: _Scale, x: Axis, y: Axis) -> list[str]:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    parts: list[str] = []
    for value in up.ticks():
        at = up(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4}" text-anchor="end">{_number(value)}</text>')
    ticks = x.ticks or [(v, _number(v)) for v in across.ticks()]
    for value, text in [tick for tick in ticks if tick[0] <= across.high * 1.001]:
        at = across(value)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(f'<text x="{at}" y="{bottom + 16}" text-anchor="middle">{escape(text)}</text>')
    middle = (_LEFT + right) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x.label)}</text>')
    turned = f'transform="rotate(-90 14 {(_TOP + bottom) / 2})"'
    parts.append(f'<text x="14" y="{(_TOP + bottom) / 2}" text-anchor="middle" {turned}>{escape(y.label)}</text>')
    return parts


def _path(line: Line, across: _Scale, up: _Scale) -> str:
    runs: list[list[str]] = [[]]
    for px, py in line.points:
        if py is None:
            runs.append([])
        else:
            runs[-1].append(f"{across(px)},{up(py)}")
    colour = escape(line.colour, quote=True)
    parts: list[str] = []
    for run in runs:
        if len(run) == 1:
            cx, cy = run[0].split(",")
            parts.append(f'<circle cx="{cx}" cy="{cy}" r="3" fill="{colour}"/>')
        elif run:
            parts.append(f'<polyline points="{" ".join(run)}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return "".join(parts)


def _number(value: float) -> str:
    if value and abs(value) < 0.01:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
