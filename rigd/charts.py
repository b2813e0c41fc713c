"""Charts as SVG, for reports that are one file: lines, points, error bars, logarithmic axes, legend. No library behind it.

`svg(chart)` is a complete element to put into HTML; `rigd.reports` builds whole pages. Colours are CSS variables, so that the
page that a chart stands in can make them light or dark; without such a page the defaults in each chart stand.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

COLOURS = ("#0b6bb5", "#d1651a", "#16825d", "#a4439c", "#8a7500", "#3f4a57")
"""Told apart also by most who do not see all colours; `--c0` to `--c5` in a page replace them."""
WIDTH, HEIGHT = 680, 340
LEFT, RIGHT, TOP, BOTTOM = 68, 18, 16, 48
"""Room around the plot for labels, px."""
LEGEND_ROW = 20
TICKS = 6
"""About how many there are on an axis."""
DENSE = 3
"""A line with more points than this many times the width is thinned to its least and greatest in each column."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis."""

    label: str
    """With its unit."""
    log: bool = False
    low: float | None = None
    """Where it begins; None: at the least value shown."""
    high: float | None = None
    whole: bool = False
    """Only whole numbers are written at it."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points that belong together. What is not finite, or not above 0 on a logarithmic axis, interrupts a line and is not shown."""

    label: str
    """In the legend; empty: not there."""
    x: Sequence[float]
    y: Sequence[float]
    kind: Literal["line", "points", "both", "bars"] = "line"
    """`bars` stand on 0."""
    errors: Sequence[float] | None = None
    """Half the length of each point's error bar, along y."""
    colour: int | None = None
    """Number in `COLOURS`; None: the place of the series in its chart."""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across the whole plot, at one x or one y, with a word beside it."""

    label: str
    x: float | None = None
    y: float | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """What is shown."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    note: str = ""
    """A sentence below it."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values of one axis to px."""

    axis: Axis
    low: float
    high: float
    start_px: float
    end_px: float

    def __call__(self, value: float) -> float:
        return self.start_px + (self._place(value) - self._place(self.low)) * (
            self.end_px - self.start_px
        ) / (self._place(self.high) - self._place(self.low))

    def shows(self, value: float) -> bool:
        return math.isfinite(value) and (value > 0 or not self.axis.log)

    def covers(self, value: float) -> bool:
        """Whether it lies on the axis, rounding apart."""
        if not self.shows(value):
            return False
        slack = 1e-9 * (self._place(self.high) - self._place(self.low))
        return self._place(self.low) - slack <= self._place(value) <= self._place(self.high) + slack

    def ticks(self) -> list[float]:
        found = _log_ticks(self.low, self.high) if self.axis.log else _even_ticks(self.low, self.high)
        return [tick for tick in found if tick == round(tick)] if self.axis.whole else found

    def _place(self, value: float) -> float:
        return math.log10(value) if self.axis.log else value


def svg(chart: Chart, width: int = WIDTH, height: int = HEIGHT) -> str:
    """A chart as an `<svg>` element of this size in px, which shrinks with its surroundings.

    Raises:
        ValueError: a series whose x, y and errors are not equally long.
    """
    for one in chart.series:
        if not len(one.x) == len(one.y) == len(one.x if one.errors is None else one.errors):
            raise ValueError(f"series {one.label!r}: x, y and errors are not equally long")
    legend = list(_legend(chart, width))
    rows = 1 + max((row for _, row, _ in legend), default=-1)
    top = TOP + LEGEND_ROW * rows
    x = _scale(
        chart.x, (v for s in chart.series for v in s.x), (m.x for m in chart.marks), LEFT, width - RIGHT
    )
    y = _scale(chart.y, _heights(chart), (m.y for m in chart.marks), height - BOTTOM, top)
    parts = [
        (
            f'<svg class="chart" role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'xmlns="http://www.w3.org/2000/svg" style="max-width:100%;height:auto" font-family="sans-serif" font-size="12">'
        ),
        f"<title>{escape(chart.title)}</title>",
        *_grid(x, y),
        *_labels(chart, y, width, height),
        *(_mark(mark, x, y, number) for number, mark in enumerate(chart.marks)),
        *itertools.chain.from_iterable(
            _drawn(one, _colour(one, number), x, y) for number, one in enumerate(chart.series)
        ),
        *(_entry(chart, number, row, left) for number, row, left in legend),
        "</svg>",
    ]
    return "\n".join(parts)


