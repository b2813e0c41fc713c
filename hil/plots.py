"""Small plots as SVG, for a page that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from hil.figures import Plot, Series

WIDTH, HEIGHT = 460, 230
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 28, 42
COLOURS = ("#1f6f8b", "#c8553d", "#5a8f29", "#7b5ea7", "#b8860b")
TICKS = 5
BINS = 24
COUNTED = "number"
"""At the x axis of samples in their order."""


def ticks(low: float, high: float, wanted: int = TICKS) -> list[float]:
    """Round numbers from low to high, some `wanted` of them."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    raw = span / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def label(value: float) -> str:
    """A number for an axis."""
    return f"{value:.6g}"


class _Frame:
    """Where numbers lie on the page."""

    def __init__(self, plot: Plot) -> None:
        xs = [x for series in plot.series for x in series.x if math.isfinite(x)]
        ys = [y for series in plot.series for y in series.y if math.isfinite(y)]
        if plot.level is not None:
            ys.append(plot.level)
        if any(series.kind == "bars" for series in plot.series):
            ys.append(0.0)
        self.x0, self.x1 = _padded(xs)
        self.y0, self.y1 = _padded(ys)

    def x(self, value: float) -> float:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)


def _padded(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    pad = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
    return low - pad, high + pad


def svg(plot: Plot) -> str:
    """The plot as an `<svg>` element."""
    frame = _Frame(plot)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(plot.title, quote=True)}">',
        f'<text x="{LEFT}" y="16" class="title">{escape(plot.title)}</text>',
        *_axes(plot, frame),
    ]
    if plot.level is not None:
        y = frame.y(plot.level)
        parts.append(f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="limit" x="{WIDTH - RIGHT}" y="{y - 4:.1f}" text-anchor="end">limit</text>'
        )
    for number, series in enumerate(plot.series):
        parts += _drawn(series, frame, COLOURS[number % len(COLOURS)])
    if len(plot.series) > 1:
        parts += _legend(plot.series)
    return "\n".join([*parts, "</svg>"])


def _axes(plot: Plot, frame: _Frame) -> list[str]:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{floor}H{right}"/>']
    across = ticks(frame.x0, frame.x1)
    for value in [at for at in across if plot.x != COUNTED or at == round(at)]:
        x = frame.x(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{floor}"/>')
        parts.append(f'<text x="{x:.1f}" y="{floor + 14}" text-anchor="middle">{label(value)}</text>')
    for value in ticks(frame.y0, frame.y1):
        y = frame.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{label(value)}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(plot.x)}</text>')
    height = (TOP + floor) / 2
    parts.append(
        f'<text transform="translate(13 {height}) rotate(-90)" text-anchor="middle">{escape(plot.y)}</text>'
    )
    return parts


def _drawn(series: Series, frame: _Frame, colour: str) -> list[str]:
    pairs = [
        (frame.x(x), frame.y(y))
        for x, y in zip(series.x, series.y, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    if series.kind == "line":
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in pairs)
        return [f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'] if pairs else []
    if series.kind == "points":
        return [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{colour}" fill-opacity=".75"/>'
            for x, y in pairs
        ]
    width = max(1.0, (WIDTH - LEFT - RIGHT) / max(1, len(pairs)) - 2)
    floor = frame.y(0.0)
    return [
        f'<rect x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(0.0, floor - y):.1f}" fill="{colour}"/>'
        for x, y in pairs
    ]


def _legend(series: Sequence[Series]) -> list[str]:
    parts = []
    for number, one in enumerate(series):
        y, colour = TOP + 12 + 14 * number, COLOURS[number % len(COLOURS)]
        parts.append(f'<rect x="{WIDTH - RIGHT - 118}" y="{y - 8}" width="9" height="9" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT - 105}" y="{y}" class="key">{escape(one.label)}</text>')
    return parts


def in_order(title: str, samples: Sequence[float], unit: str, limit: float | None = None) -> Plot:
    """Samples as they came."""
    x = tuple(float(number) for number in range(1, len(samples) + 1))
    return Plot(title, COUNTED, unit, (Series("sample", x, tuple(samples)),), limit)


def histogram(title: str, samples: Sequence[float], unit: str) -> Plot:
    """How often each value came."""
    low, high = min(samples), max(samples)
    width = (high - low) / BINS or max(abs(high) * 1e-3, 1e-9)
    counts = [0] * BINS
    for sample in samples:
        counts[min(BINS - 1, int((sample - low) / width))] += 1
    x = tuple(low + (number + 0.5) * width for number in range(BINS))
    return Plot(title, unit, "how often", (Series("count", x, tuple(map(float, counts)), "bars"),))