# ---------------------------------------------------------------------------------------------------------------- axes


def _heights(chart: Chart) -> Iterator[float]:
    for one in chart.series:
        yield from one.y
        if one.kind == "bars":
            yield 0.0
        if one.errors is not None:
            for value, error in zip(one.y, one.errors, strict=True):
                yield from (value - error, value + error)


def _scale(
    axis: Axis, values: Iterable[float], marks: Iterable[float | None], start_px: float, end_px: float
) -> _Scale:
    candidates = itertools.chain(values, (mark for mark in marks if mark is not None))
    shown = [float(v) for v in candidates if math.isfinite(v) and (v > 0 or not axis.log)]
    low = min(shown, default=1.0) if axis.low is None else axis.low
    high = max(shown, default=low) if axis.high is None else axis.high
    if not high > low:
        low, high = (low / 2, low * 2) if axis.log else (low - (abs(low) or 1) / 2, low + (abs(low) or 1) / 2)
    elif not axis.log:
        room = 0.04 * (high - low)
        low = low - room if axis.low is None and low != 0 else low
        high = high + room if axis.high is None else high
    return _Scale(axis, low, high, start_px, end_px)


def _even_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / TICKS
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * decade for factor in (1, 2, 5, 10) if factor * decade >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        found = [f * 10.0**d for d in decades for f in factors if low <= f * 10.0**d <= high * (1 + 1e-9)]
        if len(found) >= TICKS - 2:
            break
    return found[:: 1 + len(found) // 12]


def tick_text(value: float) -> str:
    """A number as an axis shows it."""
    if value == 0:
        return "0"
    text = f"{value:.6g}" if 1e-4 <= abs(value) < 1e7 else f"{value:.2e}"
    return text.replace("-", "\N{MINUS SIGN}")


def _grid(x: _Scale, y: _Scale) -> Iterator[str]:
    left, right, low, high = x.start_px, x.end_px, y.start_px, y.end_px
    for value in x.ticks():
        at = f"{x(value):.1f}"
        yield f'<path d="M{at} {low}V{high}" stroke="var(--grid,#dfe3e8)"/>'
        yield (
            f'<text x="{at}" y="{low + 17:.0f}" text-anchor="middle" fill="var(--quiet,#57606a)">{tick_text(value)}</text>'
        )
    for value in y.ticks():
        at = f"{y(value):.1f}"
        yield f'<path d="M{left} {at}H{right}" stroke="var(--grid,#dfe3e8)"/>'
        yield (
            f'<text x="{left - 7}" y="{y(value) + 4:.1f}" text-anchor="end" fill="var(--quiet,#57606a)">{tick_text(value)}</text>'
        )
    yield f'<path d="M{left} {high}V{low}H{right}" fill="none" stroke="var(--quiet,#57606a)"/>'


def _labels(chart: Chart, y: _Scale, width: int, height: int) -> Iterator[str]:
    middle = (y.start_px + y.end_px) / 2
    yield (
        f'<text x="{(LEFT + width - RIGHT) / 2:.0f}" y="{height - 10}" text-anchor="middle" fill="var(--ink,#1f2328)">'
        f"{escape(chart.x.label)}</text>"
    )
    yield (
        f'<text transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle" fill="var(--ink,#1f2328)">'
        f"{escape(chart.y.label)}</text>"
    )


def _mark(mark: Mark, x: _Scale, y: _Scale, number: int) -> str:
    """`number` of the mark: words of lines that stand close to each other are set one below the other."""
    ink = 'stroke="var(--quiet,#57606a)" stroke-dasharray="5 4" fill="none"'
    parts = []
    if mark.x is not None and x.covers(mark.x):
        at = x(mark.x)
        left = at > (x.start_px + x.end_px) / 2
        parts.append(f'<path d="M{at:.1f} {y.start_px}V{y.end_px}" {ink}/>')
        parts.append(
            _word(
                mark.label,
                at + (-5 if left else 5),
                y.end_px + 13 + 15 * (number % 4),
                "end" if left else "start",
            )
        )
    if mark.y is not None and y.covers(mark.y):
        at = y(mark.y)
        parts.append(f'<path d="M{x.start_px} {at:.1f}H{x.end_px}" {ink}/>')
        parts.append(_word(mark.label, x.end_px - 4, at - 5 if at > y.end_px + 18 else at + 14, "end"))
    return "".join(parts)


def _word(text: str, x: float, y: float, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="var(--quiet,#57606a)">{escape(text)}</text>'


# -------------------------------------------------------------------------------------------------------------- series


def _colour(series: Series, number: int) -> str:
    at = (number if series.colour is None else series.colour) % len(COLOURS)
    return f"var(--c{at},{COLOURS[at]})"


def _drawn(series: Series, colour: str, x: _Scale, y: _Scale) -> Iterator[str]:
    if series.errors is not None:
        yield from _error_bars(series, colour, x, y)
    if series.kind == "bars":
        yield from _bars(series, colour, x, y)
        return
    if series.kind != "points":
        dashes = ' stroke-dasharray="7 4"' if series.dashed else ""
        path = " ".join(_path(run) for run in _runs(series, x, y))
        yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"{dashes}/>'
    if series.kind != "line":
        size = 3.4 if len(series.x) <= 60 else 1.8
        yield f'<g fill="{colour}">'
        for run in _runs(series, x, y, whole=False):
            for px, py in run:
                yield f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{size}"/>'
        yield "</g>"


def _bars(series: Series, colour: str, x: _Scale, y: _Scale) -> Iterator[str]:
    width = max(1.0, (x.end_px - x.start_px) / max(1, len(series.x)) - 2)
    for run in _runs(series, x, y, whole=False):
        for px, py in run:
            top, bottom = min(py, y(0.0)), max(py, y(0.0))
            yield (
                f'<rect x="{px - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}" fill="{colour}"/>'
            )


def _error_bars(series: Series, colour: str, x: _Scale, y: _Scale) -> Iterator[str]:
    assert series.errors is not None
    for at, value, error in zip(series.x, series.y, series.errors, strict=True):
        if not (x.covers(at) and y.shows(value) and math.isfinite(error)):
            continue
        low, high = max(value - error, y.low), min(value + error, y.high)
        if low <= high:
            px = x(at)
            yield (
                f'<path d="M{px - 3:.1f} {y(low):.1f}h6m-3 0V{y(high):.1f}m-3 0h6" fill="none" stroke="{colour}"/>'
            )


def _runs(series: Series, x: _Scale, y: _Scale, *, whole: bool = True) -> Iterator[list[tuple[float, float]]]:
    """Stretches of points that are shown, in px. `whole` keeps those beyond the plot, held to its edge, so that lines lead there."""
    run: list[tuple[float, float]] = []
    for at, value in zip(series.x, series.y, strict=True):
        inside = x.covers(at) and y.covers(value)
        if inside or (whole and x.shows(at) and y.shows(value)):
            run.append((x(min(max(at, x.low), x.high)), y(min(max(value, y.low), y.high))))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _path(run: list[tuple[float, float]]) -> str:
    points = run if len(run) <= DENSE * WIDTH else _thinned(run)
    return "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in points)


def _thinned(run: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The least and the greatest of each column, in the order in which they come."""
    kept: list[tuple[float, float]] = []
    for _, column in itertools.groupby(run, key=lambda point: math.floor(point[0])):
        points = list(column)
        lowest = min(range(len(points)), key=lambda i: points[i][1])
        highest = max(range(len(points)), key=lambda i: points[i][1])
        kept += [points[i] for i in sorted({lowest, highest})]
    return kept


# -------------------------------------------------------------------------------------------------------------- legend


def _legend(chart: Chart, width: int) -> Iterator[tuple[int, int, float]]:
    """Number of each named series, its row and its left edge in px."""
    row, left = 0, float(LEFT)
    for number, one in enumerate(chart.series):
        if not one.label:
            continue
        length = 30 + 6.6 * len(one.label) + 14
        if left > LEFT and left + length > width - RIGHT:
            row, left = row + 1, float(LEFT)
        yield number, row, left
        left += length


def _entry(chart: Chart, number: int, row: int, left: float) -> str:
    one, at = chart.series[number], TOP + LEGEND_ROW * row - 2
    colour = _colour(one, number)
    sign = ""
    if one.kind != "points":
        dashes = ' stroke-dasharray="7 4"' if one.dashed else ""
        sign += f'<path d="M{left:.0f} {at}h22" stroke="{colour}" stroke-width="1.8"{dashes}/>'
    if one.kind != "line":
        sign += f'<circle cx="{left + 11:.0f}" cy="{at}" r="3.4" fill="{colour}"/>'
    return (
        sign + f'<text x="{left + 28:.0f}" y="{at + 4}" fill="var(--ink,#1f2328)">{escape(one.label)}</text>'
    )
